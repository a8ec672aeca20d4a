//! Heads and bodies that go on and on, and connections that come and come.

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

use super::{ROUTES, explained, in_chunks};

#[test]
fn a_head_that_does_not_end_is_refused_as_soon_as_it_is_too_large() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    for (what, start, status) in [
        ("a header", "GET / HTTP/1.1\r\nHost: a\r\nX: ", 431),
        ("many headers", "GET / HTTP/1.1\r\nHost: a\r\n", 431),
        ("a target", "GET /", 414),
    ] {
        let mut client = edge.connect();
        client.send(start);
        let piece = if what == "many headers" { "X: y\r\n" } else { "yyyyyy" };
        // The default limit is 64 KiB; this is more, less than 1 MiB, and has no end.
        client.try_send(piece.repeat(30_000));
        let response = client.response();
        assert_eq!(response.status, status, "{what}: {response:?}");
        assert_eq!(explained(&response), Ok(()), "{what}: {response:?}");
        assert_eq!(client.rest(), b"", "{what}: the connection ends");
    }
    for line in edge.wait_for_log(3) {
        assert_eq!(line["edge.termination"], "limit", "{line}");
    }
    assert_eq!(stub.accepted(), 0, "the worker never hears of it");
}

#[test]
fn a_body_over_its_limit_is_refused_before_the_worker_has_it_whole() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let mut client = edge.connect();
    // More than the limit allows, and no end: what matters is what came.
    client.send(in_chunks("/body", 1200).trim_end_matches("0\r\n\r\n"));
    let response = client.response();
    assert_eq!(response.status, 413, "{response:?}");
    assert_eq!(response.header("connection"), Some("close"), "{response:?}");
    assert!(!stub.received_in_all().contains("0\r\n\r\n"), "never as if it were whole");

    let mut client = edge.connect();
    client.send(
        "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(response.status, 413, "and not 100: {response:?}");
}

#[test]
fn one_connection_more_than_allowed_is_closed_at_once() {
    let stub = Stub::ok();
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\", max_connections: 3 }}]\n\
         admin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {{ servers: [{{ address: \"{}\" }}] }} }}\nroutes: [{{ upstream: u }}]\n",
        stub.address()
    ));
    let series = r#"asgate_listener_connections{listener="127.0.0.1:0"}"#;
    let mut clients: Vec<Client> = (0..3).map(|_| edge.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200, "within the limit");
    }
    edge.wait_for_metric(series, 3.0);
    for _ in 0..3 {
        let mut fourth = edge.connect();
        fourth.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(fourth.rest(), b"", "closed, and never answered");
    }
    assert_eq!(clients[0].get("/").status, 200, "those that are there stay");
    clients.pop();
    edge.wait_for_metric(series, 2.0);
    assert_eq!(edge.connect().get("/").status, 200, "one has left: there is room again");
    assert_eq!(edge.wait_for_log(5).len(), 5, "a refused connection is no request");
}
