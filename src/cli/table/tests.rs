use std::collections::BTreeMap;

use crate::admin::{
    ConnectionCounts, Kind, LeavingStatus, ListenerStatus, State, Status, UpstreamState,
    UpstreamStatus, WorkerState, WorkerStatus,
};

use super::{duration, memory, render};

fn worker(name: &str) -> WorkerStatus {
    WorkerStatus {
        name: name.to_owned(),
        kind: Kind::Supervised,
        state: WorkerState::Ready,
        reason: None,
        in_rotation: true,
        generation: 3,
        pid: Some(4711),
        address: Some("unix:/run/x".to_owned()),
        requests_in_flight: 2,
        connections: ConnectionCounts { idle: 1, active: 2 },
        requests_total: 10,
        memory_bytes: Some(52 << 20),
        uptime_seconds: Some(3661.5),
        restarts: BTreeMap::from([("exit".to_owned(), 1), ("restart".to_owned(), 1)]),
        last_end: None,
        leaving: Vec::new(),
        last_output: vec!["of a ready worker".to_owned()],
    }
}

fn status(workers: Vec<WorkerStatus>) -> Status {
    Status {
        version: "1.2.3".to_owned(),
        pid: 99,
        uptime_seconds: 59.9,
        state: State::Degraded,
        listeners: vec![ListenerStatus { address: "127.0.0.1:80".to_owned(), connections: 7 }],
        upstreams: vec![UpstreamStatus {
            name: "backend".to_owned(),
            state: UpstreamState::Degraded,
            reason: None,
            requests_in_flight: 2,
            workers,
        }],
    }
}

#[test]
fn every_worker_has_a_line_and_columns_are_aligned() {
    let waiting = WorkerStatus {
        state: WorkerState::Waiting,
        reason: Some("ended (exit status: 3)".to_owned()),
        in_rotation: false,
        pid: None,
        requests_in_flight: 0,
        memory_bytes: None,
        uptime_seconds: None,
        restarts: BTreeMap::new(),
        last_end: None,
        leaving: vec![LeavingStatus {
            generation: 2,
            pid: 4000,
            state: WorkerState::Draining,
            requests_in_flight: 1,
            seconds: 12.0,
        }],
        last_output: vec!["Traceback:".to_owned(), "\tclear: \u{1b}[2J\u{9b}".to_owned()],
        ..worker("2")
    };
    let expected = "\
asgate 1.2.3 degraded: pid 99, up 59s
127.0.0.1:80: 7 connections

UPSTREAM  WORKER  STATE     GEN  PID   IN FLIGHT  MEMORY  UPTIME  RESTARTS           REASON
backend   1       ready     3    4711  2          52MiB   1h01m   1 exit, 1 restart  -
backend   2       waiting   3    -     0          -       -       0                  ended (exit status: 3)
backend   2       draining  2    4000  1          -       -       -                  leaving for 12s

last output of backend 2:
  Traceback:
   clear: \\u{1b}[2J\\u{9b}
";
    assert_eq!(render(&status(vec![worker("1"), waiting])), expected);
}

#[test]
fn an_edge_without_upstreams_has_no_table() {
    let status = Status { upstreams: Vec::new(), state: State::Ready, ..status(Vec::new()) };
    assert_eq!(render(&status).lines().count(), 2, "{}", render(&status));
}

#[test]
fn what_is_wrong_with_a_whole_upstream_is_said() {
    let mut status = status(vec![worker("1")]);
    status.upstreams[0].reason = Some("10 starts failed\nin a row".to_owned());
    let text = render(&status);
    assert!(text.contains("\nbackend is degraded: 10 starts failed\\nin a row\n"), "{text}");
}

#[test]
fn times_and_sizes_are_short() {
    for (seconds, expected) in [
        (-1.0, "0s"),
        (f64::NAN, "0s"),
        (0.4, "0s"),
        (61.0, "1m01s"),
        (7260.0, "2h01m"),
        (90_000.0, "1d01h"),
        (1e300, "0s"),
    ] {
        assert_eq!(duration(seconds), expected, "{seconds} s");
    }
    for (bytes, expected) in [(0, "0MiB"), (1 << 20, "1MiB"), (3 << 29, "1.5GiB")] {
        assert_eq!(memory(bytes), expected, "{bytes} bytes");
    }
}
