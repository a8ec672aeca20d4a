//! A request head has to be there within the listener's `header_timeout`, counted from its first byte, however the bytes
//! come: 408, the connection ends, and the log says `client_timeout`.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// What the tests configure.
const LIMIT: Duration = Duration::from_millis(500);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(4);

/// An edge whose listener has `header_timeout: 500ms` and a far longer `idle_timeout`.
fn edge(stub: &Stub) -> Edge {
    edge_with(stub, "500ms")
}

fn edge_with(stub: &Stub, header_timeout: &str) -> Edge {
    Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\", http2: true, header_timeout: {header_timeout}, idle_timeout: 60s }}]\n\
         admin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {{ servers: [{{ address: \"{}\" }}] }} }}\nroutes: [{{ upstream: u }}]\n",
        stub.address()
    ))
}

/// Waits for the 408 to a head that was begun at `begun`, and for the end of the connection.
fn expect_timeout(what: &str, client: &mut Client, begun: Instant) {
    let response = client.response();
    let after = begun.elapsed();
    assert_eq!(response.status, 408, "{what}: {response:?}");
    assert_eq!(response.header("connection"), Some("close"), "{what}: {response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
    assert!(after >= LIMIT - Duration::from_millis(50), "{what}: only after {after:?}");
    assert!(after < LIMIT + SLACK, "{what}: at last, not after {after:?}");
    assert_eq!(client.rest(), b"", "{what}: the connection ends");
}

#[test]
fn half_a_head_is_not_waited_for() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    let halves = [
        ("one byte", "G"),
        ("half a line", "GET / HT"),
        ("HTTP/0.9", "GET /\r\n"),
        ("half a header", "GET / HTTP/1.1\r\nHost: a\r\nX: "),
        ("all but the last byte", "GET / HTTP/1.1\r\nHost: a\r\n\r"),
        ("half a preface", "PRI * HTTP/2.0\r\n"),
        ("the first byte of a preface", "P"),
    ];
    for (number, (what, half)) in halves.into_iter().enumerate() {
        let mut client = edge.connect();
        let begun = Instant::now();
        client.send(half);
        expect_timeout(what, &mut client, begun);
        let line = edge.wait_for_log(number + 1).remove(number);
        assert_eq!(line["http.response.status_code"], 408, "{what}: {line}");
        assert_eq!(line["edge.termination"], "client_timeout", "{what}: {line}");
        // The log's time begins with the first byte too: a slow client shows in it.
        let took = Duration::from_nanos(line["event.duration"].as_u64().expect("nanoseconds"));
        assert!(took >= LIMIT - Duration::from_millis(50), "{what}: logged as {took:?}: {line}");
    }
    assert_eq!(stub.accepted(), 0, "the worker never hears of it");
}

#[test]
fn a_byte_now_and_then_does_not_help() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    for requests_before in [0, 2] {
        let mut client = edge.connect();
        for _ in 0..requests_before {
            assert_eq!(client.get("/").status, 200, "the connection is a good one");
        }
        let begun = Instant::now();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
        // Each byte comes well within the limit; all of them do not.
        let is_answered = (0..100).any(|_| {
            client.try_send("y");
            !client.is_quiet_for(LIMIT / 10)
        });
        assert!(is_answered, "after {requests_before} requests: dripping goes on for ever");
        expect_timeout("dripping", &mut client, begun);
    }
}

#[test]
fn the_time_begins_with_the_first_byte() {
    let stub = Stub::ok();
    let limit = Duration::from_secs(3);
    let edge = edge_with(&stub, "3s");
    let mut client = edge.connect();
    for _ in 0..2 {
        assert!(
            client.is_quiet_for(limit + LIMIT),
            "idle for longer than a head may take is no offence"
        );
        assert_eq!(client.get("/").status, 200, "and the request is served");
    }
    // In three pieces within the limit: slow, but not too slow.
    for piece in ["GET / HTTP/1.1\r\nHo", "st: a\r\nX: y\r", "\n\r\n"] {
        assert!(client.is_quiet_for(limit / 10), "no answer before the head is whole");
        client.send(piece);
    }
    assert_eq!(client.response().status, 200, "in pieces");
}

#[test]
fn the_body_has_its_own_time() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    let mut client = edge.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    assert!(client.is_quiet_for(LIMIT * 2), "the head is there: its time does not matter any more");
    client.send("body");
    assert_eq!(client.response().status, 200, "served");
}
