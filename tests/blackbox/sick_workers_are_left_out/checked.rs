//! Health checks: over kept connections and over fresh ones, by status and body, after so many in a row.

use std::time::Duration;

use serde_json::Value;

use super::expect_all_well;
use crate::support::edge::Edge;
use crate::support::plain_worker::{HEALTH, PlainWorker, addresses};
use crate::support::pool::{Pool, upstream, wait_for_rotation, worker};
use crate::support::stub::{Accepted, Stub};
use crate::support::{wait_for, wait_until};

/// An edge that checks often; `keys` are further ones of `health`.
fn checking(workers: &[PlainWorker], keys: &str) -> Edge {
    Pool::with(&health(keys)).before(&addresses(workers))
}

fn health(keys: &str) -> String {
    format!("health: {{ path: {HEALTH}, interval: 100ms, timeout: 1s, {keys} }}")
}

#[test]
fn by_the_status_that_is_expected() {
    let team: [_; 2] = PlainWorker::team();
    let edge = checking(&team, "expect: { status: [200-299] }");
    wait_for_rotation(&edge, &team[0].name(), true);
    team[0].answer_checks_with(404);
    wait_for_rotation(&edge, &team[0].name(), false);
    let before = team[0].requests();
    expect_all_well(&edge, 20, "by the other one");
    assert_eq!(team[0].requests(), before, "nothing for the sick one");
    let said = worker(&edge, &team[0].name());
    assert_eq!(said["state"], "unready", "{said:#}");
    assert!(said["reason"].is_string(), "and why: {said:#}");
    team[0].answer_checks_with(202);
    wait_for_rotation(&edge, &team[0].name(), true);
    wait_for("it to get requests again", || {
        expect_all_well(&edge, 4, "both");
        (team[0].requests() > before).then_some(())
    });
}

/// The body of a worker is its name, so only the first is what is expected.
#[test]
fn by_the_body_that_is_expected() {
    let team: [_; 2] = PlainWorker::team();
    let expected = format!("expect: {{ body_contains: \"{}\" }}", team[0].name());
    let edge = checking(&team, &expected);
    wait_for_rotation(&edge, &team[1].name(), false);
    expect_all_well(&edge, 20, "by the first one");
    assert_eq!(worker(&edge, &team[0].name())["in_rotation"], true, "the first is well");
}

#[test]
fn after_so_many_in_a_row() {
    let team: [_; 2] = PlainWorker::team();
    let edge = checking(&team, "unhealthy_after: 4, healthy_after: 6");
    let name = team[0].name();
    wait_for_rotation(&edge, &name, true);
    wait_for("some checks", || (team[0].checks() > 2).then_some(()));

    let turned = team[0].checks();
    team[0].answer_checks_with(500);
    wait_for_rotation(&edge, &name, false);
    let failed = team[0].checks() - turned;
    // One may have been under way when it turned; how many follow before the status is asked for depends on the machine.
    assert!(failed >= 3, "out after 4 failures, not {failed}");

    let turned = team[0].checks();
    team[0].answer_checks_with(200);
    wait_for_rotation(&edge, &name, true);
    let passed = team[0].checks() - turned;
    assert!(passed >= 5, "back after 6 passes, not {passed}");
}

/// A few bad answers say nothing, however often they come.
#[test]
fn and_not_before() {
    let team: [_; 2] = PlainWorker::team();
    let edge = checking(&team, "unhealthy_after: 8");
    let name = team[0].name();
    for _ in 0..6 {
        let failing = 3;
        let turned = team[0].checks();
        team[0].fail_checks(failing);
        wait_until(
            "it to be well again",
            || worker(&edge, &name)["in_rotation"].clone(),
            |in_rotation| {
                assert_eq!(*in_rotation, true, "left out too soon");
                // One may have been under way when it turned, and each may ask twice.
                team[0].checks() > turned + failing + 2
            },
        );
    }
}

#[test]
fn one_that_does_not_answer_checks_in_time() {
    let team: [_; 2] = PlainWorker::team();
    let keys = format!("health: {{ path: {HEALTH}, interval: 100ms, timeout: 1s }}");
    let edge = Pool::with(&keys).before(&addresses(&team));
    wait_for("checks", || (team[0].checks() > 2).then_some(()));
    team[0].be_silent(true);
    wait_for_rotation(&edge, &team[0].name(), false);
    expect_all_well(&edge, 20, "by the other one");
    team[0].be_silent(false);
    wait_for_rotation(&edge, &team[0].name(), true);
}

