//! A request is sent again only where no worker can have acted on it, or where that does no harm; and never so often that
//! a failing upstream gets more work instead of less.

mod bodies;
mod budget;
mod refused;

use serde_json::Value;

use crate::support::closed_port::ClosedPort;
use crate::support::edge::Edge;
use crate::support::plain_worker::{PlainWorker, addresses};
use crate::support::pool::{Pool, retries_counted, wait_until_idle};
use crate::support::stub::Stub;

/// Retries, and not ejection, decide what happens; and all workers have their turns.
const TURNS: &str = "balance: round_robin, health: { passive: off }, connections: { prewarm: 0 }";

/// An edge with these keys of `retry`.
fn edge(workers: &[std::net::SocketAddr], retry: &str) -> Edge {
    Pool::with(&format!("{TURNS}, retry: {{ {retry} }}")).before(workers)
}

/// Two of each in turn, because where there are two workers, each is to get both.
fn is_post(number: usize) -> bool {
    number % 4 >= 2
}

/// GETs and POSTs: status and text of each.
fn ask(edge: &Edge, requests: usize) -> Vec<(u16, String)> {
    let mut client = edge.connect();
    (0..requests)
        .map(|number| {
            let response = if is_post(number) { client.post("/", "body") } else { client.get("/") };
            if response.header("connection") == Some("close") {
                client = edge.connect();
            }
            (response.status, response.text())
        })
        .collect()
}

fn expect_retries(edge: &Edge, reason: &str, count: usize) {
    assert_eq!(retries_counted(edge, reason).to_string(), count.to_string(), "{reason}");
}

/// How many of these lines are of requests that were sent twice, for this reason.
fn sent_twice(lines: &[Value], reason: &str) -> usize {
    let twice = lines.iter().filter(|line| line["edge.attempts"] == 2);
    twice.inspect(|line| assert_eq!(line["edge.retry_reason"], reason, "{line:#}")).count()
}

#[test]
fn whatever_could_not_be_connected_goes_to_another_worker() {
    let (dead, good) = (ClosedPort::reserve(), PlainWorker::start());
    let edge = edge(&[dead.address(), good.address()], "");
    for (status, text) in ask(&edge, 20) {
        assert_eq!((status, text), (200, good.name()), "GET and POST");
    }
    assert_eq!(sent_twice(&edge.wait_for_log(20), "connect"), 10, "at every turn of the dead one");
    expect_retries(&edge, "connect", 10);
    assert_eq!(good.requests(), 20, "each came once");
}

#[test]
fn a_new_connection_that_dies_unanswered_is_another_matter_for_post() {
    let deadly = Stub::start(|mut accepted| drop(accepted.request()));
    let good = PlainWorker::start();
    let edge = edge(&[deadly.address(), good.address()], "");
    let answers = ask(&edge, 40);
    for (number, (status, _)) in answers.iter().enumerate() {
        assert!(
            *status == 200 || is_post(number) && *status == 502,
            "request {number}: {answers:?}"
        );
    }
    let lines = edge.wait_for_log(40);
    let lost = lines.iter().filter(|line| line["http.response.status_code"] == 502);
    for line in lost {
        assert_eq!(line["edge.termination"], "upstream_closed", "{line:#}");
        assert_eq!(line["edge.attempts"], 1, "{line:#}");
    }
    let retried = sent_twice(&lines, "closed");
    assert!(retried > 0, "the control: GETs met it");
    expect_retries(&edge, "closed", retried);
    let posts = deadly.received_in_all().matches("POST ").count()
        + good.stub().received_in_all().matches("POST ").count();
    assert_eq!(posts, 20, "no POST came twice");
}

#[test]
fn a_listed_status_of_one_worker_is_not_the_last_word_for_get() {
    for status in [502, 503, 504] {
        let team: [_; 2] = PlainWorker::team();
        team[0].answer_with(status);
        let edge = edge(&addresses(&team), "on: [502, 503, 504]");
        let answers = ask(&edge, 40);
        for (number, (got, text)) in answers.iter().enumerate() {
            let passed_on = is_post(number) && *got == status && *text == team[0].name();
            assert!(*got == 200 || passed_on, "{status}, request {number}: {answers:?}");
        }
        assert!(answers.iter().any(|answer| answer.0 == status), "the control: POSTs met it");
        let lines = edge.wait_for_log(40);
        assert!(lines.iter().all(|line| line["edge.termination"] == "ok"), "{lines:#?}");
        let retried = sent_twice(&lines, &status.to_string());
        assert!(retried > 0, "the control: GETs met it");
        expect_retries(&edge, &status.to_string(), retried);
        assert_eq!(team[0].requests() + team[1].requests(), 40 + retried, "no POST came twice");
    }
}

