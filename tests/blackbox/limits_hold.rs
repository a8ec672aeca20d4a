//! Every limit lets through what is at it and refuses what is one over it, with its status, a body that says so and nothing
//! else, one log line and one metric.

mod at_the_limit;
mod explained;
mod http2;
mod without_end;

use crate::support::client::Response;

/// A route for each limit, each under its own path.
const ROUTES: &str = "  \
    - { name: header, match: { path: /header }, upstream: u, limits: { header: 1KiB } }\n  \
    - { name: headers, match: { path: /count }, upstream: u, limits: { headers: 10 } }\n  \
    - { name: uri, match: { path: /uri }, upstream: u, limits: { uri: 100B } }\n  \
    - { name: body, match: { path: /body }, upstream: u, limits: { body: 1000B } }\n  \
    - { name: nobody, match: { path: /none }, upstream: u, limits: { body: 0B } }\n  \
    - { name: fixed, match: { path: /fixed }, respond: { body: x }, limits: { body: 10B, uri: 20B } }\n  \
    - { name: rest, upstream: u }";

/// A GET whose head has exactly `size` bytes, its empty line included.
fn head_of(path: &str, size: usize) -> String {
    let start = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX: ");
    format!("{start}{}\r\n\r\n", "y".repeat(size - start.len() - 4))
}

/// A GET with exactly `count` header lines.
fn lines_of(path: &str, count: usize) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1))
}

/// A GET with a target of exactly `size` bytes, half of it query.
fn target_of(path: &str, size: usize) -> String {
    let query = "q".repeat(size / 2);
    let path = format!("{path}{}", "p".repeat(size - path.len() - 1 - query.len()));
    format!("GET {path}?{query} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn with_length(path: &str, size: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{}", "b".repeat(size))
}

/// In chunks of at most 400 bytes, so that the limit is met within one or between two.
fn in_chunks(path: &str, size: usize) -> String {
    let body = "b".repeat(size);
    let chunks = body
        .as_bytes()
        .chunks(400)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)));
    let chunks: String = chunks.collect();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    )
}

/// Whether an error response is problem details (RFC 9457) that tell its status, its request and nothing of the inside.
fn explained(response: &Response) -> Result<(), String> {
    let id = response.header("x-request-id").ok_or("no request id")?;
    if response.header("content-type") != Some("application/problem+json") {
        return Err("no problem details".into());
    }
    let body = response.json();
    if body["status"] != response.status || body["request_id"] != id {
        return Err("another status or id in the body".into());
    }
    for key in ["type", "title", "detail"] {
        if body[key].as_str().is_none_or(str::is_empty) {
            return Err(format!("no {key}"));
        }
    }
    discreet(response)
}

fn discreet(response: &Response) -> Result<(), String> {
    let all = format!("{:?} {}", response.headers, response.text()).to_lowercase();
    let inside = ["pingora", "127.0.0.1", "route", "upstream", "src/", ".rs", "panic", "rust"];
    match inside.into_iter().find(|word| all.contains(word)) {
        Some(word) => Err(format!("tells {word}")),
        None => Ok(()),
    }
}
