//! What two servers could read differently never gets past the edge: a request is refused and its connection closed,
//! or it reaches the worker in the one form that has one meaning.
//!
//! The tables have a row for each row of what the HTTP engine alone would let through, and more.

mod bodies;
mod chunks;
mod forwarded;
mod refused;

use crate::support::client::{Client, Response};
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// Sent after every request that must be refused: nobody may answer it.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n";

#[test]
fn the_bytes_after_a_body_are_the_next_request() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for (what, body) in [
        ("by length", "Content-Length: 5\r\n\r\nhello"),
        ("in chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("of nothing", "\r\n"),
    ] {
        // A GET with a body, which some servers read as one without.
        client.send(format!(
            "GET /one HTTP/1.1\r\nHost: a\r\n{body}GET /two HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        let answers = [client.response(), client.response()];
        let firsts = answers.each_ref().map(first_line);
        assert_eq!(firsts, ["GET /one HTTP/1.1", "GET /two HTTP/1.1"], "a body {what}");
    }
}

fn first_line(response: &Response) -> String {
    response.text().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn an_upgrade_that_the_worker_declines_opens_no_tunnel() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
         GET /two HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n",
    );
    let first = client.response();
    assert!(
        first.text().contains("upgrade: websocket\r\n"),
        "it asks the worker: {}",
        first.text()
    );
    let second = client.response();
    assert_eq!(first_line(&second), "GET /two HTTP/1.1", "{second:?}");
    assert!(!second.text().contains("1.2.3.4"), "it came through the edge: {}", second.text());
    assert_eq!(edge.wait_for_log(2).len(), 2, "two requests");
}

#[test]
fn an_upgrade_with_a_body_is_none() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    for request in [
        "POST /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
        "GET /ws HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let mut client: Client = edge.connect();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, 200, "{request:?}: {response:?}");
        assert!(!response.text().contains("upgrade:"), "{request:?}: {}", response.text());
    }
}
