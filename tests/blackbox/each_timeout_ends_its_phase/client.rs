//! The phases in which the edge waits for the client: `request_body`, `client_write`, and `websocket_idle`, which is
//! both sides'.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{AMPLE, BEATS, BIG, Expected, LIMIT, PACE, ROUNDING, SLACK, Scene};
use crate::support::PATIENCE;
use crate::support::frames::{Frames, GOAWAY, RST_STREAM};
use crate::support::http2;

fn websocket(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
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
    let scene = Scene::new("websocket_idle: 4s");
    let [mut up, mut both] = ["/timed/ws-take", "/timed/ws-echo"].map(|path| {
        let mut client = scene.edge.connect();
        client.send(websocket(path));
        assert_eq!(client.head().expect("a head").0, 101, "{path}: upgraded");
        client
    });
    let begun = Instant::now();
    for number in 0..BEATS {
        up.send("x");
        both.send("x");
        assert_eq!(both.bytes(1), b"x", "byte {number} comes back");
        sleep(PACE);
    }
    assert!(begun.elapsed() > AMPLE, "it took longer than the limit");
    up.send("last");
    scene.stub.wait_until_received(0, "last");
    both.send("last");
    assert_eq!(both.bytes(4), b"last", "the other one lives, too");
}

#[test]
fn request_body_is_answered_with_408() {
    let framings =
        ["content-length: 9\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"];
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
    let scene = Scene::new("request_body: 4s");
    let mut client = scene.edge.connect();
    client.send(
        "POST /timed/take HTTP/1.1\r\nHost: test.example\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    let begun = Instant::now();
    for _ in 0..BEATS {
        client.send("1\r\n.\r\n");
        sleep(PACE);
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.response().status, 200, "answered");
    assert!(begun.elapsed() > AMPLE, "it took longer than the limit");
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
    let scene = Scene::new("client_write: 4s");
    let mut client = scene.edge.connect();
    client.send("GET /timed/big HTTP/1.1\r\nHost: test.example\r\n\r\n");
    assert_eq!(client.head().expect("a head").0, 200, "a response");
    let begun = Instant::now();
    for _ in 0..BEATS {
        assert_eq!(client.bytes(BIG / BEATS).len(), BIG / BEATS, "a part");
        sleep(PACE);
    }
    assert!(begun.elapsed() > AMPLE, "it took longer than the limit");
    assert_eq!(scene.edge.only_log_line()["edge.termination"], "ok", "the word");
}

#[test]
fn client_write_does_not_count_while_the_worker_has_nothing_to_send() {
    let scene = Scene::new("client_write: 100ms, idle: 10s");
    let response = scene.edge.connect().get("/timed/paced");
    assert!(response.complete, "pieces {PACE:?} apart: {response:?}");
}

/// Pingora's own read timeout does nothing on HTTP/2 (facts/pingora.md §10, 16).
#[test]
fn request_body_holds_on_http2() {
    let scene = Scene::new("request_body: 400ms");
    let script = "
one = c.open('POST', '/timed/upload', end=False)
c.data(one, b'half')
tell(c.answer(one))
";
    let answer = http2::run(scene.edge.address(), script);
    assert_eq!(answer["status"], 408, "{answer:#}");
    scene.expect(&Expected {
        status: 408,
        termination: "client_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

/// A stream whose window the client does not open is a client that takes nothing.
#[test]
fn client_write_holds_on_http2() {
    let scene = Scene::new("client_write: 400ms");
    let mut client = Frames::connect(scene.edge.address());
    client.get(1, "/timed/flood");
    let frames = client.until(RST_STREAM);
    assert!(frames.iter().all(|frame| frame.kind != GOAWAY), "only the stream ends");
    scene.expect(&Expected {
        status: 200,
        termination: "client_timeout",
        aborted: true,
        limit: LIMIT,
    });
}
