//! What is told of an upstream's queue, retries and workers.

use std::collections::BTreeMap;

use super::*;

const RETRY_REASONS: [&str; 7] = ["connect", "stale", "closed", "refused_503", "502", "503", "504"];

/// Lets everything happen that makes a series of an upstream or a worker.
pub fn everything(upstream: &UpstreamMetrics, worker: &WorkerMetrics) {
    drop((upstream.request(), upstream.queued(), worker.connection()));
    upstream.waited(Duration::from_millis(1));
    upstream.retried("stale");
    upstream.retry_refused();
    upstream.worker_restarted("exit");
    worker.mark_up();
    worker.set_slots(100);
    worker.connect_ended(ConnectResult::Connected);
    worker.request_on(ConnectionKind::New);
    worker.ejected();
    worker.checked(CheckResult::Passed);
}

#[test]
fn the_queue_has_a_length_and_those_who_waited_a_time() {
    let metrics = metrics();
    let upstream = metrics.upstream("backend");
    assert_line(&metrics, r#"asgate_queue_length{upstream="backend"} 0"#);
    assert_absent(&metrics, "asgate_queue_wait_seconds");
    let waiting = (upstream.queued(), upstream.queued());
    assert_line(&metrics, r#"asgate_queue_length{upstream="backend"} 2"#);
    assert_eq!(upstream.queue_length(), 2, "two wait");
    assert_eq!(upstream.in_flight(), 0, "waiting is counted on its own");
    drop(waiting);
    assert_line(&metrics, r#"asgate_queue_length{upstream="backend"} 0"#);
    assert_eq!(upstream.queue_length(), 0, "nobody waits");
    for wait in [Duration::from_micros(900), Duration::from_millis(40), Duration::from_secs(100)] {
        upstream.waited(wait);
    }
    let bucket = "asgate_queue_wait_seconds_bucket";
    for (bound, count) in [("0.001", 1), ("0.025", 1), ("0.05", 2), ("60", 2), ("+Inf", 3)] {
        assert_line(&metrics, &format!(r#"{bucket}{{upstream="backend",le="{bound}"}} {count}"#));
    }
    assert_line(&metrics, r#"asgate_queue_wait_seconds_count{upstream="backend"} 3"#);
}

#[test]
fn retries_are_told_by_reason_once_there_are_some() {
    let metrics = metrics();
    let upstream = metrics.upstream("backend");
    assert_eq!(upstream.retries(), [], "none so far");
    assert_absent(&metrics, "asgate_retries");
    for (times, reason) in RETRY_REASONS.into_iter().enumerate() {
        (0..=times).for_each(|_| upstream.retried(reason));
    }
    let told: BTreeMap<_, _> = upstream.retries().into_iter().collect();
    assert_eq!(told.len(), RETRY_REASONS.len(), "each reason is told: {told:?}");
    for (times, reason) in (1..).zip(RETRY_REASONS) {
        assert_eq!(told.get(reason), Some(&times), "{reason}");
        let labels = format!(r#"reason="{reason}",upstream="backend""#);
        assert_line(&metrics, &format!("asgate_retries_total{{{labels}}} {times}"));
    }
    (0..2).for_each(|_| upstream.retry_refused());
    assert_line(&metrics, r#"asgate_retries_refused_total{upstream="backend"} 2"#);
}

#[test]
fn requests_are_told_by_the_connection_they_were_sent_on() {
    let metrics = metrics();
    let worker = metrics.worker("backend", "1");
    let check = |new: u64, reused: u64| {
        for (kind, label, count) in
            [(ConnectionKind::New, "new", new), (ConnectionKind::Reused, "reused", reused)]
        {
            assert_eq!(worker.requests_on(kind), count, "{label}");
            let labels = format!(r#"connection="{label}",upstream="backend",worker="1""#);
            assert_line(&metrics, &format!("asgate_upstream_requests_total{{{labels}}} {count}"));
        }
    };
    check(0, 0);
    worker.request_on(ConnectionKind::New);
    (0..3).for_each(|_| worker.request_on(ConnectionKind::Reused));
    check(1, 3);
}

#[test]
fn connects_are_counted_whatever_came_of_them() {
    let metrics = metrics();
    let worker = metrics.worker("backend", "1");
    assert_eq!(worker.connects(), 0, "none so far");
    let results = [
        ConnectResult::Connected,
        ConnectResult::Refused,
        ConnectResult::TimedOut,
        ConnectResult::Failed,
    ];
    for (so_far, result) in (2..).step_by(2).zip(results) {
        (0..2).for_each(|_| worker.connect_ended(result));
        assert_eq!(worker.connects(), so_far, "after {result:?}");
    }
    assert_eq!(count_series(&metrics, "asgate_upstream_connects_total"), 4, "one for each result");
}

#[test]
fn what_is_held_against_a_worker_is_counted() {
    let metrics = metrics();
    let worker = metrics.worker("backend", "1");
    assert_eq!(worker.ejections(), 0, "none so far");
    for family in ["asgate_ejections_total", "asgate_health_checks_total"] {
        assert_absent(&metrics, family);
    }
    (0..2).for_each(|_| worker.ejected());
    assert_eq!(worker.ejections(), 2, "twice");
    assert_line(&metrics, r#"asgate_ejections_total{upstream="backend",worker="1"} 2"#);
    worker.checked(CheckResult::Failed);
    (0..4).for_each(|_| worker.checked(CheckResult::Passed));
    for (result, count) in [("failed", 1), ("passed", 4)] {
        let labels = format!(r#"result="{result}",upstream="backend",worker="1""#);
        assert_line(&metrics, &format!("asgate_health_checks_total{{{labels}}} {count}"));
    }
}

#[test]
fn the_slots_of_a_worker_are_those_it_has_now() {
    let metrics = metrics();
    let worker = metrics.worker("backend", "1");
    for slots in [100, 38] {
        worker.set_slots(slots);
        let series = r#"asgate_upstream_slots{upstream="backend",worker="1"}"#;
        assert_line(&metrics, &format!("{series} {slots}"));
    }
}

#[test]
fn nothing_is_left_of_who_has_gone() {
    let metrics = metrics();
    let upstream = metrics.upstream("backend");
    let (gone, other) = (metrics.worker("backend", "1"), metrics.worker("backend", "2"));
    everything(&upstream, &gone);
    everything(&upstream, &other);
    drop(gone);
    assert_absent(&metrics, r#"worker="1""#);
    for family in ["asgate_ejections_total", "asgate_upstream_slots"] {
        assert_eq!(count_series(&metrics, family), 1, "the other keeps its {family}");
    }
    drop((upstream, other));
    assert_absent(&metrics, r#"upstream="backend""#);

    let back = metrics.worker("backend", "1");
    assert_eq!((back.connects(), back.ejections()), (0, 0), "whoever comes back starts anew");
    assert_eq!(back.requests_on(ConnectionKind::New), 0, "whoever comes back starts anew");
}
