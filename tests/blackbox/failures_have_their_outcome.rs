//! What the app does not answer is answered by the edge: the status, the word in the log, the counter and what becomes
//! of the client's connection follow from the cause.

mod sent_again;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

use crate::support::client::Response;
use crate::support::edge::Edge;
use crate::support::stub::{Accepted, Stub};
use crate::support::uvicorn::python;
use crate::support::{PATIENCE, wait_for};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An address that refuses connections, for as long as the socket lives.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port");
    let address = socket.local_addr().expect("an address").as_socket().expect("an IP address");
    (socket, address)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: test.example\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// An answer of asgate's own, as every one must look.
fn expect_problem(response: &Response, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}: {response:?}");
    assert!(response.complete, "{what}: whole: {response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
    let problem = response.json();
    assert_eq!(problem["status"], status, "{what}: {problem}");
    let id = response.header("x-request-id").expect("an id");
    assert!(response.text().contains(id), "{what}: the request id is in the body: {problem}");
    assert!(!response.text().contains("127.0.0.1"), "{what}: no internals: {problem}");
    assert!(response.header("server").is_none(), "{what}: {response:?}");
    let retry_after = response.header("retry-after").and_then(|value| value.parse::<u32>().ok());
    assert_eq!(retry_after.is_some(), status == 503, "{what}: Retry-After: {response:?}");
}

fn expect_line(line: &Value, status: u16, termination: &str, attempts: u64, what: &str) {
    assert_eq!(line["http.response.status_code"], status, "{what}: status in the log: {line:#}");
    assert_eq!(line["edge.termination"], termination, "{what}: {line:#}");
    assert_eq!(line["edge.attempts"], attempts, "{what}: attempts: {line:#}");
}

fn terminations(reason: &str) -> String {
    format!("asgate_terminations_total{{reason=\"{reason}\"}}")
}

/// A worker whose answer is the nonsense that the path names.
fn nonsense(mut accepted: Accepted) {
    while let Some(request) = accepted.request() {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (_, answer) = NONSENSE.into_iter().find(|(name, _)| path == *name).unwrap_or_default();
        accepted.send(if answer.is_empty() { OK } else { answer.as_bytes() });
    }
}

const NONSENSE: [(&str, &str); 8] = [
    ("/words", "this is no HTTP\r\n\r\n"),
    ("/status", "HTTP/1.1 abc OK\r\n\r\n"),
    ("/version", "HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ("/length", "HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok"),
    ("/lengths", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"),
    ("/header", "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"),
    ("/coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, identity\r\n\r\nok"),
    (
        "/unasked-upgrade",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ),
];

#[test]
fn no_route_is_404_and_keeps_the_connection() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "  - { match: { path: /here }, upstream: u }");
    let mut client = edge.connect();
    expect_problem(&client.get("/elsewhere"), 404, "no route");
    assert_eq!(client.get("/here").status, 200, "the connection is kept");
    client.send(post("/elsewhere", "body"));
    expect_problem(&client.response(), 404, "no route, with a body");
    let lines = edge.wait_for_log(3);
    expect_line(&lines[0], 404, "no_route", 0, "no route");
    expect_line(&lines[2], 404, "no_route", 0, "no route, with a body");
    edge.wait_for_metric(&terminations("no_route"), 2.0);
}

#[test]
fn a_bad_request_is_400_and_closes_the_connection() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let requests = [
        ("no Host", "GET / HTTP/1.1\r\n\r\n"),
        ("bad line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (
            "lengths",
            "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        ),
    ];
    for (what, request) in requests {
        let mut client = edge.connect();
        client.send(request);
        expect_problem(&client.response(), 400, what);
        assert!(client.rest().is_empty(), "{what}: closed");
    }
    for line in edge.wait_for_log(requests.len()) {
        expect_line(&line, 400, "bad_request", 0, "bad request");
    }
    edge.wait_for_metric(&terminations("bad_request"), 3.0);
    assert_eq!(stub.accepted(), 0, "the worker was not bothered");
}

#[test]
fn an_error_is_a_page_for_whoever_asks_for_html() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "  - { match: { path: /here }, upstream: u }");
    let accepts = [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/problem+json"),
        ("*/*", "application/problem+json"),
    ];
    for (accept, expected) in accepts {
        let mut client = edge.connect();
        client.send(format!("GET /x HTTP/1.1\r\nHost: test.example\r\nAccept: {accept}\r\n\r\n"));
        let response = client.response();
        let kind = response.header("content-type").unwrap_or_default();
        assert!(kind.starts_with(expected), "Accept: {accept}: {response:?}");
        let id = response.header("x-request-id").expect("an id");
        assert!(response.text().contains(id), "Accept: {accept}: {}", response.text());
    }
}

