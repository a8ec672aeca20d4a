//! What takes long lives as long as its route allows: silent requests, streams of events, idle WebSockets, clients that
//! wait for `100 Continue`. Hours are compressed to seconds by the configuration; the ratios stay.

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::uvicorn::Uvicorn;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The routes of one edge: each test asks the same app under the path of the limits it wants.
const ROUTES: &str = "  - match: { path: =/slow }
    upstream: u
    timeouts:
      { first_byte: 60s, idle: 4s, client_write: 4s, websocket_idle: 4s, request_body: 4s }
  - match: { path: /impatient }
    upstream: u
    rewrite: { strip_prefix: /impatient }
    timeouts: { first_byte: 1s }
  - match: { path: =/events }
    upstream: u
    timeouts: { first_byte: 4s, idle: 4s, total: off }
  - match: { path: =/ws }
    upstream: u
    timeouts: { first_byte: 4s, idle: 4s, websocket_idle: 60s }";

fn websocket(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A masked text frame with `text`, as a client sends it (RFC 6455 §5.2).
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A silent request, a stream and an idle WebSocket at once, each longer than Uvicorn's keep-alive (5 s), asgate's idle
/// time of worker connections (4 s), and every limit that is not the one for it.
#[test]
fn the_long_ones_of_a_real_app_survive_where_the_route_allows_it() {
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], ROUTES);
    scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            let response = edge.connect().get("/slow?seconds=8");
            assert_eq!(response.status, 200, "eight silent seconds: {response:?}");
            assert!(begun.elapsed() >= Duration::from_secs(8), "it took {:?}", begun.elapsed());
        });
        scope.spawn(|| {
            let begun = Instant::now();
            let response = edge.connect().get("/impatient/slow?seconds=20");
            assert_eq!(response.status, 504, "the control, another route: {response:?}");
            assert!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
        });
        scope.spawn(|| {
            let mut client = edge.connect();
            let begun = Instant::now();
            client.send("GET /events?count=18&interval=0.3 HTTP/1.1\r\nHost: test.example\r\n\r\n");
            assert_eq!(client.head().expect("a head").0, 200, "a stream");
            let (mut stream, mut last) = (Vec::new(), Instant::now());
            loop {
                let chunk = client.chunk().expect("a chunk");
                let gap = last.elapsed();
                assert!(gap < Duration::from_secs(4), "nothing for {gap:?}");
                if chunk.is_empty() {
                    break;
                }
                stream.extend(chunk);
                last = Instant::now();
            }
            let event = |number| format!("id: {number}\ndata: event {number}\n\n");
            let events: String = (0..18).map(event).collect();
            assert_eq!(String::from_utf8_lossy(&stream), events, "all of them, to the end");
            assert!(begun.elapsed() > Duration::from_secs(5), "it lasted {:?}", begun.elapsed());
        });
        scope.spawn(|| {
            let mut client = edge.connect();
            client.send(websocket("/ws"));
            assert_eq!(client.head().expect("a head").0, 101, "upgraded");
            assert!(client.is_quiet_for(Duration::from_secs(8)), "neither bytes nor an end");
            client.send(frame("still there?"));
            assert_eq!(
                client.bytes(14),
                b"\x81\x0cstill there?",
                "the echo after eight idle seconds"
            );
        });
    });
    let mut words: Vec<_> = edge
        .wait_for_log(4)
        .iter()
        .map(|line| format!("{} {}", line["url.path"], line["edge.termination"]))
        .collect();
    words.sort();
    let expected = [
        r#""/events" "ok""#,
        r#""/impatient/slow" "upstream_timeout""#,
        r#""/slow" "ok""#,
        r#""/ws""#,
    ];
    for (word, expected) in words.iter().zip(expected) {
        assert!(word.starts_with(expected), "{expected} in {words:?}");
    }
}

