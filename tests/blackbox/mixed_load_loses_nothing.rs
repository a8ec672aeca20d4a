//! Under mixed load every response is the app's, memory stays flat, and nothing is left behind.
//!
//! 200 connections: JSON, server-sent events, WebSockets, uploads, and clients that break off, before two Uvicorn
//! workers with their default keep-alive of 5 seconds. `ASGATE_SOAK_SECONDS` is how long, 20 unless set.

use std::net::SocketAddr;

use crate::support::edge::Edge;
use crate::support::held::{held_by, of_status};
use crate::support::load::{Load, soak_seconds};
use crate::support::uvicorn::Uvicorn;
use crate::support::wait_for;

/// What the busiest moment of a long load takes more than that of a short one is less than this; a leak of 1 KiB a request
/// shows within two minutes.
const ALLOWED_GROWTH_KB: u64 = 16 * 1024;
/// The most memory that was in use. What is in use at a moment says when the allocator last gave some back.
const PEAK: &str = "VmHWM:";

fn start_load(address: SocketAddr, seconds: u32, connections: u32) -> Load {
    let (seconds, connections) = (seconds.to_string(), connections.to_string());
    let arguments = ["--seconds", &seconds, "--connections", &connections];
    Load::start("mixed_load.py", address, &arguments)
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
    let seconds = soak_seconds();
    let quiet = ["--log-level", "critical"];
    let workers = [Uvicorn::start(&quiet), Uvicorn::start(&quiet)];
    let edge = Edge::before(&[workers[0].address(), workers[1].address()], "");

    let (right, report) = start_load(edge.address(), 10, 200).end();
    assert!(right, "lost while warming up: {report:#}");
    wait_until_idle(&edge, &workers);
    let before = held_by(edge.pid());
    let warm = of_status(edge.pid(), PEAK);

    let load = start_load(edge.address(), seconds, 200);
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
    let grown = of_status(edge.pid(), PEAK).saturating_sub(warm);
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
    let load = start_load(worker.address(), 4, 50);
    // Without an edge, a worker that dies takes its requests with it.
    crate::support::edge::signal(worker.pid(), "KILL");
    let (right, report) = load.end();
    assert!(!right && report["lost"].as_u64() > Some(0), "something was lost: {report:#}");
}