#[test]
fn a_refused_connect_is_502_and_keeps_the_connection() {
    let (_socket, address) = refusing();
    let edge = Edge::before(&[address], "");
    let mut client = edge.connect();
    for request in [get("/"), post("/", "body")] {
        client.send(request);
        expect_problem(&client.response(), 502, "refused");
    }
    for line in edge.wait_for_log(2) {
        expect_line(&line, 502, "upstream_connect", 1, "refused");
        assert!(line.get("edge.retry_reason").is_none(), "nobody else to ask: {line:#}");
    }
    edge.wait_for_metric(&terminations("upstream_connect"), 2.0);
    let retries = edge.metric(r#"asgate_retries_total{reason="connect",upstream="u"}"#);
    assert!(retries.abs() < f64::EPSILON, "nothing was retried, {retries} counted");
    let refused = format!(
        r#"asgate_upstream_connects_total{{result="refused",upstream="u",worker="{address}"}}"#
    );
    edge.wait_for_metric(&refused, 2.0);
}

#[test]
fn a_worker_that_closes_before_it_answers_is_502() {
    let stub = Stub::start(|mut accepted| {
        let request = accepted.request().unwrap_or_default();
        match request.split(' ').nth(1) {
            Some("/half-a-head") => {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-le");
                accepted.close();
            }
            Some("/reset") => accepted.reset(),
            _ => accepted.close(),
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    let requests = [get("/close"), get("/half-a-head"), get("/reset"), post("/close", "body")];
    for request in &requests {
        client.send(request);
        expect_problem(&client.response(), 502, request);
    }
    for (line, request) in edge.wait_for_log(4).iter().zip(requests) {
        expect_line(line, 502, "upstream_closed", 1, &request);
        assert!(line.get("edge.retry_reason").is_none(), "a fresh connection: {line:#}");
    }
    assert_eq!(stub.accepted(), 4, "each request was sent once");
    edge.wait_for_metric(&terminations("upstream_closed"), 4.0);
}

#[test]
fn a_worker_that_answers_nonsense_is_502() {
    let stub = Stub::start(nonsense);
    let edge = Edge::before(&[stub.address()], "");
    for (path, answer) in NONSENSE {
        let mut client = edge.connect();
        expect_problem(&client.get(path), 502, answer);
        assert_eq!(client.get("/fine").status, 200, "{path}: the client's connection is kept");
    }
    let lines = edge.wait_for_log(2 * NONSENSE.len());
    for line in lines.iter().filter(|line| line["url.path"] != "/fine") {
        expect_line(line, 502, "upstream_invalid", 1, "nonsense");
    }
    edge.wait_for_metric(&terminations("upstream_invalid"), 8.0);
}

#[test]
fn what_goes_wrong_after_the_head_aborts_the_response() {
    let (proceed, wait) = channel();
    let wait = Mutex::new(wait);
    let stub = Stub::start(move |mut accepted| {
        let request = accepted.request().unwrap_or_default();
        let bad = request.starts_with("GET /bad ");
        accepted.send(match request.split(' ').nth(1) {
            Some("/short") => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart",
            _ => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
        });
        // The client has the head.
        wait.lock().expect("a lock").recv_timeout(PATIENCE).expect("word of the test");
        if bad {
            accepted.send("no size\r\n");
        }
        accepted.close();
    });
    let edge = Edge::before(&[stub.address()], "");
    let cases = [
        ("/short", "upstream_closed"),
        ("/unended", "upstream_closed"),
        ("/bad", "upstream_invalid"),
    ];
    for (number, (path, termination)) in cases.into_iter().enumerate() {
        let mut client = edge.connect();
        client.send(get(path));
        assert_eq!(client.head().expect("a head").0, 200, "{path}: the head is passed on at once");
        let part =
            if path == "/short" { client.bytes(4) } else { client.chunk().expect("a chunk") };
        assert_eq!(part, b"part", "{path}: and so is the body");
        proceed.send(()).expect("the worker listens");
        let rest = client.rest();
        assert!(rest.is_empty(), "{path}: nothing ends the body: {}", rest.escape_ascii());
        let line = edge.wait_for_log(number + 1).remove(number);
        expect_line(&line, 200, termination, 1, path);
        assert_eq!(line["edge.response_aborted"], true, "{path}: {line:#}");
    }
}

/// Head and error in one piece: either the head is not out, and the client is told; or it is, and the end follows.
#[test]
fn nonsense_in_the_same_piece_as_the_head_is_told_as_it_is() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let bodies = ["no size\r\n", "4\r\npart\r\nno size\r\n"];
    for body in bodies {
        let stub = Stub::start(move |mut accepted| {
            accepted.request();
            accepted.send(format!("{head}{body}"));
            accepted.wait_for_fin();
        });
        let edge = Edge::before(&[stub.address()], "");
        let mut client = edge.connect();
        client.send(get("/"));
        let response = client.try_response_to("GET");
        let line = edge.only_log_line();
        let response = response.unwrap_or_else(|| panic!("{body:?}: an empty reply; {line:#}"));
        expect_line(&line, response.status, "upstream_invalid", 1, body);
        match response.status {
            502 => expect_problem(&response, 502, body),
            status => assert_eq!((status, response.complete), (200, false), "{body:?}"),
        }
    }
}

#[test]
fn what_the_app_answers_is_never_replaced() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let code = request.split(['/', ' ']).nth(2).unwrap_or_default().to_owned();
            accepted.send(format!(
                "HTTP/1.1 {code} Its Own\r\ncontent-type: text/x-app\r\ncontent-length: 3\r\n\r\napp"
            ));
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let codes = [400, 401, 403, 404, 408, 413, 418, 429, 431, 499, 500, 502, 503, 504, 599];
    let mut client = edge.connect();
    for code in codes {
        let response = client.get(&format!("/{code}"));
        assert_eq!((response.status, response.text().as_str()), (code, "app"), "{response:?}");
        assert_eq!(response.header("content-type"), Some("text/x-app"), "{response:?}");
        assert!(response.header("retry-after").is_none(), "nothing is added: {response:?}");
    }
    for (line, code) in edge.wait_for_log(codes.len()).iter().zip(codes) {
        expect_line(line, code, "ok", 1, "the app's answer");
    }
    assert_eq!(stub.accepted(), 2, "its connection is used again, but after the 500");
}

/// A supervised worker that ends for good when it is told to. Once asgate has given up hope, nobody waits for it.
#[test]
fn an_upstream_without_workers_is_503() {
    const SCRIPT: &str = r#"
import http.server, os, sys
port, marker = int(sys.argv[1]), sys.argv[2]
if os.path.exists(marker):
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/die":
            open(marker, "w").close()
            os._exit(1)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("worker.py");
    std::fs::write(&script, SCRIPT).expect("a script");
    let marker = directory.path().join("dead");
    let command = json!([python(), script, "{port}", marker]);
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {{ app: {{ command: {command}, restart: {{ backoff: 50ms, rapid_fail: {{ failures: 3 }} }} }} }} }}\n\
         routes: [{{ upstream: u }}]\n"
    ));
    let mut client = edge.connect();
    assert_eq!(client.get("/").status, 200, "the control: it serves");
    expect_problem(&edge.connect().get("/die"), 502, "its last request");
    // A line is written after its answer: the next request's must not come before it.
    edge.wait_for_log(2);
    let down = || {
        edge.metrics()
            .lines()
            .all(|line| !(line.starts_with("asgate_worker_up{") && line.ends_with(" 1")))
    };
    wait_for("the worker to be out of rotation", || down().then_some(()));
    for _ in 0..2 {
        expect_problem(&client.get("/"), 503, "no worker, on a connection that is kept");
    }
    let lines = edge.wait_for_log(4);
    assert_eq!(lines[1]["http.response.status_code"], 502, "its last request: {:#}", lines[1]);
    expect_line(&lines[2], 503, "no_worker", 0, "no worker");
    edge.wait_for_metric(&terminations("no_worker"), 2.0);
}

#[test]
fn a_client_that_leaves_before_the_answer_is_499_in_the_log_only() {
    let stub = Stub::start(|mut accepted| {
        accepted.request_head();
        accepted.wait_for_fin();
    });
    let edge = Edge::before(&[stub.address()], "");
    let half = "POST / HTTP/1.1\r\nHost: test.example\r\ncontent-length: 9\r\n\r\nhalf".to_owned();
    for (number, request) in [get("/"), post("/", "body"), half].iter().enumerate() {
        for reset in [false, true] {
            let connection = 2 * number + usize::from(reset);
            let mut client = edge.connect();
            client.send(request);
            stub.wait_until_received(connection, "\r\n\r\n");
            if reset {
                SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).expect("linger");
            }
            drop(client);
            let line = edge.wait_for_log(connection + 1).remove(connection);
            expect_line(&line, 499, "client_closed", 1, request);
        }
    }
    edge.wait_for_metric(&terminations("client_closed"), 6.0);
    edge.wait_for_metric(r#"asgate_requests_in_flight{upstream="u"}"#, 0.0);
}