/// An answer without an end must not keep a check busy for ever.
#[test]
fn one_whose_answer_to_a_check_never_ends() {
    let endless = Stub::start(|mut accepted| {
        accepted.request();
        accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while accepted.send("4\r\nmore\r\n") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let good = PlainWorker::start();
    let edge = Pool::with(&health("expect: { body_contains: never }"))
        .before(&[endless.address(), good.address()]);
    wait_for_rotation(&edge, &endless.address().to_string(), false);
}

/// Serves what it accepted first, and lets everything else wait: a process that lost its listener to another one.
fn serving_old_connections_only(mut accepted: Accepted) {
    if accepted.number > 0 {
        accepted.wait_for_fin();
        return;
    }
    while accepted.request().is_some() {
        accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold");
    }
}

#[test]
fn one_that_answers_on_old_connections_only() {
    let half = Stub::start(serving_old_connections_only);
    let good = PlainWorker::start();
    let keys = format!(
        "health: {{ path: {HEALTH}, interval: 100ms, timeout: 1s }}, connections: {{ prewarm: 0 }}"
    );
    let edge = Pool::with(&keys).before(&[half.address(), good.address()]);
    wait_for_rotation(&edge, &half.address().to_string(), false);
    let said = worker(&edge, &half.address().to_string());
    assert!(said["reason"].is_string(), "and says why: {said:#}");
    expect_all_well(&edge, 20, "by the good one");
}

#[test]
fn one_whose_listener_is_gone() {
    let team: [_; 2] = PlainWorker::team();
    let edge = checking(&team, "");
    expect_all_well(&edge, 10, "both");
    team[0].stub().close_listener();
    wait_for_rotation(&edge, &team[0].name(), false);
    expect_all_well(&edge, 20, "by the other one");
}

/// When no worker is well, requests are tried rather than refused.
#[test]
fn when_all_are_sick_they_are_tried() {
    let team: [_; 3] = PlainWorker::team();
    let edge = checking(&team, "");
    for worker in &team {
        worker.answer_checks_with(500);
    }
    for worker in &team {
        wait_for_rotation(&edge, &worker.name(), false);
    }
    assert_eq!(upstream(&edge)["state"], "down", "and the status says so");
    expect_all_well(&edge, 30, "in panic");
    let tried = team.iter().filter(|worker| worker.requests() > 0).count();
    assert_eq!(tried, 3, "none of them is worse than the others");
}

#[test]
fn the_last_check_is_in_the_status() {
    let team: [_; 2] = PlainWorker::team();
    team[0].answer_checks_with(418);
    let edge = checking(&team, "");
    wait_for_rotation(&edge, &team[0].name(), false);
    let check = |name: &str| worker(&edge, name)["last_check"].clone();
    let passed = |check: &Value| check["passed"].as_bool().or_else(|| check["ok"].as_bool());
    let sick = check(&team[0].name());
    assert_eq!(passed(&sick), Some(false), "{sick:#}");
    assert!(sick["message"].as_str().is_some_and(|text| text.contains("418")), "{sick:#}");
    let well = wait_until("a check", || check(&team[1].name()), |check| !check.is_null());
    assert_eq!(passed(&well), Some(true), "{well:#}");
    for check in [sick, well] {
        let ago = check["seconds_ago"].as_f64().expect("how long ago");
        assert!((0.0..60.0).contains(&ago), "{check:#}");
    }
    let counted = |result: &str, worker: &PlainWorker| {
        edge.metric(&format!(
            "asgate_health_checks_total{{result=\"{result}\",upstream=\"u\",worker=\"{}\"}}",
            worker.name()
        ))
    };
    assert!(counted("failed", &team[0]) >= 3.0, "{}", edge.metrics());
    assert!(counted("passed", &team[1]) >= 1.0, "{}", edge.metrics());
}

/// Checks are work for a worker too.
#[test]
fn checks_go_on_at_their_interval() {
    let worker = PlainWorker::start();
    let edge = Pool::with(&format!("health: {{ path: {HEALTH}, interval: 200ms }}"))
        .before(&[worker.address()]);
    wait_for("the first checks", || (worker.checks() >= 2).then_some(()));
    let (before, begun) = (worker.checks(), std::time::Instant::now());
    wait_for("ten more", || (worker.checks() >= before + 10).then_some(()));
    let took = begun.elapsed();
    // A check may ask over a kept and over a fresh connection.
    assert!(took > Duration::from_millis(600), "no more often than configured: {took:?}");
    drop(edge);
}