#[test]
fn a_stream_whose_events_are_further_apart_than_idle_is_the_control() {
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], ROUTES);
    let response = edge.connect().get("/events?count=3&interval=20");
    assert_eq!(response.text(), "id: 0\ndata: event 0\n\n", "the first event, then nothing for 4s");
    assert!(!response.complete, "cut short: {response:?}");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "upstream_timeout", "{line:#}");
}

/// A worker that takes its time before it says `100 Continue`, and an answer without it.
#[test]
fn request_body_does_not_run_while_the_client_waits_for_100_continue() {
    let stub = Stub::start(|mut accepted| {
        while let Some(head) = accepted.request_head() {
            sleep(Duration::from_secs(3));
            if head.starts_with("POST /continue ") {
                accepted.send("HTTP/1.1 100 Continue\r\n\r\n");
                accepted.bytes(4);
                accepted.send(OK);
            } else {
                accepted.send("HTTP/1.1 417 Expectation Failed\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                return accepted.close();
            }
        }
    });
    let routes = "  - { upstream: u, timeouts: { request_body: 2s, first_byte: 30s } }";
    let edge = Edge::before(&[stub.address()], routes);
    let head = |path: &str, expect: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: test.example\r\n{expect}content-length: 4\r\n\r\n")
    };
    let expect = "expect: 100-continue\r\n";

    let ask = |path: &str, expect: &str| {
        let mut client = edge.connect();
        client.send(head(path, expect));
        client
    };
    let [mut patient, mut silent] = [(); 2].map(|()| ask("/continue", expect));
    let (mut refused, mut hasty) = (ask("/refuse", expect), ask("/continue", ""));

    assert_eq!(patient.head().expect("an interim head").0, 100, "later than the limit");
    patient.send("body");
    assert_eq!(patient.response().status, 200, "the answer");
    assert_eq!(refused.response().status, 417, "the worker's refusal, later than the limit");

    // The control: after the 100 the limit counts again, and without `Expect` it always did.
    assert_eq!(silent.head().expect("an interim head").0, 100, "an interim head");
    assert_eq!(silent.response().status, 408, "then no body");
    assert_eq!(hasty.response().status, 408, "no body at all");
}

/// Interim responses are signs of life, not the response header.
#[test]
fn a_response_may_take_its_time_after_an_interim_one() {
    let stub = Stub::start(|mut accepted| {
        while accepted.request().is_some() {
            accepted.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
            sleep(Duration::from_millis(600));
            accepted.send(OK);
        }
    });
    let routes = "  - { upstream: u, timeouts: { first_byte: 10s, idle: 200ms } }";
    let edge = Edge::before(&[stub.address()], routes);
    let mut client: Client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: test.example\r\n\r\n");
    assert_eq!(client.head().expect("an interim head").0, 103, "an interim response");
    assert_eq!(client.response().status, 200, "`idle` is for the body, not for this pause");
}

/// A kept worker connection is closed before the worker would close it, so a long pause between requests costs nothing.
#[test]
fn a_client_that_pauses_for_longer_than_the_workers_keep_alive_is_answered() {
    let uvicorn = Uvicorn::start(&["--timeout-keep-alive", "2"]);
    let config = format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\n\
         upstreams: {{ u: {{ servers: [{{ address: \"{}\" }}], connections: {{ idle_timeout: 1s }} }} }}\n\
         routes: [{{ upstream: u }}]\n",
        uvicorn.address()
    );
    let edge = Edge::start(&config);
    let mut client = edge.connect();
    for pause in [0, 900, 1100, 1900, 2100] {
        sleep(Duration::from_millis(pause));
        let response = {
            client.send(
                "POST /upload HTTP/1.1\r\nHost: test.example\r\ncontent-length: 4\r\n\r\nbody",
            );
            client.response()
        };
        assert_eq!(response.status, 200, "after {pause} ms: {response:?}");
    }
    for line in edge.wait_for_log(5) {
        assert_eq!(line["edge.attempts"], 1, "and nothing had to be sent again: {line:#}");
    }
}
