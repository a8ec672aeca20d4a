//! What is sent again after a failure, and what is not: only what no worker can have acted on.

use std::sync::mpsc::channel;

use super::{OK, expect_line, expect_problem, get, post, refusing};
use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

#[test]
fn a_failed_connect_is_tried_again_with_another_worker() {
    let (_socket, dead) = refusing();
    let stub = Stub::ok();
    let edge = Edge::before(&[dead, stub.address()], "");
    let mut client = edge.connect();
    for number in 0..10 {
        client.send(if number % 2 == 0 { get("/") } else { post("/", "body") });
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{response:?}");
    }
    let lines = edge.wait_for_log(10);
    let retried = lines.iter().filter(|line| line["edge.attempts"] == 2).count();
    for line in &lines {
        let twice = line["edge.attempts"] == 2;
        let reason = twice.then_some("connect");
        assert_eq!(line["edge.retry_reason"].as_str(), reason, "{line:#}");
        assert_eq!(line["edge.termination"], "ok", "{line:#}");
        assert_eq!(line["edge.worker"], stub.address().to_string(), "who answered: {line:#}");
    }
    assert!((1..10).contains(&retried), "the dead one has its turns, and only those: {retried}");
    let counted = edge.metric(r#"asgate_retries_total{reason="connect",upstream="u"}"#);
    assert_eq!(counted.to_string(), retried.to_string(), "asgate_retries_total");
    let bodies = stub.received(0).matches("\r\n\r\nbody").count();
    assert_eq!(bodies, 5, "each body arrives once: {}", stub.received(0));
}

#[test]
fn attempts_end_with_the_workers() {
    let (_first, one) = refusing();
    let (_second, two) = refusing();
    let edge = Edge::before(&[one, two], "");
    expect_problem(&edge.connect().get("/"), 502, "both dead");
    let line = edge.only_log_line();
    expect_line(&line, 502, "upstream_connect", 2, "both dead");
    assert_eq!(line["edge.retry_reason"], "connect", "{line:#}");
    edge.wait_for_metric(r#"asgate_retries_total{reason="connect",upstream="u"}"#, 1.0);
}

/// How a worker treats the second request on its first connection, and whether its next connection serves.
#[derive(Clone, Copy, Debug)]
enum Stale {
    Close,
    Reset,
    HalfHead,
    CloseAlways,
}

fn stale_worker(stale: Stale) -> Stub {
    Stub::start(move |mut accepted| {
        if accepted.number == 0 {
            accepted.request();
            accepted.send(OK);
            accepted.request();
        }
        match (accepted.number, stale) {
            (0, Stale::Reset) => return accepted.reset(),
            (0, Stale::HalfHead) => {
                accepted.send("HTTP/1.1 2");
                return accepted.close();
            }
            (0, _) => return accepted.close(),
            (_, Stale::CloseAlways) => {
                accepted.request();
                return accepted.close();
            }
            _ => {}
        }
        while accepted.request().is_some() {
            accepted.send(OK);
        }
    })
}

#[test]
fn only_what_cannot_have_been_done_is_sent_again_when_a_kept_connection_was_stale() {
    let cases = [
        (Stale::Close, get("/"), 200, "ok", 2),
        (Stale::Reset, get("/"), 200, "ok", 2),
        // Sent again once, and then over a connection that cannot be stale.
        (Stale::CloseAlways, get("/"), 502, "upstream_closed", 2),
        // The worker had the body, and may have acted on it.
        (Stale::Close, post("/", "body"), 502, "upstream_closed", 1),
        (Stale::Reset, post("/", "body"), 502, "upstream_closed", 1),
        // Not idempotent, with or without a body (RFC 9110 §9.2.2).
        (Stale::Close, post("/", ""), 502, "upstream_closed", 1),
        // It had begun to answer.
        (Stale::HalfHead, get("/"), 502, "upstream_closed", 1),
    ];
    for (stale, request, status, termination, attempts) in cases {
        let what = format!("{stale:?} {request:?}");
        let stub = stale_worker(stale);
        let edge = Edge::before(&[stub.address()], "");
        let mut client = edge.connect();
        assert_eq!(client.get("/first").status, 200, "{what}: the first request");
        client.send(&request);
        assert_eq!(client.response().status, status, "{what}");
        let line = edge.wait_for_log(2).remove(1);
        expect_line(&line, status, termination, attempts, &what);
        let retried = attempts == 2;
        let reason = retried.then_some("stale");
        assert_eq!(line["edge.retry_reason"].as_str(), reason, "{what}: {line:#}");
        assert_eq!(line["edge.connection_reused"], !retried, "{what}: the last attempt: {line:#}");
        let series = r#"asgate_retries_total{reason="stale",upstream="u"}"#;
        edge.wait_for_metric(series, if retried { 1.0 } else { 0.0 });
        assert_eq!(stub.accepted(), attempts as usize, "{what}: connections to the worker");
    }
}

/// A worker that closes an idle connection does no harm at all: the edge looks before it sends.
#[test]
fn a_kept_connection_that_the_worker_has_closed_is_not_used() {
    let (tell, closed) = channel();
    let stub = Stub::start(move |mut accepted| {
        accepted.request();
        accepted.send(OK);
        accepted.close();
        // The test may be over.
        let _ = tell.send(());
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client: Client = edge.connect();
    for number in 0..6 {
        client.send(if number % 2 == 0 { get("/") } else { post("/", "body") });
        assert_eq!(client.response().status, 200, "request {number}");
        closed.recv_timeout(PATIENCE).expect("the worker closes");
    }
    for line in edge.wait_for_log(6) {
        expect_line(&line, 200, "ok", 1, "nothing had to be sent again");
    }
}
