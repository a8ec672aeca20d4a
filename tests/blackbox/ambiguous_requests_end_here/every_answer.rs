//! One answer of a worker after the other.

use crate::support::edge::Edge;
use crate::support::pool::{Pool, wait_until_idle};
use crate::support::stub::Stub;
use crate::support::wait_for;

/// What a worker answers, what the client gets of it, and whether the worker's connection is used again; for one that must
/// not have a body that is not said.
type Answer = (&'static str, &'static [u8], u16, &'static str, Option<bool>);

const ANSWERS: &[Answer] = &[
    (
        "length and chunked",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        502,
        "",
        Some(false),
    ),
    ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokx", 502, "", Some(false)),
    ("garbage", b"garbage\r\n\r\n", 502, "", Some(false)),
    ("obs-fold", b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok", 502, "", Some(false)),
    ("more than the length", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", 200, "ok", Some(false)),
    ("204 with a length", b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n", 204, "", None),
    ("304 with a body", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok", 304, "", Some(false)),
    ("a 101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", 502, "", Some(false)),
    ("what is right", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok", Some(true)),
];

#[test]
fn each_answer_has_its_fate() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let number = request.split(['/', ' ']).nth(2).and_then(|it| it.parse::<usize>().ok());
            let answer = number.and_then(|number| ANSWERS.get(number));
            accepted.send(
                answer.map_or(&b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext"[..], |it| it.1),
            );
        }
    });
    // One connection at a time: which one a request has must not depend on what else is kept.
    let edge = Pool::with("connections: { prewarm: 0 }").before(&[stub.address()]);
    for (number, (what, _, status, body, is_kept)) in ANSWERS.iter().enumerate() {
        // The connection of the request before is back, so that none else is made.
        wait_until_idle(&edge);
        let mut client = edge.connect();
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response();
        assert_eq!(response.status, *status, "{what}: {response:?}");
        if *status == 200 {
            assert_eq!(response.text(), *body, "{what}");
        }
        wait_until_idle(&edge);
        let accepted = stub.accepted();
        // A connection of which nobody knows where it is must not serve anybody else.
        assert_eq!(
            edge.connect().get("/next").text(),
            "next",
            "{what}: the next answer is its own"
        );
        let again = stub.accepted() == accepted;
        assert!(is_kept.is_none_or(|is_kept| is_kept == again), "{what}: used again: {again}");
    }
}

/// An answer that is shorter than it says is visibly broken off.
#[test]
fn half_an_answer_is_no_answer() {
    let stub = Stub::start(|mut accepted| {
        if accepted.request().is_some() {
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart");
            accepted.close();
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.try_response_to("GET");
    let whole = response.is_some_and(|response| response.status == 200 && response.complete);
    assert!(!whole, "completed by nobody");
    wait_for("its line", || (edge.access_log().len() == 1).then_some(()));
}
