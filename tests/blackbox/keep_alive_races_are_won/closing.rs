//! Stubs that close a kept connection at the worst moment: when the next request has just arrived, or just before.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::support::PATIENCE;
use crate::support::pool::{Pool, retries_counted};
use crate::support::stub::{Accepted, Stub};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Reset,
}

impl End {
    const ALL: [Self; 2] = [Self::Fin, Self::Reset];

    fn put_to(self, accepted: Accepted) {
        match self {
            Self::Fin => accepted.close(),
            Self::Reset => accepted.reset(),
        }
    }
}

/// Answers the first request of each connection, reads the second, and closes.
fn closing_at_the_second(end: End) -> Stub {
    Stub::start(move |mut accepted| {
        if accepted.request().is_some() {
            accepted.send(OK);
            accepted.request();
            end.put_to(accepted);
        }
    })
}

/// How often the request for `path` came.
fn arrivals(stub: &Stub, method: &str, path: &str) -> usize {
    stub.received_in_all().matches(&format!("{method} {path} HTTP/1.1\r\n")).count()
}

#[test]
fn what_is_idempotent_is_answered_over_another_connection() {
    const REQUESTS: usize = 24;
    for end in End::ALL {
        let stub = closing_at_the_second(end);
        let edge = Pool::with("connections: { prewarm: 0 }").before(&[stub.address()]);
        let mut client = edge.connect();
        for number in 0..REQUESTS {
            let response = client.get(&format!("/{number}"));
            assert_eq!(response.status, 200, "{end:?}, GET {number}: {response:?}");
        }
        for (number, line) in edge.wait_for_log(REQUESTS).iter().enumerate() {
            // The connection that served the one before is closed under each but the first.
            let (attempts, reason) = if number == 0 { (1, None) } else { (2, Some("stale")) };
            assert_eq!(line["edge.attempts"], attempts, "{end:?}: {line:#}");
            assert_eq!(line["edge.retry_reason"].as_str(), reason, "{end:?}: {line:#}");
            assert_eq!(line["edge.connection_reused"], false, "{end:?}: the last one: {line:#}");
            assert_eq!(line["edge.termination"], "ok", "{end:?}: {line:#}");
        }
        let counted = retries_counted(&edge, "stale");
        assert_eq!(counted.to_string(), (REQUESTS - 1).to_string(), "{end:?}: in the metrics");
    }
}

/// The control of the whole promise: here the worker may have acted on the request, so there is no right answer left.
#[test]
fn what_must_not_be_done_twice_is_a_502_for_each_close() {
    const REQUESTS: usize = 24;
    for end in End::ALL {
        let stub = closing_at_the_second(end);
        let edge = Pool::with("connections: { prewarm: 0 }").before(&[stub.address()]);
        let mut client = edge.connect();
        for number in 0..REQUESTS {
            let expected = if number.is_multiple_of(2) { 200 } else { 502 };
            let response = client.post(&format!("/{number}"), "body");
            assert_eq!(response.status, expected, "{end:?}, POST {number}: {response:?}");
        }
        for (number, line) in edge.wait_for_log(REQUESTS).iter().enumerate() {
            let word = if number.is_multiple_of(2) { "ok" } else { "upstream_closed" };
            assert_eq!(line["edge.termination"], word, "{end:?}: {line:#}");
            assert_eq!(line["edge.attempts"], 1, "{end:?}: {line:#}");
            let path = format!("/{number}");
            assert_eq!(arrivals(&stub, "POST", &path), 1, "{end:?}: how often {path} came");
        }
    }
}

/// Closes each connection after one answer, when it is told that the client has it, and says so.
fn closing_when_read(end: End, read: Receiver<()>, closed: Sender<()>) -> Stub {
    let ends = Mutex::new((read, closed));
    Stub::start(move |mut accepted| {
        if accepted.request().is_some() {
            accepted.send(OK);
            let ends = ends.lock().expect("the ends");
            // A test that failed tells nothing any more.
            let _ = ends.0.recv_timeout(PATIENCE);
            end.put_to(accepted);
            let _ = ends.1.send(());
        }
    })
}

#[test]
fn an_end_that_is_there_before_a_request_costs_nothing() {
    const REQUESTS: usize = 100;
    for end in End::ALL {
        let (tell, read) = channel();
        let (closed, told) = channel();
        let stub = closing_when_read(end, read, closed);
        let edge = Pool::with("connections: { reuse: safe, prewarm: 0 }").before(&[stub.address()]);
        let mut client = edge.connect();
        for number in 0..REQUESTS {
            let response = client.post(&format!("/{number}"), "body");
            assert_eq!(response.status, 200, "{end:?}, POST {number}: {response:?}");
            tell.send(()).expect("the worker listens");
            told.recv_timeout(PATIENCE).expect("the worker closes");
        }
        for (number, line) in edge.wait_for_log(REQUESTS).iter().enumerate() {
            assert_eq!(line["edge.attempts"], 1, "{end:?}: none was sent in vain: {line:#}");
            let path = format!("/{number}");
            assert_eq!(arrivals(&stub, "POST", &path), 1, "{end:?}: how often {path} came");
        }
    }
}