#[test]
fn by_default_no_status_is_sent_again() {
    let team: [_; 2] = PlainWorker::team();
    team[0].answer_with(503);
    let edge = edge(&addresses(&team), "");
    let passed_on = ask(&edge, 20).iter().filter(|answer| answer.0 == 503).count();
    assert_eq!(passed_on, 10, "the application's answers are the application's");
    assert_eq!(team[0].requests() + team[1].requests(), 20, "each came once");
}

/// The application's answer is better than one of the edge's own.
#[test]
fn when_all_workers_answer_so_the_last_answer_is_passed_on() {
    let team: [_; 3] = PlainWorker::team();
    for worker in &team {
        worker.answer_with(503);
    }
    let edge = edge(&addresses(&team), "on: [503]");
    let response = edge.connect().get("/");
    let names: Vec<_> = team.iter().map(PlainWorker::name).collect();
    assert_eq!(response.status, 503, "{response:?}");
    assert!(names.contains(&response.text()), "a worker's own words: {response:?}");
    assert_eq!(response.header("retry-after"), None, "nothing is added: {response:?}");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "ok", "{line:#}");
    assert_eq!(line["edge.attempts"], 3, "each was asked: {line:#}");
}

#[test]
fn nothing_is_sent_again_that_is_not_listed() {
    let (dead, good) = (ClosedPort::reserve(), PlainWorker::start());
    let edge = edge(&[dead.address(), good.address()], "on: [stale]");
    let refused = ask(&edge, 20).iter().filter(|answer| answer.0 == 502).count();
    assert_eq!(refused, 10, "`connect` is not among the reasons");
    expect_retries(&edge, "connect", 0);
}

#[test]
fn not_more_often_than_attempts_say() {
    let ports: Vec<_> = (0..6).map(|_| ClosedPort::reserve()).collect();
    let dead: Vec<_> = ports.iter().map(ClosedPort::address).collect();
    for attempts in [1, 2, 3, 5] {
        let edge = edge(&dead, &format!("attempts: {attempts}"));
        assert_eq!(edge.connect().get("/").status, 502, "all are dead");
        assert_eq!(edge.connect().post("/", "body").status, 502, "all are dead");
        for line in edge.wait_for_log(2) {
            assert_eq!(line["edge.attempts"], attempts, "{line:#}");
            assert_eq!(line["edge.termination"], "upstream_connect", "{line:#}");
        }
        expect_retries(&edge, "connect", 2 * (attempts - 1));
    }
}

/// A retry waits for a slot like everybody else, and leaves none behind.
#[test]
fn a_retry_has_one_slot_at_a_time() {
    let (dead, good) = (ClosedPort::reserve(), PlainWorker::start());
    let keys = format!("{TURNS}, max_requests_per_worker: 1, retry: {{ budget: 100% }}");
    let edge = Pool::with(&keys).before(&[dead.address(), good.address()]);
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let mut client = edge.connect();
            std::thread::spawn(move || {
                for number in 0..10 {
                    assert_eq!(client.post("/", "body").status, 200, "request {number}");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("all its requests were answered");
    }
    assert_eq!(good.requests(), 100, "each came once");
    assert!(retries_counted(&edge, "connect") > 0.0, "the control: there were retries");
    wait_until_idle(&edge);
}

/// Once a byte of the answer came, it is too late.
#[test]
fn never_after_the_answer_has_begun() {
    let half = Stub::start(|mut accepted| {
        accepted.request();
        accepted.send("HTTP/1.1 200 OK\r\ncontent-le");
        accepted.close();
    });
    let good = PlainWorker::start();
    let edge = edge(
        &[half.address(), good.address()],
        "on: [connect, stale, closed, refused_503, 502, 503, 504]",
    );
    let answers = ask(&edge, 20);
    let lost = answers.iter().filter(|answer| answer.0 == 502).count();
    assert_eq!(lost, 10, "{answers:?}");
    assert_eq!(good.requests(), 10, "nothing was sent again");
}
