//! Headers over HTTP/2 are measured by what the routes say, as those over HTTP/1.1 are.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{SOON, told};
use crate::support::edge::Edge;
use crate::support::frames::{END, Frames, HEADERS, Method, SETTINGS, block, frame};
use crate::support::front::Front;
use crate::support::http2;
use crate::support::stub::Stub;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Browsers send each cookie as a field of its own (RFC 9113 §8.2.3).
#[test]
fn cookies_are_one_line_however_many_fields_they_come_in() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let answers = http2::run(
        edge.address(),
        r#"
cookies = [("cookie", f"c{n}=v{n}") for n in range(150)]
others = [(f"x-{n}", "y") for n in range(150)]
tell([c.answer(c.open("GET", "/", fields)) for fields in [cookies, others]])
"#,
    );
    assert_eq!(answers[0]["status"], 200, "150 cookies: {answers:#}");
    let got = answers[0]["body"].as_str().expect("what the worker got");
    let lines: Vec<_> = got.split("\r\n").filter_map(|line| line.split_once(": ")).collect();
    let lines: Vec<_> = lines.iter().filter(|(name, _)| *name == "cookie").collect();
    let mut all = String::new();
    for number in 0..150 {
        let colon = if number == 0 { "" } else { "; " };
        write!(all, "{colon}c{number}=v{number}").expect("a string");
    }
    assert_eq!(lines, [&("cookie", &*all)], "one line, in their order");

    assert_eq!(answers[1]["status"], 431, "150 others: {answers:#}");
    let lines = edge.wait_for_log(2);
    assert_eq!(lines[0]["http.response.status_code"], 200, "{:#}", lines[0]);
    assert_eq!(lines[1]["http.response.status_code"], 431, "{:#}", lines[1]);
    assert_eq!(lines[1]["edge.termination"], "limit", "{:#}", lines[1]);
}

/// A GET with `count` header fields of `size` bytes, as asgate counts them: name, value and four.
fn get_with(edge: &Edge, count: usize, size: usize) -> Value {
    let value = size - "x-00".len() - 4;
    let script = format!(
        "c.pump()\n\
         tell(c.answer(c.open('GET', '/', [(f'x-{{n:02}}', 'y' * {value}) for n in range({count})])))"
    );
    http2::run(edge.address(), &script)
}

#[test]
fn a_route_may_allow_larger_headers() {
    let stub = Stub::echoing();
    for (limit, status) in [("{ header: 256KiB }", 200), ("{}", 431)] {
        let routes = format!("  - {{ upstream: u, limits: {limit} }}");
        let front = Front { listeners: &["http2: true"], routes: &routes, ..Front::default() };
        let edge = front.before(stub.address());
        let answer = get_with(&edge, 1, 100 * 1024);
        assert_eq!(answer["status"], status, "100 KiB with {limit}");
        if status == 200 {
            let got = answer["body"].as_str().expect("what the worker got");
            assert_eq!(got.matches('y').count(), 100 * 1024 - 8, "all of it");
            assert_eq!(edge.only_log_line()["http.response.status_code"], 200);
        }
    }
}

#[test]
fn headers_that_are_a_little_too_large_are_answered_and_logged() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let below = get_with(&edge, 20, 3_268);
    assert_eq!(below["status"], 200, "65,360 bytes: {below:#}");
    let above = get_with(&edge, 20, 3_285);
    assert_eq!(above["status"], 431, "65,700 bytes: {above:#}");

    let headers = above["headers"].as_array().expect("headers");
    let header = |name: &str| {
        let found = headers.iter().find(|header| header[0] == name);
        found.and_then(|header| header[1].as_str()).unwrap_or_else(|| panic!("{name}: {above:#}"))
    };
    assert_eq!(header("content-type"), "application/problem+json");
    let body = above["body"].as_str().expect("a body");
    let problem: Value = serde_json::from_str(body).expect("a problem");
    assert_eq!(problem["status"], 431, "{problem:#}");
    let lines = edge.wait_for_log(2);
    assert_eq!(lines[1]["http.response.status_code"], 431, "{:#}", lines[1]);
    assert_eq!(lines[1]["edge.termination"], "limit", "{:#}", lines[1]);
    assert_eq!(lines[1]["http.request.id"], header("x-request-id"), "{:#}", lines[1]);
}

/// The attack of many slow header blocks has to be seen, and its traces must not fill the disk.
#[test]
fn header_blocks_that_are_too_slow_are_counted_and_told_once() {
    const SLOW: usize = 5;
    let stub = Stub::ok();
    let listeners = &["http2: true, header_timeout: 1s"];
    let edge = Front { listeners, ..Front::default() }.before(stub.address());
    let series = r#"asgate_http2_abuse_total{listener="127.0.0.1:0",reason="slow_headers"}"#;
    let mut quick = Frames::connect(edge.address());
    quick.get(1, "/");
    quick.until(HEADERS);

    let begun = Instant::now();
    // Nothing may come between the frames of a header block, so this client acknowledges nothing.
    let start = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let half = frame(HEADERS, END, 1, &block(Method::Get, "/"));
    let slow = [(); SLOW].map(|()| {
        let mut client = edge.connect();
        client.send([&start[..], &half].concat());
        client
    });
    assert!(edge.metric(series).abs() < f64::EPSILON, "nothing is too slow yet");
    for mut client in slow {
        client.rest();
    }
    assert!(begun.elapsed() > Duration::from_millis(900), "only after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(1) + SOON, "at last: {:?}", begun.elapsed());
    edge.wait_for_metric(series, SLOW as f64);
    let lines = told(&edge, "HTTP/2 connection closed");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(" WARN ") && lines[0].contains("slow_headers"), "{lines:?}");
    quick.get(3, "/");
    quick.until(HEADERS);
    edge.wait_for_metric(series, SLOW as f64);
}
