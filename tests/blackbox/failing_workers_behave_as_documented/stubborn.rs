//! Workers that ignore that they are asked to stop.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::edge::{Edge, is_gone};
use crate::support::held::wait_until_gone;
use crate::support::status::wait_until_settled;
use crate::support::wait_for;
use crate::support::workers::{config, roll, start_in, tiny_app};

const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// What commands, kills and the start of a successor take on a busy machine, and the second that a worker gets beyond
/// its time to end by itself.
const MARGIN: Duration = Duration::from_secs(15);

fn with_conduct(directory: &Path, conduct: &str) -> Edge {
    let app = tiny_app("{socket}", directory, conduct, "workers: 1, stop_timeout: 1s");
    start_in(directory, &config(&app, "slow_start: off"))
}

#[test]
fn it_is_killed_after_stop_timeout_when_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let edge = with_conduct(directory.path(), "ignores-sigterm");
    let old = wait_until_settled(&edge).pids()[0];
    let begun = Instant::now();
    roll(&edge, &[]);
    assert_eq!(edge.connect().get("/").status, 200, "its successor serves");
    wait_until_gone("the old worker", &[old]);
    assert!(begun.elapsed() >= STOP_TIMEOUT, "not before its time: {:?}", begun.elapsed());
    assert!(begun.elapsed() < STOP_TIMEOUT + MARGIN, "soon after it: {:?}", begun.elapsed());
}

#[test]
fn it_is_killed_after_stop_timeout_when_the_edge_stops() {
    for (conduct, least) in [("ignores-sigterm", STOP_TIMEOUT), ("", Duration::ZERO)] {
        let directory = tempfile::tempdir().expect("a directory");
        let edge = with_conduct(directory.path(), conduct);
        let pid = wait_until_settled(&edge).pids()[0];
        let begun = Instant::now();
        assert!(edge.stop().success(), "{conduct}: a graceful stop");
        assert!(is_gone(pid), "{conduct}: the worker has ended");
        let took = begun.elapsed();
        assert!(took >= least && took < least + MARGIN, "{conduct}: {took:?}");
    }
}

/// Nor does it keep an edge that has a request to finish from anything: the others are stopped meanwhile.
#[test]
fn stubborn_workers_are_stopped_at_the_same_time() {
    const WORKERS: usize = 6;
    const EACH: Duration = Duration::from_secs(3);
    let directory = tempfile::tempdir().expect("a directory");
    let keys = format!("workers: {WORKERS}, stop_timeout: {}s", EACH.as_secs());
    let app = tiny_app("{socket}", directory.path(), "ignores-sigterm", &keys);
    let edge = start_in(directory.path(), &config(&app, "slow_start: off"));
    let pids = wait_for("the workers", || {
        Some(wait_until_settled(&edge).pids()).filter(|pids| pids.len() == WORKERS)
    });
    let begun = Instant::now();
    assert!(edge.stop().success(), "a graceful stop");
    assert!(pids.iter().all(|&pid| is_gone(pid)), "all have ended");
    // One after the other they would take six times as long as one.
    assert!(begun.elapsed() < 5 * EACH, "not one after the other: {:?}", begun.elapsed());
}
