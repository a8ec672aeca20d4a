//! A body that fits `body_buffer` can be sent again, byte for byte; a longer one is sent once.

use std::net::SocketAddr;

use super::{TURNS, expect_retries};
use crate::support::client::{Client, Response};
use crate::support::closed_port::ClosedPort;
use crate::support::edge::Edge;
use crate::support::pool::Pool;
use crate::support::stub::Stub;

const KIB: usize = 1024;

/// On each connection the first request is answered with its own body; the second one is read and the connection closed.
fn closing_at_the_second() -> Stub {
    Stub::start(|mut accepted| {
        if let Some(request) = accepted.request_bytes() {
            let at = request.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
            let body = &request[at + 4..];
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            accepted.send([head.as_bytes(), body].concat());
            accepted.request_bytes();
        }
        accepted.close();
    })
}

/// Bytes that nobody would guess, and that no framing hides in.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + u8::try_from(at * at % 23).expect("a letter")).collect()
}

fn edge(worker: SocketAddr, retry: &str) -> Edge {
    Pool::with(&format!("{TURNS}, retry: {{ {retry} }}")).before(&[worker])
}

/// A PUT, which is idempotent, over a connection that the worker closes when it has all of it.
fn put_when_stale(stub: &Stub, edge: &Edge, body: &[u8]) -> Response {
    let mut client = edge.connect();
    assert_eq!(client.get("/first").status, 200, "a connection to be kept");
    client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\ncontent-length: {}\r\n\r\n", body.len()));
    client.try_send(body);
    let response = client.response();
    let puts = (0..stub.accepted()).filter(|number| stub.received(*number).contains("PUT / "));
    let line = edge.wait_for_log(2).remove(1);
    assert_eq!(line["edge.attempts"], puts.count(), "{line:#}");
    response
}

#[test]
fn up_to_the_buffer_it_is_sent_again() {
    let cases = [
        ("", 1, true),
        ("", 64 * KIB, true),
        ("", 64 * KIB + 1, false),
        ("", 500 * KIB, false),
        ("body_buffer: 1MiB", 500 * KIB, true),
        ("body_buffer: 1KiB", KIB, true),
        ("body_buffer: 1KiB", KIB + 1, false),
    ];
    for (retry, length, is_kept) in cases {
        let what = format!("{{ {retry} }}: {length} bytes");
        let stub = closing_at_the_second();
        let edge = edge(stub.address(), retry);
        let body = body(length);
        let response = put_when_stale(&stub, &edge, &body);
        let line = edge.wait_for_log(2).remove(1);
        if is_kept {
            assert_eq!(response.status, 200, "{what}: {line:#}");
            assert!(response.body == body, "{what}: byte for byte");
            assert_eq!(line["edge.retry_reason"], "stale", "{what}: {line:#}");
            expect_retries(&edge, "stale", 1);
        } else {
            assert_eq!(response.status, 502, "{what}: {line:#}");
            assert_eq!(line["edge.termination"], "upstream_closed", "{what}: {line:#}");
            assert_eq!(line["edge.attempts"], 1, "{what}: {line:#}");
        }
    }
}

#[test]
fn in_chunks_too() {
    let chunks: [&[u8]; 3] = [b"first", b"second part", b"the third and last one"];
    let stub = closing_at_the_second();
    let edge = edge(stub.address(), "");
    let mut client = edge.connect();
    assert_eq!(client.get("/first").status, 200, "a connection to be kept");
    client.send("PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    for chunk in chunks {
        client.send(format!("{:x}\r\n", chunk.len()));
        client.send(chunk);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 200, "{response:?}");
    // The worker answers with what it read, chunk sizes included.
    assert_eq!(unchunked(&response.body), chunks.concat(), "byte for byte: {}", response.text());
    assert_eq!(edge.wait_for_log(2)[1]["edge.attempts"], 2, "the control: it was sent twice");
}

/// The data of a chunked body.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some(at) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..at]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        data.extend(&body[at + 2..][..size]);
        body = &body[at + 2 + size + 2..];
    }
    data
}

/// Nothing of it was sent, so its length does not matter.
#[test]
fn of_any_length_when_there_was_no_connection() {
    let dead = ClosedPort::reserve();
    let good = Stub::echoing();
    let edge = Pool::with(TURNS).before(&[dead.address(), good.address()]);
    let body = body(900 * KIB);
    for number in 0..4 {
        let mut client = Client::connect(edge.address());
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: {}\r\n\r\n", body.len()));
        client.send(&body);
        let response = client.response();
        assert_eq!(response.status, 200, "request {number}: {:?}", response.headers);
        assert!(response.body.ends_with(&body), "request {number}: byte for byte");
    }
    let lines = edge.wait_for_log(4);
    assert_eq!(lines.iter().filter(|line| line["edge.attempts"] == 2).count(), 2, "{lines:#?}");
}
