//! Uvicorn's own 503 at its `--limit-concurrency` means that the application never saw the request, so another worker may.

use super::{TURNS, edge, expect_retries, sent_twice};
use crate::support::plain_worker::PlainWorker;
use crate::support::pool::Pool;
use crate::support::stub::Stub;
use crate::support::uvicorn::{Uvicorn, test_app};

/// Real Uvicorn that is full with its first connection.
fn full() -> Uvicorn {
    Uvicorn::serving_app("worker_app:app", &test_app(), &["--limit-concurrency", "1"])
}

#[test]
fn a_request_that_uvicorn_is_too_busy_for_goes_to_another_worker() {
    let (busy, idle) = (full(), Uvicorn::serving_app("worker_app:app", &test_app(), &[]));
    let edge = edge(&[busy.address(), idle.address()], "");
    let mut client = edge.connect();
    for number in 0..10 {
        let response = if number % 2 == 0 { client.get("/") } else { client.post("/echo", "body") };
        assert_eq!(response.status, 200, "request {number}: {response:?}");
    }
    for number in 0..10 {
        let response = client.post("/echo", "body");
        assert_eq!((response.status, response.text()), (200, "body".into()), "POST {number}");
    }
    let lines = edge.wait_for_log(20);
    let retried = sent_twice(&lines, "refused_503");
    assert!(retried > 0, "the control: the busy one had turns");
    expect_retries(&edge, "refused_503", retried);
    let busy = busy.address().to_string();
    assert!(lines.iter().all(|line| line["edge.worker"] != busy), "the other one answered");
}

#[test]
fn when_all_are_too_busy_the_refusal_is_passed_on() {
    let team = [full(), full()];
    let edge = edge(&[team[0].address(), team[1].address()], "");
    for method in ["GET", "POST"] {
        let mut client = edge.connect();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n"));
        let response = client.response();
        let said = (response.status, response.text());
        assert_eq!(said, (503, "Service Unavailable".into()), "{method}: {response:?}");
        assert_eq!(response.header("server"), Some("uvicorn"), "{method}: its own answer");
    }
    for line in edge.wait_for_log(2) {
        assert_eq!(line["edge.attempts"], 2, "both were asked: {line:#}");
        assert_eq!(line["edge.termination"], "ok", "{line:#}");
    }
}

#[test]
fn unless_it_is_not_listed() {
    let (busy, idle) = (full(), Uvicorn::serving_app("worker_app:app", &test_app(), &[]));
    let edge = edge(&[busy.address(), idle.address()], "on: [connect, stale]");
    let mut client = edge.connect();
    let statuses: Vec<_> = (0..10).map(|_| client.get("/").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 5, "{statuses:?}");
}

const TYPE: &str = "content-type: text/plain; charset=utf-8\r\n";

/// What looks like it and is not: an application's own words, whatever they are.
#[test]
fn what_an_application_says_itself_is_passed_on() {
    let answers = [
        (
            "it does not close",
            format!("{TYPE}server: uvicorn\r\ncontent-length: 19\r\n\r\nService Unavailable"),
        ),
        (
            "another server",
            format!("{TYPE}connection: close\r\ncontent-length: 19\r\n\r\nService Unavailable"),
        ),
        (
            "another text",
            format!(
                "{TYPE}server: uvicorn\r\nconnection: close\r\ncontent-length: 18\r\n\r\nCome back tomorrow"
            ),
        ),
    ];
    for (what, rest) in answers {
        let answer = format!("HTTP/1.1 503 Service Unavailable\r\n{rest}");
        let (_, text) = rest.split_once("\r\n\r\n").expect("a body");
        let text = text.to_owned();
        let own = Stub::start(move |mut accepted| {
            while accepted.request().is_some() {
                accepted.send(&answer);
                if answer.contains("close") {
                    return accepted.close();
                }
            }
        });
        let other = PlainWorker::start();
        let edge = Pool::with(TURNS).before(&[own.address(), other.address()]);
        let mut client = edge.connect();
        let answers: Vec<_> = (0..10).map(|_| client.post("/", "body")).collect();
        let passed_on = answers.iter().filter(|answer| answer.status == 503);
        let passed_on: Vec<_> = passed_on.map(|answer| answer.text()).collect();
        assert_eq!(passed_on, vec![text; 5], "{what}");
        assert_eq!(other.requests(), 5, "{what}: nothing was sent again");
    }
}
