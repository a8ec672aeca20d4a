//! Chunks that are hardly anything but extensions (RFC 9112 §7.1.1): `limits.body` counts what is in them.

use std::sync::mpsc::channel;

use crate::support::PATIENCE;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// A chunk of so many bytes, with an extension of so many.
fn chunk(size: usize, extension: usize) -> String {
    format!("{size:x};{}\r\n{}\r\n", "e".repeat(extension.max(1)), "x".repeat(size))
}

/// Below the longest line that a chunk may begin with, 4 KiB.
const LONG: usize = 4_000;

#[test]
fn chunks_of_extensions_are_refused_and_the_worker_is_not_told_that_all_is_there() {
    let (tell, told) = channel();
    let stub = Stub::start(move |mut accepted| {
        let whole = accepted.request();
        if whole.is_some() {
            accepted.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        }
        let _ = tell.send((whole.is_some(), accepted.wait_for_fin()));
    });
    let edge = Edge::before(&[stub.address()], "");
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    let mut client = edge.connect();
    // It is refused before all of it was sent, perhaps.
    client.try_send([head, &chunk(1, LONG).repeat(100), "0\r\n\r\n"].concat());
    assert_eq!(client.response().status, 400, "100 bytes in 400 KB");
    assert_eq!(edge.only_log_line()["edge.termination"], "bad_request");
    if stub.accepted() > 0 {
        let (whole, _) = told.recv_timeout(PATIENCE).expect("the end of the worker's connection");
        assert!(!whole, "half a request for a whole one: {}", stub.received_in_all());
    }
    assert!(!stub.received_in_all().ends_with("0\r\n\r\n"), "{}", stub.received_in_all());

    for (what, body) in [
        ("a few long ones", chunk(1, LONG).repeat(3)),
        ("short ones around single bytes", chunk(1, 10).repeat(10_000)),
        ("long ones around as much", chunk(LONG / 2, LONG).repeat(100)),
    ] {
        let mut client = edge.connect();
        client.send([head, &body, "0\r\n\r\n"].concat());
        assert_eq!(client.response().status, 200, "the control, {what}");
    }
}
