//! An answer that has begun may go on while the request does, and both may be silent for as long as `idle` says.

use std::time::{Duration, Instant};

use super::SOON;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{DATA, END, Frames, HEADERS, RST_STREAM};
use crate::support::http2;
use crate::support::stub::Stub;

const SHORT: Duration = Duration::from_secs(1);
/// How long both sides are silent in vain.
const SILENCE: Duration = Duration::from_secs(3);

const POST: &str = " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A connection is for one conversation.
const BEGUN: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";

/// A worker that begins its answer at once, but not to `/silent`, and answers each piece of a chunked body with the same.
fn conversing() -> Stub {
    Stub::start(|mut accepted| {
        let Some(head) = accepted.request_head() else { return };
        if !head.starts_with("POST /silent ") {
            accepted.send(BEGUN);
        }
        // The head of a chunk is followed by data, but for the last one's.
        while let Some(line) = accepted.until(b"\r\n") {
            accepted.send(line);
        }
    })
}

/// An edge before it, with these timeouts.
fn edge(stub: &Stub, timeouts: &str) -> Edge {
    Edge::before(&[stub.address()], &format!("  - {{ upstream: u, timeouts: {{ {timeouts} }} }}"))
}

/// Two clients with whom a conversation has begun, over HTTP/1.1 and HTTP/2.
fn begin(edge: &Edge) -> (Client, Frames) {
    let mut plain = edge.connect();
    plain.send(format!("POST /{POST}"));
    assert_eq!(plain.head().map(|(status, _)| status), Some(200), "an answer that goes on");
    let mut frames = Frames::connect(edge.address());
    frames.post(1, "/");
    frames.until(HEADERS);
    (plain, frames)
}

#[test]
fn a_conversation_may_be_silent_for_longer_than_request_body() {
    let stub = conversing();
    let edge = edge(&stub, "request_body: 1s, idle: 30s");
    let (mut plain, mut frames) = begin(&edge);
    assert!(plain.is_quiet_for(SILENCE), "nobody says anything, and nobody ends it");
    plain.send("5\r\ntick!\r\n");
    assert_eq!(plain.chunk().as_deref(), Some(&b"tick!"[..]), "HTTP/1.1");
    plain.send("0\r\n\r\n");
    assert_eq!(plain.chunk().as_deref(), Some(&b""[..]), "HTTP/1.1: its end");
    frames.send(DATA, 0, 1, b"tick!");
    let piece = frames.until(DATA).pop().map(|frame| frame.payload);
    assert_eq!(piece.as_deref(), Some(&b"tick!"[..]), "HTTP/2");
    frames.send(DATA, END, 1, b"");
    frames.until(DATA);
    for line in edge.wait_for_log(2) {
        assert_eq!(line["edge.termination"], "ok", "{line:#}");
    }

    let begun = Instant::now();
    let mut waiting = edge.connect();
    waiting.send(format!("POST /silent{POST}"));
    assert_eq!(waiting.response().status, 408, "the control: an answer that has not begun");
    assert!(begun.elapsed() < SHORT + SOON, "after {:?}", begun.elapsed());
}

#[test]
fn a_conversation_that_is_silent_for_longer_than_idle_is_over() {
    let stub = conversing();
    let edge = edge(&stub, "request_body: 30s, idle: 1s");
    let begun = Instant::now();
    let (mut plain, mut frames) = begin(&edge);
    assert_eq!(plain.chunk(), None, "HTTP/1.1: it breaks off, not as if it were whole");
    let ended = frames.until(RST_STREAM);
    assert!(ended.iter().all(|frame| frame.flags & END == 0), "HTTP/2: so it does: {ended:?}");
    assert!(begun.elapsed() > SHORT - Duration::from_millis(50), "only {:?}", begun.elapsed());
    assert!(begun.elapsed() < SHORT + SOON, "at last, not after {:?}", begun.elapsed());
    for line in edge.wait_for_log(2) {
        assert_eq!(line["edge.termination"], "upstream_timeout", "{line:#}");
        assert_eq!(line["http.response.status_code"], 200, "{line:#}");
        assert_eq!(line["edge.response_aborted"], true, "{line:#}");
    }
}

/// Pingora passes no 100 on over HTTP/2: a client that waits for it is not the app's fault, and must not hold its slot.
#[test]
fn leave_that_an_http2_client_does_not_get_is_not_waited_for_without_end() {
    let stub = Stub::start(|mut accepted| {
        let head = accepted.request_head().unwrap_or_default();
        if head.contains("expect: 100-continue") {
            accepted.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        accepted.wait_for_fin();
    });
    let edge = edge(&stub, "request_body: 1s");
    let status = http2::run(
        edge.address(),
        "tell(c.answer(c.open('POST', '/', [('expect', '100-continue')], end=False))['status'])",
    );
    assert_eq!(status, 408, "after request_body, not after first_byte");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "client_timeout", "{line:#}");
}
