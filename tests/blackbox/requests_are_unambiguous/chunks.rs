//! Chunked request bodies (RFC 9112 §7.1): written anew for the worker, or refused at both sides.

use crate::support::edge::Edge;
use crate::support::stub::Stub;

use super::SMUGGLED;

/// Chunked bodies that are whole, and what the worker gets of them.
#[test]
fn chunks_are_written_anew() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for (what, body) in [
        ("plain", "5\r\nhello\r\n0\r\n\r\n"),
        ("extensions", "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"),
        ("leading zeros", "00005\r\nhello\r\n000\r\n\r\n"),
        ("trailers", "5\r\nhello\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 9\r\n\r\n"),
    ] {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ));
        let response = client.response();
        assert_eq!(response.status, 200, "{what}: {response:?}");
        let (_, got) = response.text().split_once("\r\n\r\n").map(own).expect("a head and a body");
        assert_eq!(got, "5\r\nhello\r\n0\r\n\r\n", "{what}: nothing but the body");
    }
    assert_eq!(stub.accepted(), 1, "nothing is left over: the worker's connection stays good");
}

fn own((head, body): (&str, &str)) -> (String, String) {
    (head.to_owned(), body.to_owned())
}

const BROKEN_CHUNKS: &[(&str, &str)] = &[
    ("a bare LF after the size", "5\nhello\r\n0\r\n\r\n"),
    ("a bare LF after the data", "5\r\nhello\n0\r\n\r\n"),
    ("a bare LF at the end", "5\r\nhello\r\n0\n\n"),
    ("0x before the size", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a signed size", "+5\r\nhello\r\n0\r\n\r\n"),
    ("a negative size", "-1\r\nhello\r\n0\r\n\r\n"),
    ("no size", "\r\nhello\r\n0\r\n\r\n"),
    ("no size after a chunk", "5\r\nhello\r\n\r\n"),
    ("an extension without a size", ";a=b\r\nhello\r\n0\r\n\r\n"),
    ("a space before the size", " 5\r\nhello\r\n0\r\n\r\n"),
    ("a size in two words", "5 5\r\nhello\r\n0\r\n\r\n"),
    ("a size too small", "4\r\nhello\r\n0\r\n\r\n"),
    ("a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"),
    ("a bare LF after a trailer", "5\r\nhello\r\n0\r\nX: y\n\r\n"),
];

#[test]
fn broken_chunks_end_the_request_at_both_sides() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let mut wrong = Vec::new();
    for (number, (what, body)) in BROKEN_CHUNKS.iter().enumerate() {
        let name = format!("/broken-{number} ");
        let head = format!("POST {name}HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut client = edge.connect();
        client.try_send(format!("{head}{body}{SMUGGLED}"));
        match client.try_response_to("POST").map(|response| response.status) {
            Some(400) => {
                let rest = client.rest();
                if !rest.is_empty() {
                    wrong.push(format!("{what}: went on: {}", rest.escape_ascii()));
                }
            }
            other => wrong.push(format!("{what}: {other:?} instead of 400")),
        }
        let received = stub.received_in_all();
        let (_, received) = received.rsplit_once(&name).unwrap_or_default();
        if received.contains("\r\n0\r\n\r\n") || received.contains("/smuggled") {
            wrong.push(format!("{what}: as if whole at the worker: {received:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let lines = edge.wait_for_log(BROKEN_CHUNKS.len());
    for line in lines {
        assert_eq!(line["edge.termination"], "bad_request", "{line}");
    }
    let mut client = edge.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().status, 200, "a whole body gets through");
}

#[test]
fn chunks_that_break_after_the_worker_answered_are_not_the_next_request() {
    let stub = Stub::start(|mut accepted| {
        while accepted.request_head().is_some() {
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    let response = client.response();
    assert_eq!(response.status, 200, "answered before the upload is over: {response:?}");
    client.try_send(format!("lo\r\nxyz\r\n{SMUGGLED}"));
    let rest = client.rest();
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "no second answer: {}", rest.escape_ascii());
    let received = stub.received_in_all();
    assert!(!received.contains("/smuggled"), "nothing was smuggled: {received:?}");
}
