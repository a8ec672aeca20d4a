//! Workers that fail, and those that only seem to.

use std::thread::{sleep, spawn};
use std::time::Duration;

use super::HEAD;
use crate::support::edge::Edge;
use crate::support::plain_worker::{HEALTH, PlainWorker, addresses, shares};
use crate::support::pool::{Pool, wait_for_rotation, worker};
use crate::support::stub::Stub;

/// One request after the other.
fn statuses(edge: &Edge, requests: usize) -> Vec<u16> {
    let mut client = edge.connect();
    (0..requests).map(|_| client.get("/").status).collect()
}

/// When nobody is well, the one that could serve may be any of them.
#[test]
fn all_are_tried_when_all_are_sick() {
    for balance in ["round_robin", "least_requests", "random"] {
        let team: [_; 2] = PlainWorker::team();
        for worker in &team {
            worker.answer_checks_with(500);
        }
        let keys = format!(
            "balance: {balance}, health: {{ path: {HEALTH}, interval: 50ms, unhealthy_after: 1 }}"
        );
        let edge = Pool::with(&keys).before(&addresses(&team));
        for worker in &team {
            wait_for_rotation(&edge, &worker.name(), false);
        }
        assert_eq!(statuses(&edge, 40), [200; 40], "{balance}: nobody is refused");
        let shares = shares(&team);
        // By chance a share is less than this once in ten million times.
        assert!(shares.iter().all(|share| *share >= 4), "{balance}: {shares:?}");
    }
}

/// What Uvicorn says at its `--limit-concurrency`.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    server: uvicorn\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 19\r\n\
    connection: close\r\n\
    \r\n\
    Service Unavailable";

#[test]
fn a_refusal_of_uvicorn_is_a_503_like_any_other() {
    for (on, is_retried) in [("503", true), ("refused_503", true), ("connect", false)] {
        let (full, good) = (Stub::answering(REFUSAL), PlainWorker::start());
        let keys = format!("balance: round_robin, retry: {{ on: [{on}] }}");
        let edge = Pool::with(&keys).before(&[full.address(), good.address()]);
        let statuses = statuses(&edge, 8);
        assert!(full.accepted() > 0, "{on}: the control: the full one was asked");
        assert_eq!(!statuses.contains(&503), is_retried, "{on}: {statuses:?}");
    }
}

#[test]
fn a_worker_whose_answers_are_turned_down_is_ejected_for_them() {
    for on in ["503", "connect"] {
        let team: [_; 2] = PlainWorker::team();
        team[0].answer_with(503);
        let keys = format!(
            "balance: round_robin, retry: {{ on: [{on}], budget: 100% }}, \
             health: {{ passive: {{ failures: 3, eject_for: 1m, status: [503] }} }}"
        );
        let edge = Pool::with(&keys).before(&addresses(&team));
        statuses(&edge, 20);
        assert_eq!(team[0].requests(), 3, "{on}: whether or not its clients see it");
        let said = worker(&edge, &team[0].name());
        assert_eq!((&said["state"], &said["ejections"]), (&"ejected".into(), &1.into()), "{on}");
    }
}

/// By its worker: neither in what is logged, nor in what `latency` believes.
#[test]
fn a_slow_client_does_not_make_its_worker_slow() {
    const CLIENTS: usize = 16;
    const REQUESTS: usize = 20;
    const UPLOAD: Duration = Duration::from_secs(6);
    let team: [_; 2] = PlainWorker::team();
    for worker in &team {
        // Long enough that a busy machine does not make it many times longer.
        worker.take(Duration::from_millis(20));
    }
    let edge = Pool::with("balance: latency").before(&addresses(&team));
    assert_eq!(statuses(&edge, 8), [200; 8], "both are measured");

    let mut slow = edge.connect();
    slow.send(format!("POST /slow HTTP/1.1\r\n{HEAD}content-length: 3\r\n\r\n"));
    for _ in 0..3 {
        sleep(UPLOAD / 3);
        slow.send("x");
    }
    let its_worker = slow.response().text();
    let lines = edge.wait_for_log(9);
    let line = lines.iter().find(|line| line["url.path"] == "/slow").expect("its line");
    let ttfb = line["edge.ttfb_ns"].as_u64().map(Duration::from_nanos);
    assert!(ttfb.is_some_and(|ttfb| ttfb < UPLOAD / 2), "from the end of the request: {line:#}");

    let before = shares(&team);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = edge.connect();
            spawn(move || (0..REQUESTS).all(|_| client.get("/").status == 200))
        })
        .collect();
    for client in clients {
        assert!(client.join().expect("a client ends"), "all are answered");
    }
    let after = shares(&team);
    let index = team.iter().position(|worker| worker.name() == its_worker).expect("its worker");
    let share = after[index] - before[index];
    assert!(share * 40 > CLIENTS * REQUESTS, "{share} of {}", CLIENTS * REQUESTS);
}
