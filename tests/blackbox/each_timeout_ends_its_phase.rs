//! Each of the seven timeouts of a route ends the phase it is for, and nothing else: the client is told in time, the
//! log has the word, and the worker's connection ends with FIN and is never used again.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::{Accepted, Stub};

/// The limit that each test sets for its phase.
const LIMIT: Duration = Duration::from_millis(400);
/// Between two signs of life of a phase that must not be ended.
const PACE: Duration = Duration::from_millis(150);
/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(3);
/// Timers may be rounded down by this much.
const ROUNDING: Duration = Duration::from_millis(20);

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An edge with one route `/timed` under test, every other path without special limits, and one worker.
struct Scene {
    edge: Edge,
    stub: Stub,
    /// How the edge ended worker connections that were under way: `true` by FIN.
    ended: Receiver<bool>,
}

/// What became of a timed-out request.
struct Expected {
    status: u16,
    termination: &'static str,
    aborted: bool,
    limit: Duration,
}

impl Scene {
    /// `/timed` has these `timeouts`, given as in the configuration.
    fn new(timeouts: &str) -> Self {
        let (tell, ended) = channel();
        let stub = Stub::start(move |accepted| worker(accepted, &tell));
        let routes = format!(
            "  - {{ name: timed, match: {{ path: /timed }}, upstream: u, timeouts: {{ {timeouts} }} }}\n  \
             - {{ name: other, upstream: u }}"
        );
        let edge = Edge::before(&[stub.address()], &routes);
        Self { edge, stub, ended }
    }

    /// Checks the one log line so far, the end of the worker's connection, and that the next request is answered over
    /// another one.
    fn expect(&self, expected: &Expected) {
        let line = self.edge.only_log_line();
        expect_line(&line, expected);
        let fin = self.ended.recv_timeout(PATIENCE).expect("the worker's connection ends");
        assert!(fin, "the worker's connection ends with FIN, not with a reset");
        let next = self.edge.connect().get("/next");
        assert_eq!((next.status, next.text().as_str()), (200, "ok"), "the next request");
        assert_eq!(self.stub.accepted(), 2, "the next request has a worker connection of its own");
        let requests = self.stub.received(0).matches(" HTTP/1.1\r\n").count();
        assert_eq!(requests, 1, "nothing else was sent on the first: {}", self.stub.received(0));
    }
}

fn expect_line(line: &Value, expected: &Expected) {
    let status = &line["http.response.status_code"];
    assert_eq!(*status, expected.status, "status in the log: {line:#}");
    assert_eq!(line["edge.termination"], expected.termination, "termination: {line:#}");
    let aborted = line["edge.response_aborted"] == true;
    assert_eq!(aborted, expected.aborted, "edge.response_aborted: {line:#}");
    let duration = Duration::from_nanos(line["event.duration"].as_u64().expect("a duration"));
    let near = expected.limit - ROUNDING..expected.limit + SLACK;
    assert!(near.contains(&duration), "took {duration:?}, not {near:?}: {line:#}");
}

/// Serves one worker connection; the path says how.
fn worker(mut accepted: Accepted, ended: &Sender<bool>) {
    while let Some(head) = accepted.request_head() {
        let path = head.split(' ').nth(1).unwrap_or_default();
        match path {
            "/timed/silent" | "/timed/upload" => return tell_end(accepted, ended),
            "/timed/half" => {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
                return tell_end(accepted, ended);
            }
            "/timed/drip" => {
                accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                for _ in 0..10 {
                    accepted.send("1\r\n.\r\n");
                    sleep(PACE);
                }
                return tell_end(accepted, ended);
            }
            "/timed/flood" => {
                flood(&mut accepted);
                return tell_end(accepted, ended);
            }
            "/timed/ws" => {
                accepted.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
                return tell_end(accepted, ended);
            }
            "/timed/ws-echo" => {
                accepted.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
                while let Some(byte) = accepted.bytes(1) {
                    accepted.send(byte);
                }
                return;
            }
            "/timed/soon" => {
                sleep(PACE);
                accepted.send(OK);
            }
            "/timed/paced" => {
                accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                for _ in 0..6 {
                    accepted.send("1\r\n.\r\n");
                    sleep(PACE);
                }
                accepted.send("0\r\n\r\n");
            }
            "/timed/big" => {
                accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n"));
                accepted.send(vec![b'x'; BIG]);
            }
            "/timed/take" => {
                accepted.until(b"0\r\n\r\n");
                accepted.send(OK);
            }
            _ => {
                accepted.send(OK);
            }
        }
    }
}

