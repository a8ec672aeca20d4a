//! Pipelining (RFC 9112 §9.3.2): requests that come all at once are answered one by one, in their order.

use std::time::Duration;

use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// Answers with the path and the body; the earlier a request, the longer it takes.
fn worker() -> Stub {
    Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let number: u64 = target.trim_start_matches("/n").parse().unwrap_or_default();
            std::thread::sleep(Duration::from_millis(50u64.saturating_sub(5 * number)));
            let (_, body) = request.split_once("\r\n\r\n").unwrap_or_default();
            let answer = format!("{target} {}", body.escape_debug());
            let length = answer.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let is_head = request.starts_with("HEAD");
            accepted.send(if is_head { head } else { head + &answer });
        }
    })
}

#[test]
fn ten_requests_at_once_are_answered_in_order() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    let request = |number: usize| match number % 4 {
        0 => format!("GET /n{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
        1 => format!("POST /n{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        2 => format!("HEAD /n{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
        _ => format!(
            "PUT /n{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n"
        ),
    };
    let all: String = (0..10).map(request).collect();
    // All in one piece, in two, and byte by byte.
    let sizes = [all.len(), all.len() / 2 + 1, 1];
    let ports = sizes.map(|size| {
        let mut client = edge.connect();
        for piece in all.as_bytes().chunks(size) {
            client.send(piece);
        }
        for number in 0..10 {
            let method = if number % 4 == 2 { "HEAD" } else { "GET" };
            let response = client.response_to(method);
            assert_eq!(response.status, 200, "{number}, by {size}: {response:?}");
            let body = ["", "hi", "", "2\\r\\nho\\r\\n0\\r\\n\\r\\n"][number % 4];
            let expected =
                if number % 4 == 2 { String::new() } else { format!("/n{number} {body}") };
            assert_eq!(response.text(), expected, "{number}, by {size}");
        }
        client.local_address().port()
    });
    let log = edge.wait_for_log(30);
    let expected: Vec<_> = (0..10).map(|number| format!("/n{number}")).collect();
    for port in ports {
        let of_client = log.iter().filter(|line| line["client.port"] == port);
        let paths: Vec<_> = of_client.map(|line| line["url.path"].clone()).collect();
        assert_eq!(paths, expected, "served one after the other");
    }
}

#[test]
fn nothing_is_answered_behind_the_last_one() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    for (what, last) in [
        ("a close", "GET /n1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        ("HTTP/1.0", "GET /n1 HTTP/1.0\r\nHost: a\r\n\r\n"),
        ("a bad one", "GET /n1 HTTP/1.1\r\nHost: a b\r\n\r\n"),
    ] {
        let mut client = edge.connect();
        client.send(format!(
            "GET /n0 HTTP/1.1\r\nHost: a\r\n\r\n{last}GET /never HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        assert_eq!(client.response().text(), "/n0 ", "{what}: the first");
        let expected = if what == "a bad one" { 400 } else { 200 };
        assert_eq!(client.response().status, expected, "{what}: the last");
        assert_eq!(client.rest(), b"", "{what}: nothing more");
    }
    assert!(!stub.received_in_all().contains("/never"), "{}", stub.received_in_all());
}
