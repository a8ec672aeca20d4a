//! Workers that end unasked, again and again.

use std::path::Path;

use crate::support::edge::Edge;
use crate::support::status::{wait_for_upstream, wait_until_settled};
use crate::support::wait_for;
use crate::support::workers::{config, edge, restarts_counted, start_in, tiny_app, uvicorn_app};

/// What the start of a worker may add to a pause, and much less than a pause would last if pauses grew for ever.
const SLACK: f64 = 10.0;

/// The pauses so far between the end of a worker and its next start, in seconds.
fn pauses(directory: &Path) -> Vec<f64> {
    let times = std::fs::read_to_string(directory.join("times")).unwrap_or_default();
    let events: Vec<(&str, f64)> = times
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(what, time)| (what, time.parse().expect("a time")))
        .collect();
    let restarts = events.windows(2).filter(|pair| pair[0].0 == "end" && pair[1].0 == "start");
    restarts.map(|pair| pair[1].1 - pair[0].1).collect()
}

/// An edge before one worker that crashes shortly after it has become ready; with these keys of `restart`.
fn crashing(directory: &Path, restart: &str) -> Edge {
    let keys = format!("workers: 1, restart: {{ {restart} }}");
    let app = tiny_app("{socket}", directory, "crashes", &keys);
    start_in(directory, &config(&app, "slow_start: off"))
}

#[test]
fn pauses_grow_up_to_a_bound() {
    let directory = tempfile::tempdir().expect("a directory");
    // The guard, which makes all pauses the longest, stays out of it.
    let keys = "backoff: 200ms, max_backoff: 800ms, rapid_fail: { failures: 100 }";
    let _edge = crashing(directory.path(), keys);
    // The first failure is mended at once. With jitter of at most a half; what is over is the time that a start takes.
    // A last pause that had doubled each time would be of 25.6 s.
    let due = [0.0, 0.2, 0.4, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8];
    let pauses = wait_for("the restarts", || {
        Some(pauses(directory.path())).filter(|p| p.len() >= due.len())
    });
    for (number, (pause, expected)) in pauses.iter().zip(due).enumerate() {
        assert!(
            *pause > 0.49 * expected,
            "pause {number} of {expected} s is too short: {pauses:?}"
        );
        assert!(
            *pause < expected + SLACK,
            "pause {number} of {expected} s is too long: {pauses:?}"
        );
    }
}

#[test]
fn the_guard_says_so_keeps_trying_and_lets_go_when_the_app_is_mended() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = "backoff: 200ms, max_backoff: 1600ms, rapid_fail: { failures: 3, window: 8s }";
    let edge = crashing(directory.path(), keys);
    wait_for_upstream(
        &edge,
        "the guard to step in, and the next start to be waited for",
        |upstream| {
            let reason = upstream.reason.as_deref().unwrap_or_default();
            upstream.state == "down"
                && reason.contains("rapid_fail")
                && upstream.workers[0].state == "waiting"
        },
    );
    // Three ends, with a start after each but the last.
    assert!(restarts_counted(&edge, "exit") >= 2.0, "it was started again: {}", edge.metrics());
    let alarm = |line: &str| line.contains(" ERROR ") && line.contains("upstream=u");
    wait_for("the log to say so", || edge.stderr_text().lines().any(alarm).then_some(()));
    let response = wait_for("an answer while there is no worker", || {
        Some(edge.connect().get("/")).filter(|response| response.status == 503)
    });
    let after: u64 = response.header("retry-after").expect("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&after), "a time to come again: {after}");
    let tried = pauses(directory.path()).len();
    wait_for("further tries", || (pauses(directory.path()).len() > tried + 1).then_some(()));
    std::fs::write(directory.path().join("mended"), "").expect("mended");
    wait_for_upstream(&edge, "the upstream to be well", |upstream| {
        upstream.state == "ready" && upstream.is_settled() && upstream.reason.is_none()
    });
    assert_eq!(edge.connect().get("/").status, 200, "it serves");
}

/// Status 3 is a failed start of Uvicorn only where it has not been ready; later it is an end like any other.
#[test]
fn status_3_of_a_worker_that_was_ready_is_an_end_like_any_other() {
    let edge = edge(&uvicorn_app("workers: 1, restart: { backoff: 100ms }"), "slow_start: off");
    for code in [3, 0] {
        let before = wait_until_settled(&edge);
        let mut client = edge.connect();
        let response = client.get(&format!("/exit?code={code}"));
        // The worker had the request, and it went with it; a GET is sent again, to nobody or to the successor.
        assert!([502, 503].contains(&response.status), "exit {code}: {response:?}");
        let after = wait_for_upstream(&edge, "its successor", |upstream| {
            upstream.is_settled() && upstream.pids() != before.pids()
        });
        assert_eq!(after.restarts_for("exit"), after.restarts(), "exit {code}: {after:#?}");
        assert_eq!(after.state, "ready", "exit {code}: {after:#?}");
    }
    assert_eq!(edge.connect().get("/").status, 200, "it serves");
}