/// Much more than the sockets between a worker and a client hold.
const BIG: usize = 24 << 20;

/// Sends a big response until nobody takes more of it.
fn flood(accepted: &mut Accepted) {
    accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1 << 30));
    accepted.stream.set_write_timeout(Some(PACE)).expect("a write timeout");
    while accepted.send([b'x'; 16 * 1024]) {}
}

fn tell_end(mut accepted: Accepted, ended: &Sender<bool>) {
    // The test may be over.
    let _ = ended.send(accepted.wait_for_fin());
}

fn websocket(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A listening socket that answers no connection attempt, as its queue is full, and what fills it.
fn full_listener() -> (TcpListener, SocketAddr, TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("listening");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("its address");
    let filler = TcpStream::connect(address).expect("the one place in the queue");
    (listener, address, filler)
}

#[test]
fn connect_is_answered_with_504_and_the_late_connection_serves_later() {
    let (listener, address, filler) = full_listener();
    let routes = "  - { match: { path: /timed }, upstream: u, timeouts: { connect: 400ms } }\n  \
                  - { upstream: u, timeouts: { connect: off } }";
    let edge = Edge::before(&[address], routes);
    let mut client = edge.connect();
    let response = client.get("/timed");
    assert_eq!(response.status, 504, "{response:?}");
    let line = edge.only_log_line();
    let expected =
        Expected { status: 504, termination: "upstream_timeout", aborted: false, limit: LIMIT };
    expect_line(&line, &expected);
    assert_eq!(line["edge.attempts"], 1, "there is no other worker to try: {line:#}");
    assert!(line.get("edge.retry_reason").is_none(), "so nothing was tried again: {line:#}");
    let timed_out = r#"asgate_upstream_connects_total{result="timed_out",upstream="u",worker=""#;
    let counted = edge.metrics().lines().any(|l| l.starts_with(timed_out) && l.ends_with(" 1"));
    assert!(counted, "the attempt is counted:\n{}", edge.metrics());

    // The control: with `connect: off` the same attempt waits for longer than the limit and than the default of 1s.
    let mut patient = edge.connect();
    patient.send("GET /off HTTP/1.1\r\nHost: test.example\r\n\r\n");
    assert!(patient.is_quiet_for(Duration::from_millis(1200)), "`connect: off` waits");
    drop(filler);
    let _stub = Stub::on(listener, |mut accepted| {
        while accepted.request().is_some() {
            accepted.send(OK);
        }
    });
    assert_eq!(patient.response().status, 200, "and is answered once the worker accepts");
    for _ in 0..3 {
        let response = client.get("/timed");
        assert_eq!(response.status, 200, "late connections are no trap: {response:?}");
    }
}

#[test]
fn first_byte_is_answered_with_504() {
    let scene = Scene::new("first_byte: 400ms");
    let mut client = scene.edge.connect();
    let response = client.get("/timed/silent");
    assert_eq!((response.status, response.complete), (504, true), "{response:?}");
    assert_eq!(client.get("/").status, 200, "the client's connection is kept");
    let lines = scene.edge.wait_for_log(2);
    let expected =
        Expected { status: 504, termination: "upstream_timeout", aborted: false, limit: LIMIT };
    expect_line(&lines[0], &expected);
    let fin = scene.ended.recv_timeout(PATIENCE).expect("the worker's connection ends");
    assert!(fin, "with FIN, not with a reset");
    assert_eq!(scene.stub.accepted(), 2, "the next request has a worker connection of its own");
}

#[test]
fn first_byte_on_a_reused_connection_is_no_reason_to_send_again() {
    let scene = Scene::new("first_byte: 400ms");
    let mut client = scene.edge.connect();
    assert_eq!(client.get("/timed/first").status, 200, "a first request");
    assert_eq!(client.get("/timed/silent").status, 504, "a second on the same worker connection");
    let line = scene.edge.wait_for_log(2).remove(1);
    assert_eq!(line["edge.connection_reused"], true, "{line:#}");
    assert_eq!(line["edge.attempts"], 1, "the worker has the request: {line:#}");
    assert_eq!(scene.stub.accepted(), 1, "no second connection");
    assert!(scene.ended.recv_timeout(PATIENCE).expect("an end"), "with FIN, not with a reset");
}

#[test]
fn first_byte_leaves_an_answer_within_the_limit_alone() {
    let scene = Scene::new("first_byte: 400ms");
    let mut client = scene.edge.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/timed/soon").status, 200, "answered after {PACE:?}");
    }
    assert_eq!(scene.stub.accepted(), 1, "the worker's connection is used again");
}

