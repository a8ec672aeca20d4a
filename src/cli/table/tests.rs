use std::collections::BTreeMap;

use crate::admin::{
    CertificateStatus, CheckStatus, ConnectionCounts, Kind, LeavingStatus, ListenerStatus,
    QueueStatus, State, Status, UpstreamState, UpstreamStatus, WorkerState, WorkerStatus,
};

use super::{duration, memory, render, restarts};

mod listeners;

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
        slots: 100,
        weight: 1,
        connections: ConnectionCounts { idle: 1, active: 2 },
        connects: 12,
        reused_ratio: Some(0.983),
        requests_total: 10,
        ejections: 0,
        last_check: None,
        memory_bytes: Some(52 << 20),
        uptime_seconds: Some(3661.5),
        restarts: BTreeMap::from([("exit".to_owned(), 1), ("restart".to_owned(), 1)]),
        last_end: None,
        leaving: Vec::new(),
        last_output: vec!["of a ready worker".to_owned()],
    }
}

fn listener(address: &str) -> ListenerStatus {
    ListenerStatus {
        address: address.to_owned(),
        connections: 7,
        max_connections: 10_000,
        refused: BTreeMap::new(),
        tls: None,
    }
}

fn status(workers: Vec<WorkerStatus>) -> Status {
    Status {
        version: "1.2.3".to_owned(),
        pid: 99,
        uptime_seconds: 59.9,
        state: State::Degraded,
        listeners: vec![listener("127.0.0.1:80")],
        upstreams: vec![UpstreamStatus {
            name: "backend".to_owned(),
            state: UpstreamState::Degraded,
            reason: None,
            requests_in_flight: 2,
            queue: QueueStatus { length: 0, size: 1000 },
            retries: BTreeMap::new(),
            notes: Vec::new(),
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
127.0.0.1:80: 7 of 10000 connections
backend degraded: 2 requests in flight

UPSTREAM  WORKER  STATE     GEN  PID   IN FLIGHT  MEMORY  UPTIME  RESTARTS
backend   1       ready     3    4711  2/100      52MiB   1h01m   1 exit, 1 restart
backend   2       waiting   3    -     0/100      -       -       0
backend   2       draining  2    4000  1          -       -       -

UPSTREAM  WORKER  ACTIVE  IDLE  CONNECTS  REUSED
backend   1       2       1     12        98.3%
backend   2       2       1     12        98.3%

backend 2 is waiting: ended (exit status: 3)
backend 2: generation 2 has been draining for 12s

last output of backend 2:
  Traceback:
   clear: \\u{1b}[2J\\u{9b}
";
    assert_eq!(render(&status(vec![worker("1"), waiting])), expected);
}

fn fixed(name: &str) -> WorkerStatus {
    WorkerStatus {
        kind: Kind::Fixed,
        generation: 0,
        pid: None,
        memory_bytes: None,
        uptime_seconds: None,
        restarts: BTreeMap::new(),
        last_output: Vec::new(),
        ..worker(name)
    }
}

fn check(passed: bool, message: &str) -> CheckStatus {
    CheckStatus { passed, message: message.to_owned(), seconds_ago: 3.2 }
}

#[test]
fn a_pool_in_trouble_says_what_is_wrong() {
    let ejected = WorkerStatus {
        state: WorkerState::Ejected,
        reason: Some("5 of 8 requests failed within 10s; back in 21s".to_owned()),
        in_rotation: false,
        requests_in_flight: 0,
        reused_ratio: None,
        ejections: 2,
        last_check: Some(check(false, "no answer\nin 5s")),
        ..fixed("127.0.0.1:8001")
    };
    let sound = WorkerStatus {
        requests_in_flight: 100,
        last_check: Some(check(true, "status 200")),
        ..fixed("127.0.0.1:8000")
    };
    let mut status = status(vec![sound, ejected]);
    let upstream = &mut status.upstreams[0];
    upstream.queue.length = 3;
    upstream.retries = BTreeMap::from([("connect".to_owned(), 4), ("stale".to_owned(), 1)]);
    upstream.notes = vec!["app.internal:8000 does not resolve: no such name".to_owned()];
    let expected = "\
asgate 1.2.3 degraded: pid 99, up 59s
127.0.0.1:80: 7 of 10000 connections
backend degraded: 2 requests in flight, 3 of 1000 waiting

UPSTREAM  WORKER          STATE    IN FLIGHT
backend   127.0.0.1:8000  ready    100/100
backend   127.0.0.1:8001  ejected  0/100

UPSTREAM  WORKER          ACTIVE  IDLE  CONNECTS  REUSED  EJECTIONS  LAST CHECK
backend   127.0.0.1:8000  2       1     12        98.3%   -          passed 3s ago
backend   127.0.0.1:8001  2       1     12        -       2          failed 3s ago

backend: app.internal:8000 does not resolve: no such name
retries of backend: 4 connect, 1 stale
backend 127.0.0.1:8001 is ejected: 5 of 8 requests failed within 10s; back in 21s
backend 127.0.0.1:8001: last check failed 3s ago: no answer\\nin 5s
";
    assert_eq!(render(&status), expected);
}

#[test]
fn the_lines_fit_a_terminal_of_100_columns() {
    let restarts = ["exit", "deaf", "hung", "restart", "max_requests"];
    let busy = WorkerStatus {
        state: WorkerState::Draining,
        generation: 123,
        pid: Some(4_194_304),
        requests_in_flight: 1000,
        slots: 1000,
        connections: ConnectionCounts { idle: 1000, active: 1000 },
        connects: 1_234_567,
        reused_ratio: Some(1.0),
        ejections: 1234,
        last_check: Some(check(true, "status 200")),
        memory_bytes: Some(1023 << 20),
        uptime_seconds: Some(365.9 * 86_400.0),
        restarts: restarts.map(|reason| (reason.to_owned(), 123)).into(),
        ..worker("64")
    };
    let resolved = WorkerStatus {
        last_check: Some(check(false, "no answer")),
        ejections: 1234,
        ..fixed("app.internal:8000@10.1.2.3")
    };
    for workers in [vec![busy, fixed("192.168.10.2:8000")], vec![resolved]] {
        let mut status = status(workers);
        status.upstreams[0].queue.length = 1000;
        let long = "www.subdomain.example.com".to_owned();
        let names = vec![long; 100];
        let certificate =
            CertificateStatus { names, ..listeners::certificate("certs/site.pem", 10_000) };
        status.listeners = vec![listeners::secured(vec![certificate])];
        let text = render(&status);
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{}: {line}\n{text}", line.chars().count());
        }
    }
}

#[test]
fn an_edge_of_an_earlier_version_has_no_slots_to_show() {
    let mut status = status(vec![WorkerStatus { slots: 0, ..fixed("w") }]);
    status.listeners[0].max_connections = 0;
    let text = render(&status);
    assert!(text.contains("\n127.0.0.1:80: 7 connections\n"), "{text}");
    let line = text.lines().find(|line| line.starts_with("backend   w")).unwrap_or_default();
    assert_eq!(line.split_whitespace().last(), Some("2"), "{text}");
}

#[test]
fn of_many_restarts_the_most_frequent_reason_is_told() {
    let cases: [(&[(&str, u64)], &str); 4] = [
        (&[], "0"),
        (&[("exit", 3)], "3 exit"),
        (&[("exit", 3), ("max_age", 7)], "7 max_age, 3 exit"),
        (&[("deaf", 1), ("exit", 3), ("max_age", 7)], "7 max_age, 4 more"),
    ];
    for (counts, expected) in cases {
        let counts = counts.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        assert_eq!(restarts(&counts), expected, "{counts:?}");
    }
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
