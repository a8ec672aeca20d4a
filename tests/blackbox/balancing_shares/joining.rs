//! `slow_start`: a worker that joins begins with a small share of the requests.

use std::time::{Duration, Instant};

use crate::support::edge::Edge;
use crate::support::light_load::pid_of;
use crate::support::status::{Upstream, wait_until_settled};
use crate::support::workers::{edge, roll, uvicorn_app};

/// How many of `requests`, one after the other, this process answered.
fn share_of(edge: &Edge, pid: u32, requests: usize) -> usize {
    let mut client = edge.connect();
    (0..requests).filter(|number| pid_of(&client.get("/"), &number.to_string()) == pid).count()
}

#[test]
fn a_new_worker_begins_with_a_small_share() {
    for balance in ["least_requests", "round_robin", "random"] {
        let keys = format!("balance: {balance}, slow_start: 20s");
        let edge = edge(&uvicorn_app("workers: 2"), &keys);
        wait_until_settled(&edge);
        let old = Upstream::of(&edge).pids();
        let begun = Instant::now();
        roll(&edge, &["--worker", "1"]);
        let new = Upstream::of(&edge).pids().into_iter().find(|pid| !old.contains(pid));
        let share = share_of(&edge, new.expect("a new process"), 100);
        // By then it may have risen to 10 % and a twentieth of the rest for each second.
        if begun.elapsed() < Duration::from_secs(5) {
            assert!(share <= 40, "{balance}: {share} of 100 after {:?}", begun.elapsed());
        }
        assert!(share > 0, "{balance}: but some");
    }
}

#[test]
fn a_new_worker_rises_to_its_whole_share() {
    let edge = edge(&uvicorn_app("workers: 2"), "balance: round_robin, slow_start: 1s");
    wait_until_settled(&edge);
    roll(&edge, &["--worker", "1"]);
    let pid = Upstream::of(&edge).workers[0].pid();
    crate::support::wait_for("half of the requests to be its own", || {
        (share_of(&edge, pid, 20) == 10).then_some(())
    });
}
