//! What a client is told.

use crate::support::edge::Edge;
use crate::support::stub::Stub;

use super::{ROUTES, discreet};

#[test]
fn errors_are_pages_for_those_who_prefer_them() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (what, start, status) in [
        ("uri", format!("GET /uri/{} HTTP/1.1\r\nHost: a", "x".repeat(100)), 414),
        ("lines", format!("GET /count HTTP/1.1\r\nHost: a{}", "\r\nX: y".repeat(20)), 431),
        ("header", format!("GET /header HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(2000)), 431),
        ("body", "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 1001".into(), 413),
        ("Host", "GET / HTTP/1.1\r\nHost: a b".into(), 400),
        ("a bad path", "GET /%00 HTTP/1.1\r\nHost: a".into(), 400),
    ] {
        for (accept, expected) in [
            (browser, "text/html; charset=utf-8"),
            ("application/json", "application/problem+json"),
            ("*/*", "application/problem+json"),
            ("text/html;q=0.5, application/problem+json", "application/problem+json"),
        ] {
            let mut client = edge.connect();
            client.send(format!("{start}\r\nAccept: {accept}\r\n\r\n"));
            let response = client.response();
            assert_eq!(response.status, status, "{what}: {response:?}");
            assert_eq!(response.header("content-type"), Some(expected), "{what} for {accept}");
            let id = response.header("x-request-id").expect("a request id");
            assert!(response.text().contains(id), "{what}: the id to tell: {}", response.text());
            assert_eq!(discreet(&response), Ok(()), "{what}: {}", response.text());
        }
    }
}
