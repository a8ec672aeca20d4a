//! Under mixed load every response is the app's, memory stays flat, and nothing is left behind.
//!
//! 200 connections: JSON, server-sent events, WebSockets, uploads, and clients that break off, before two Uvicorn
//! workers with their default keep-alive of 5 seconds. `ASGATE_SOAK_SECONDS` is how long, 20 unless set.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::edge::Edge;
use crate::support::uvicorn::{Uvicorn, python};
use crate::support::wait_for;

/// What allocators keep back is less than this; a leak of 1 KiB a request shows within two minutes.
const ALLOWED_GROWTH_KB: u64 = 16 * 1024;

/// The load script while it runs. Killed when dropped.
struct Load {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Load {
    /// Starts it and waits until all its clients are there.
    fn start(address: SocketAddr, seconds: u32, connections: u32) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/soak/mixed_load.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(address.to_string())
            .args(["--seconds", &seconds.to_string(), "--connections", &connections.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut output = BufReader::new(child.stdout.take().expect("its stdout"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its first line");
        assert_eq!(line, "running\n", "the load began");
        Self { child, output }
    }

    /// Waits for its end: whether it found everything right, and its report.
    fn end(mut self) -> (bool, Value) {
        let report = serde_json::from_reader(&mut self.output).expect("a report");
        (self.child.wait().expect("its end").success(), report)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: u64,
}

fn held_by(pid: u32) -> Held {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    Held { descriptors: descriptors.count(), threads: of_status(pid, "Threads:") }
}

fn of_status(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {field} in {status}"))
}

/// The series that count what is under way, and what is kept for later.
fn gauges(workers: &[Uvicorn]) -> Vec<String> {
    let connections = |state: &str, worker: &Uvicorn| {
        let worker = worker.address();
        format!(
            "asgate_upstream_connections{{state=\"{state}\",upstream=\"u\",worker=\"{worker}\"}}"
        )
    };
    let mut gauges = vec![
        r#"asgate_requests_in_flight{upstream="u"}"#.to_owned(),
        r#"asgate_listener_connections{listener="127.0.0.1:0"}"#.to_owned(),
    ];
    gauges.extend(workers.iter().map(|worker| connections("active", worker)));
    gauges.extend(workers.iter().map(|worker| connections("idle", worker)));
    gauges
}

/// Waits until the edge has nothing under way and no connection to a client or worker.
fn wait_until_idle(edge: &Edge, workers: &[Uvicorn]) {
    for gauge in gauges(workers) {
        edge.wait_for_metric(&gauge, 0.0);
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn every_response_is_the_apps_and_nothing_is_left_behind() {
    let seconds = std::env::var("ASGATE_SOAK_SECONDS").map_or(Ok(20), |text| text.parse());
    let seconds: u32 = seconds.expect("ASGATE_SOAK_SECONDS is a whole number");
    let quiet = ["--log-level", "critical"];
    let workers = [Uvicorn::start(&quiet), Uvicorn::start(&quiet)];
    let edge = Edge::before(&[workers[0].address(), workers[1].address()], "");

    let (right, report) = Load::start(edge.address(), 5, 200).end();
    assert!(right, "lost while warming up: {report:#}");
    wait_until_idle(&edge, &workers);
    let before = held_by(edge.pid());
    let warm = of_status(edge.pid(), "VmRSS:");

    let load = Load::start(edge.address(), seconds, 200);
    for gauge in gauges(&workers) {
        wait_for(&format!("{gauge} to show the load"), || {
            (edge.metric(&gauge) > 0.0).then_some(())
        });
    }
    let (right, report) = load.end();
    assert!(right, "lost under load: {report:#}");
    for kind in ["json", "burst", "events", "websockets", "uploads", "aborts"] {
        assert!(report["done"][kind].as_u64() > Some(10), "{kind} was part of it: {report:#}");
    }
    wait_until_idle(&edge, &workers);
    let mut after = held_by(edge.pid());
    wait_for("nothing to be held that was not held before", || {
        after = held_by(edge.pid());
        (after.descriptors <= before.descriptors && after.threads <= before.threads).then_some(())
    });
    let grown = of_status(edge.pid(), "VmRSS:").saturating_sub(warm);
    eprintln!(
        "{report:#}\n{grown} KiB more than {warm} KiB after the warm-up, {before:?}, {after:?}"
    );
    assert!(grown < ALLOWED_GROWTH_KB, "{grown} KiB more than {warm} KiB after the warm-up");

    for line in edge.access_log() {
        let word = line["edge.termination"].as_str().expect("a termination");
        assert!(["ok", "client_closed"].contains(&word), "only clients that left: {line}");
    }
}

#[test]
fn the_load_notices_what_is_lost() {
    let worker = Uvicorn::start(&[]);
    let load = Load::start(worker.address(), 4, 50);
    // Without an edge, a worker that dies takes its requests with it.
    crate::support::edge::signal(worker.pid(), "KILL");
    let (right, report) = load.end();
    assert!(!right && report["lost"].as_u64() > Some(0), "something was lost: {report:#}");
}