#[test]
fn idle_aborts_the_response() {
    let scene = Scene::new("idle: 400ms");
    let response = scene.edge.connect().get("/timed/half");
    assert_eq!((response.status, response.complete), (200, false), "cut short: {response:?}");
    assert_eq!(response.text(), "half", "what came before is passed on");
    scene.expect(&Expected {
        status: 200,
        termination: "upstream_timeout",
        aborted: true,
        limit: LIMIT,
    });
}

#[test]
fn idle_leaves_a_response_in_steady_pieces_alone() {
    let scene = Scene::new("idle: 400ms");
    let begun = Instant::now();
    let response = scene.edge.connect().get("/timed/paced");
    assert!(response.complete, "whole: {response:?}");
    assert_eq!(response.text(), "......", "all pieces");
    assert!(begun.elapsed() > LIMIT, "it took longer than the limit");
    assert_eq!(scene.edge.only_log_line()["edge.termination"], "ok", "the word");
}

#[test]
fn total_before_the_head_is_answered_with_504() {
    let scene = Scene::new("total: 400ms");
    let response = scene.edge.connect().get("/timed/silent");
    assert_eq!((response.status, response.complete), (504, true), "{response:?}");
    scene.expect(&Expected {
        status: 504,
        termination: "upstream_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

#[test]
fn total_holds_where_the_other_limits_are_off() {
    let scene = Scene::new("total: 400ms, connect: off, first_byte: off, idle: off");
    assert_eq!(scene.edge.connect().get("/timed/silent").status, 504, "before the head");
    scene.expect(&Expected {
        status: 504,
        termination: "upstream_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

#[test]
fn total_after_the_head_aborts_the_response_however_lively() {
    let scene = Scene::new("total: 400ms, idle: 300ms");
    let response = scene.edge.connect().get("/timed/drip");
    assert_eq!((response.status, response.complete), (200, false), "cut short: {response:?}");
    assert!(!response.body.is_empty(), "what came before is passed on");
    scene.expect(&Expected {
        status: 200,
        termination: "upstream_timeout",
        aborted: true,
        limit: LIMIT,
    });
}

#[test]
fn total_covers_the_upload_too() {
    let scene = Scene::new("total: 400ms");
    let mut client = scene.edge.connect();
    client.send("POST /timed/upload HTTP/1.1\r\nHost: test.example\r\ncontent-length: 9\r\n\r\nhalf");
    let response = client.response();
    assert_eq!(response.status, 504, "as the outcome table has it: {response:?}");
    scene.expect(&Expected {
        status: 504,
        termination: "upstream_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

#[test]
fn total_leaves_a_request_within_it_alone() {
    let scene = Scene::new("total: 400ms");
    let mut client = scene.edge.connect();
    for _ in 0..4 {
        let response = client.get("/timed/soon");
        assert_eq!(response.status, 200, "each request has the whole limit: {response:?}");
    }
    assert_eq!(scene.stub.accepted(), 1, "the worker's connection is used again");
}

#[test]
fn total_off_is_no_limit() {
    let scene = Scene::new("total: off, idle: 400ms");
    let response = scene.edge.connect().get("/timed/paced");
    assert!(response.complete, "{:?} in all, {PACE:?} apart: {response:?}", 6 * PACE);
}

#[test]
fn websocket_idle_ends_the_tunnel() {
    let scene = Scene::new("websocket_idle: 400ms");
    let mut client = scene.edge.connect();
    client.send(websocket("/timed/ws"));
    assert_eq!(client.head().expect("a head").0, 101, "upgraded");
    let (_, rest) = client.time_to_end();
    assert!(rest.is_empty(), "nothing is made up: {:?}", rest.escape_ascii().to_string());
    let line = scene.edge.only_log_line();
    assert_eq!(line["edge.termination"], "websocket_idle", "{line:#}");
    assert_eq!(line["http.response.status_code"], 101, "{line:#}");
    let duration = Duration::from_nanos(line["event.duration"].as_u64().expect("a duration"));
    assert!((LIMIT - ROUNDING..LIMIT + SLACK).contains(&duration), "near {LIMIT:?}: {duration:?}");
    assert!(scene.ended.recv_timeout(PATIENCE).expect("an end"), "the worker gets FIN");
    assert_eq!(scene.edge.connect().get("/next").status, 200, "the next request");
    assert_eq!(scene.stub.accepted(), 2, "on a connection of its own");
}

#[test]
fn websocket_idle_leaves_a_tunnel_with_traffic_in_one_direction_alone() {
    for direction in ["up", "both"] {
        let scene = Scene::new("websocket_idle: 400ms");
        let mut client = scene.edge.connect();
        let path = if direction == "up" { "/timed/ws" } else { "/timed/ws-echo" };
        client.send(websocket(path));
        assert_eq!(client.head().expect("a head").0, 101, "upgraded");
        for number in 0..6 {
            client.send("x");
            if direction == "both" {
                assert_eq!(client.bytes(1), b"x", "byte {number} comes back");
            }
            sleep(PACE);
        }
        let (quiet, _) = client.time_to_end();
        assert!(quiet < LIMIT + SLACK, "{direction}: ended after {quiet:?} of silence");
        let line = scene.edge.only_log_line();
        let duration = Duration::from_nanos(line["event.duration"].as_u64().expect("a duration"));
        assert!(duration > 6 * PACE, "{direction}: ended only when idle, {duration:?}: {line:#}");
        assert_eq!(line["edge.termination"], "websocket_idle", "{direction}: {line:#}");
    }
}

#[test]
fn request_body_is_answered_with_408() {
    let framings = ["content-length: 9\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"];
    for framing in framings {
        let scene = Scene::new("request_body: 400ms");
        let mut client = scene.edge.connect();
        client.send(format!("POST /timed/upload HTTP/1.1\r\nHost: test.example\r\n{framing}"));
        let response = client.response();
        assert_eq!((response.status, response.complete), (408, true), "{framing:?}: {response:?}");
        assert!(client.rest().is_empty(), "{framing:?}: the client's connection is closed");
        scene.expect(&Expected {
            status: 408,
            termination: "client_timeout",
            aborted: false,
            limit: LIMIT,
        });
    }
}

#[test]
fn request_body_that_never_begins_is_answered_with_408() {
    let scene = Scene::new("request_body: 400ms");
    let mut client = scene.edge.connect();
    client.send("POST /timed/upload HTTP/1.1\r\nHost: test.example\r\ncontent-length: 9\r\n\r\n");
    assert_eq!(client.response().status, 408, "no byte of the body came");
    let line = scene.edge.only_log_line();
    assert_eq!(line["edge.termination"], "client_timeout", "{line:#}");
}

#[test]
fn request_body_of_a_client_that_did_not_wait_for_100_continue_has_its_limit_too() {
    let scene = Scene::new("request_body: 400ms, first_byte: 5s");
    let mut client = scene.edge.connect();
    client.send(
        "POST /timed/upload HTTP/1.1\r\nHost: test.example\r\nExpect: 100-continue\r\n\
         content-length: 9\r\n\r\nhalf",
    );
    let response = client.response();
    assert_eq!(response.status, 408, "its body has begun and stopped: {response:?}");
    scene.expect(&Expected {
        status: 408,
        termination: "client_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

#[test]
fn request_body_leaves_an_upload_in_steady_pieces_alone() {
    let scene = Scene::new("request_body: 400ms");
    let mut client = scene.edge.connect();
    client.send("POST /timed/take HTTP/1.1\r\nHost: test.example\r\ntransfer-encoding: chunked\r\n\r\n");
    let begun = Instant::now();
    for _ in 0..6 {
        client.send("1\r\n.\r\n");
        sleep(PACE);
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().status, 200, "answered");
    assert!(begun.elapsed() > LIMIT, "it took longer than the limit");
    assert_eq!(client.get("/").status, 200, "the client's connection is kept");
    assert_eq!(scene.stub.accepted(), 1, "the worker's connection is used again");
}

#[test]
fn client_write_closes_the_connection_of_a_client_that_takes_nothing() {
    let scene = Scene::new("client_write: 400ms");
    let mut client = scene.edge.connect();
    client.send("GET /timed/flood HTTP/1.1\r\nHost: test.example\r\n\r\n");
    scene.edge.only_log_line();
    let response = client.response();
    assert_eq!((response.status, response.complete), (200, false), "cut short");
    scene.expect(&Expected {
        status: 200,
        termination: "client_timeout",
        aborted: true,
        limit: LIMIT,
    });
}

#[test]
fn client_write_leaves_a_client_that_takes_its_bytes_slowly_alone() {
    let scene = Scene::new("client_write: 400ms");
    let mut client = scene.edge.connect();
    client.send("GET /timed/big HTTP/1.1\r\nHost: test.example\r\n\r\n");
    assert_eq!(client.head().expect("a head").0, 200, "a response");
    let begun = Instant::now();
    for _ in 0..8 {
        assert_eq!(client.bytes(BIG / 8).len(), BIG / 8, "a part");
        sleep(PACE);
    }
    assert!(begun.elapsed() > 2 * LIMIT, "it took longer than the limit");
    assert_eq!(scene.edge.only_log_line()["edge.termination"], "ok", "the word");
}

#[test]
fn client_write_does_not_count_while_the_worker_has_nothing_to_send() {
    let scene = Scene::new("client_write: 100ms, idle: 2s");
    let response = scene.edge.connect().get("/timed/paced");
    assert!(response.complete, "pieces {PACE:?} apart: {response:?}");
}

#[test]
fn routes_of_one_edge_have_timeouts_of_their_own() {
    let stub = Stub::start(|mut accepted| {
        while accepted.request().is_some() {
            sleep(Duration::from_secs(1));
            accepted.send(OK);
        }
    });
    let routes = "  - { match: { path: /quick }, upstream: u, timeouts: { first_byte: 300ms } }\n  \
                  - { match: { path: /quick/but/long }, upstream: u, timeouts: { first_byte: 10s } }\n  \
                  - { match: { path: /never }, upstream: u, timeouts: { first_byte: off } }\n  \
                  - { upstream: u }";
    let edge = Edge::before(&[stub.address()], routes);
    let cases = [("/quick", 504), ("/quick/but/long", 200), ("/never", 200), ("/default", 200)];
    let mut clients: Vec<_> = cases.iter().map(|_| edge.connect()).collect();
    for (client, (path, _)) in clients.iter_mut().zip(cases) {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n"));
    }
    for (client, (path, status)) in clients.iter_mut().zip(cases) {
        assert_eq!(client.response().status, status, "{path}: the worker takes 1s");
    }
}

/// The control of what `Scene` relies on: the stub tells a reset from FIN.
#[test]
fn a_reset_of_a_worker_connection_would_be_noticed() {
    let (tell, ended) = channel();
    let stub = Stub::start(move |accepted| worker(accepted, &tell));
    for (reset, expected) in [(true, false), (false, true)] {
        let mut client = Client::connect(stub.address());
        client.send("GET /timed/half HTTP/1.1\r\n\r\n");
        assert_eq!(client.head().expect("a head").0, 200, "its head");
        if reset {
            let linger = socket2::SockRef::from(&client.stream);
            linger.set_linger(Some(Duration::ZERO)).expect("linger");
        } else {
            client.finish();
            let mut byte = [0];
            while !matches!(client.stream.read(&mut byte), Ok(0)) {}
        }
        drop(client);
        let fin = ended.recv_timeout(PATIENCE).expect("an end");
        assert_eq!(fin, expected, "reset: {reset}");
    }
}
