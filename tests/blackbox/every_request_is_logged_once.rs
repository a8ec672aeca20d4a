//! Every request has one access-log line and is counted once in `asgate_requests_total`, whatever became of it; what is no
//! request has none.

use std::net::Shutdown;

use serde_json::Value;

use crate::support::edge::Edge;
use crate::support::frames::{DATA, Frames};
use crate::support::http2;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// A path that the worker never answers.
const SILENT: &str = "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n";

fn worker() -> Stub {
    Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            if request.contains(" /silent ") {
                accepted.wait_for_fin();
                return;
            }
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    })
}

/// Checks that there are exactly these lines, status and termination, in any order, and as much in the metrics.
fn expect(edge: &Edge, expected: &[(u16, &str)]) -> Vec<Value> {
    let lines = edge.wait_for_log(expected.len());
    let mut found: Vec<_> = lines
        .iter()
        .map(|line| {
            let status = line["http.response.status_code"].as_u64().unwrap_or_default();
            (status as u16, line["edge.termination"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let mut expected: Vec<_> =
        expected.iter().map(|(status, word)| (*status, (*word).to_owned())).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{lines:#?}");
    let total = expected.len() as f64;
    wait_for("the metric", || (edge.requests_counted() >= total).then_some(()));
    assert_eq!(edge.requests_counted(), total, "as many counted as logged: {}", edge.metrics());
    assert_eq!(edge.access_log().len(), expected.len(), "no line came later");
    let mut ids: Vec<_> = lines.iter().map(|line| line["http.request.id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), expected.len(), "each has an id of its own: {lines:#?}");
    lines
}

#[test]
fn requests_that_are_refused_are_logged_with_what_is_known() {
    let stub = worker();
    let routes = "  - { name: app, match: { host: a }, upstream: u, limits: { body: 1KiB } }";
    let edge = Edge::before(&[stub.address()], routes);
    let requests: [(&[u8], u16, &str, &str, &str); 16] = [
        (b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "ok", "GET", "/x"),
        (b"GET /x HTTP/1.1\r\nHost: b\r\n\r\n", 404, "no_route", "GET", "/x"),
        (b"GET /x HTTP/1.1\r\n\r\n", 400, "bad_request", "GET", "/x"),
        (b"GET /x?q HTTP/1.1\r\n\r\n", 400, "bad_request", "GET", "/x"),
        (b"GET /x?q HTTP/1.0\r\nHost: a b\r\n\r\n", 400, "bad_request", "GET", "/x"),
        (b"GET /x HTTP/1.1\nHost: a\n\n", 400, "bad_request", "GET", "/x"),
        (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request", "GET", "/%00"),
        (b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request", "GET", "*"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, "bad_request", "CONNECT", "*"),
        (b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", 405, "bad_request", "TRACE", "/x"),
        (
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nhi",
            400,
            "bad_request",
            "POST",
            "/x",
        ),
        (
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            400,
            "bad_request",
            "POST",
            "/x",
        ),
        (
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n",
            413,
            "limit",
            "POST",
            "/x",
        ),
        (b"GET /x HTTP/3.0\r\nHost: a\r\n\r\n", 400, "bad_request", "GET", "/x"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "bad_request", "*", "*"),
        (b"GET /a\"b\\c HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request", "GET", "*"),
    ];
    let mut expected = Vec::new();
    let mut sent = Vec::new();
    for (bytes, status, termination, ..) in requests {
        let mut client = edge.connect();
        client.send(bytes);
        let response = client.try_response_to("GET").expect("an answer");
        sent.push((client.local_address().port(), response.body.len()));
        expected.push((status, termination));
    }
    let lines = expect(&edge, &expected);
    for ((bytes, _, _, method, path), (port, length)) in requests.iter().zip(sent) {
        let what = bytes.escape_ascii();
        let line =
            lines.iter().find(|line| line["client.port"] == port).expect("a line of this client");
        assert_eq!(line["client.ip"], "127.0.0.1", "{what}: {line}");
        assert!(*method == "*" || line["http.request.method"] == *method, "{what}: {line}");
        assert!(*path == "*" || line["url.path"] == *path, "{what}: {line}");
        let query = bytes.windows(2).any(|pair| pair == b"?q");
        assert_eq!(line["url.query"] == "q", query, "{what}: the query is not the path: {line}");
        assert_eq!(line["http.response.body.bytes"], length, "{what}: what was sent: {line}");
        let old = bytes.windows(8).any(|word| word == b"HTTP/1.0");
        assert_eq!(line["http.version"] == "1.0", old, "{what}: {line}");
        assert!(
            line["event.duration"].is_u64() && line["@timestamp"].is_string(),
            "{what}: {line}"
        );
    }
}

#[test]
fn requests_of_one_connection_are_logged_each() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/one-by-one").status, 200, "one by one");
    }
    client.send("GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
    for _ in 0..3 {
        assert_eq!(client.response().status, 200, "pipelined");
    }
    client.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().status, 200, "the good one");
    assert_eq!(client.response().status, 400, "the bad one behind it");
    assert_eq!(client.rest(), b"", "and none after that");
    let mut expected = vec![(200, "ok"); 7];
    expected.push((400, "bad_request"));
    let lines = expect(&edge, &expected);
    assert!(lines.iter().all(|line| line["http.request.method"] == "GET"), "{lines:#?}");
}

#[test]
fn clients_that_leave_are_logged_as_such() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    // In the middle of the head, by FIN and by a reset.
    for begun in ["G", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = edge.connect();
        client.send(begun);
    }
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\n");
    let socket = socket2::SockRef::from(&client.stream);
    socket.set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    drop(client);
    // In the middle of the body.
    let mut client = edge.connect();
    client.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart");
    stub.wait_until_received(0, "part");
    drop(client);
    // Before the answer.
    let mut client = edge.connect();
    client.send(SILENT);
    wait_for("the request at the worker", || {
        stub.received_in_all().contains("/silent").then_some(())
    });
    client.stream.shutdown(Shutdown::Both).expect("closed");
    let lines = expect(&edge, &[(499, "client_closed"); 6]);
    assert_eq!(lines.iter().filter(|line| line["url.path"] == "/silent").count(), 1, "{lines:#?}");
    assert_eq!(edge.connect().get("/control").status, 200, "the others are served");
}

#[test]
fn connections_without_a_request_are_not_logged() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    drop(edge.connect());
    let mut client = edge.connect();
    client.send("\r\n\r\n");
    drop(client);
    let mut kept = edge.connect();
    assert_eq!(kept.get("/").status, 200, "one request");
    drop(kept);
    let series = r#"asgate_listener_connections{listener="127.0.0.1:0"}"#;
    edge.wait_for_metric(series, 0.0);
    expect(&edge, &[(200, "ok")]);
}

#[test]
fn http2_requests_are_logged_each() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    let answers = http2::run(
        edge.address(),
        r#"
first = [c.open("GET", f"/{n}") for n in range(5)]
statuses = [c.answer(stream)["status"] for stream in first]
statuses.append(c.answer(c.open("GET", "/x", host="a,b"))["status"])
statuses.append(c.answer(c.open("TRACE", "/x"))["status"])
c.engine.close_connection()
c.flush()
tell(statuses)
"#,
    );
    assert_eq!(answers.to_string(), "[200,200,200,200,200,400,405]", "in their order");
    let mut client = Frames::connect(edge.address());
    client.get(1, "/silent");
    wait_for("it to be at the worker", || {
        stub.received_in_all().contains("GET /silent ").then_some(())
    });
    client.reset(1);
    client.get(3, "/last");
    client.until(DATA);
    let mut expected = vec![(200, "ok"); 6];
    expected.extend([(400, "bad_request"), (405, "bad_request"), (499, "client_closed")]);
    let lines = expect(&edge, &expected);
    assert!(lines.iter().all(|line| line["http.version"] == "2"), "{lines:#?}");
}
