//! Answers that are none: 502, and the client's connection goes on.

use crate::support::edge::Edge;
use crate::support::stub::Stub;

use super::{After, before, check};

type Row = (&'static str, &'static [u8], After, &'static str);

const fn invalid(what: &'static str, answer: &'static [u8]) -> Row {
    (what, answer, After::Keep, "upstream_invalid")
}

const NONSENSE: &[Row] = &[
    invalid(
        "length and chunked",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    invalid("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc"),
    invalid("a list of lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nabc"),
    invalid("a signed length", b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nab"),
    invalid("an empty length", b"HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nab"),
    invalid("another coding", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    invalid("xchunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    invalid(
        "chunked twice",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    invalid("no status line", b"garbage\r\n\r\n"),
    invalid("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    invalid("two digits", b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n"),
    invalid("four digits", b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"),
    invalid("status 099", b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n"),
    invalid("HTTP/2.0 as text", b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"),
    invalid("no colon", b"HTTP/1.1 200 OK\r\nx\r\ncontent-length: 0\r\n\r\n"),
    invalid("space before the colon", b"HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n"),
    invalid("NUL in a value", b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n"),
    invalid("obs-fold", b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n"),
    invalid("an unsolicited 101", b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
    ("no answer", b"", After::Close, "upstream_closed"),
    ("a reset", b"", After::Reset, "upstream_closed"),
    ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le", After::Close, "upstream_closed"),
    ("nothing after 1xx", b"HTTP/1.1 103 Early Hints\r\n\r\n", After::Close, "upstream_closed"),
];

#[test]
fn answers_that_are_no_http_are_a_502() {
    let (stub, edge) = before(|number| NONSENSE.get(number).map(|row| (row.1, row.2)));
    // One connection for all: a worker's nonsense is not the client's fault.
    let mut client = edge.connect();
    for (number, (what, _, _, termination)) in NONSENSE.iter().enumerate() {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let mut response = client.response();
        while response.status == 103 {
            response = client.response();
        }
        assert_eq!(response.status, 502, "{what}: {response:?}");
        check(what, &response);
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
        let line = edge.wait_for_log(number + 1).remove(number);
        assert_eq!(line["edge.termination"], *termination, "{what}: {line}");
        assert_eq!(
            line["edge.attempts"], 1,
            "{what}: a fresh connection is no reason to retry: {line}"
        );
        assert_eq!(stub.accepted(), number + 1, "{what}: the connection is not used again");
    }
    assert_eq!(client.get("/control").text(), "control", "a clean answer is passed on");
}

#[test]
fn a_head_without_end_is_a_502_and_fills_no_memory() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            accepted.send("HTTP/1.1 200 OK\r\n");
            let line = if request.contains(" /lines ") { "x: y\r\n" } else { "yyyyyy" };
            if line == "yyyyyy" {
                accepted.send("x: ");
            }
            // For ever, until the edge has had enough.
            while accepted.send(line.repeat(1000)) {}
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for path in ["/lines", "/line"] {
        let response = client.get(path);
        assert_eq!(response.status, 502, "{path}: {response:?}");
        check(path, &response);
    }
    for line in edge.wait_for_log(2) {
        assert_eq!(line["edge.termination"], "upstream_invalid", "{line}");
    }
}
