//! The queue takes so many, for so long.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Gated, expect_answer, send};
use crate::support::client::Response;
use crate::support::edge::Edge;
use crate::support::pool::{upstream, wait_for_queue, wait_until_idle};

/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);

/// A 503 that says when to come again.
fn expect_unavailable(response: &Response, what: &str) {
    assert_eq!(response.status, 503, "{what}: {response:?}");
    let retry_after = response.header("retry-after").and_then(|value| value.parse::<u32>().ok());
    assert!(retry_after.is_some_and(|seconds| seconds > 0), "{what}: Retry-After: {response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
    assert!(response.complete, "{what}: {response:?}");
}

fn line_of(edge: &Edge, target: &str, lines: usize) -> Value {
    let lines = edge.wait_for_log(lines);
    lines.into_iter().find(|line| line["url.path"] == target).expect("its line")
}

#[test]
fn the_queue_is_full_with_exactly_its_size() {
    for size in [1, 3] {
        let worker = Gated::start();
        let edge = worker.behind_an_edge(&format!("queue: {{ size: {size} }}"));
        let mut served = send(&edge, "/served");
        worker.wait_for_arrival("/served");
        let mut waiting: Vec<_> =
            (0..size).map(|number| send(&edge, &format!("/{number}"))).collect();
        wait_for_queue(&edge, size);
        assert_eq!(upstream(&edge)["queue"]["size"], size, "in the status");

        let mut refused = edge.connect();
        let response = refused.get("/refused");
        expect_unavailable(&response, "one more");
        let line = edge.only_log_line();
        assert_eq!(line["edge.termination"], "queue_full", "{line:#}");
        assert_eq!(line["edge.attempts"], 0, "{line:#}");
        edge.wait_for_metric("asgate_terminations_total{reason=\"queue_full\"}", 1.0);

        worker.permit(size + 2);
        expect_answer(&mut served, "/served");
        for (number, client) in waiting.iter_mut().enumerate() {
            expect_answer(client, &format!("/{number}"));
        }
        assert_eq!(refused.get("/again").status, 200, "its connection is kept, and there is room");
        assert!(!worker.order().contains(&"/refused".to_owned()), "{:?}", worker.order());
        wait_until_idle(&edge);
    }
}

#[test]
fn without_a_queue_nobody_waits() {
    let worker = Gated::start();
    let edge = worker.behind_an_edge("queue: { size: 0 }");
    let mut served = send(&edge, "/served");
    worker.wait_for_arrival("/served");
    expect_unavailable(&edge.connect().get("/refused"), "no queue");
    assert_eq!(edge.only_log_line()["edge.termination"], "queue_full", "no queue");
    worker.permit(2);
    expect_answer(&mut served, "/served");
    wait_until_idle(&edge);
    assert_eq!(edge.connect().get("/next").status, 200, "the slot is free again");
}

#[test]
fn who_waits_too_long_is_told_in_time_and_makes_room() {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let worker = Gated::start();
    let edge = worker.behind_an_edge("queue: { size: 1, timeout: 3s }");
    let mut served = send(&edge, "/served");
    worker.wait_for_arrival("/served");

    let begun = Instant::now();
    let response = edge.connect().get("/late");
    let took = begun.elapsed();
    expect_unavailable(&response, "late");
    assert_eq!(upstream(&edge)["queue"]["length"], 0, "its place is free at once");
    let mut next = send(&edge, "/next");
    wait_for_queue(&edge, 1);
    worker.permit(2);
    expect_answer(&mut served, "/served");
    expect_answer(&mut next, "/next");

    let line = line_of(&edge, "/late", 3);
    assert_eq!(line["edge.termination"], "queue_timeout", "{line:#}");
    assert_eq!(line["edge.attempts"], 0, "{line:#}");
    let waited = Duration::from_nanos(line["edge.queue_ns"].as_u64().expect("its wait"));
    assert!((TIMEOUT..TIMEOUT + SLACK).contains(&waited), "waited {waited:?}: {line:#}");
    assert!((TIMEOUT..TIMEOUT + SLACK).contains(&took), "told after {took:?}");
    assert_eq!(worker.order(), ["/served", "/next"], "a late one reaches nobody");
    edge.wait_for_metric("asgate_terminations_total{reason=\"queue_timeout\"}", 1.0);
}

/// Each by its own clock, whatever those before it do.
#[test]
fn everybody_who_waits_has_the_same_time() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let worker = Gated::start();
    let edge = worker.behind_an_edge("queue: { timeout: 2s }");
    let mut served = send(&edge, "/served");
    worker.wait_for_arrival("/served");
    let mut clients = Vec::new();
    for number in 0..50 {
        clients.push(send(&edge, &format!("/{number}")));
        std::thread::sleep(Duration::from_millis(4));
    }
    for client in &mut clients {
        expect_unavailable(&client.response(), "one of many");
    }
    worker.permit(1);
    expect_answer(&mut served, "/served");
    let lines = edge.wait_for_log(51);
    for line in lines.iter().filter(|line| line["url.path"] != "/served") {
        let waited = Duration::from_nanos(line["edge.queue_ns"].as_u64().expect("its wait"));
        assert!((TIMEOUT..TIMEOUT + SLACK).contains(&waited), "waited {waited:?}: {line:#}");
    }
}
