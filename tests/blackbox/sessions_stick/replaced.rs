//! A worker is the same to its clients when its process is another.

use std::collections::BTreeMap;

use super::{cookie, set_cookie};
use crate::support::edge::Edge;
use crate::support::light_load::pid_of;
use crate::support::status::{Upstream, wait_until_settled};
use crate::support::workers::{edge, roll, uvicorn_app};

/// Cookies by the name of their worker.
fn cookies(edge: &Edge) -> BTreeMap<String, String> {
    let upstream = Upstream::of(edge);
    let mut cookies = BTreeMap::new();
    for number in 0..40 {
        let response = edge.connect().get("/");
        let pid = pid_of(&response, &format!("visit {number}"));
        let worker = upstream.worker_of(pid).expect("a worker of this upstream");
        let (value, _) = set_cookie(&response).expect("a cookie");
        cookies.insert(worker.name.clone(), value);
    }
    assert_eq!(cookies.len(), upstream.workers.len(), "all are visited");
    cookies
}

/// Each cookie leads to its worker, whatever process that is.
fn expect_homes(edge: &Edge, cookies: &BTreeMap<String, String>) {
    let upstream = Upstream::of(edge);
    for (name, value) in cookies {
        for _ in 0..5 {
            let response = edge.connect().get_with("/", &cookie(value));
            let worker = upstream.worker_of(pid_of(&response, name));
            assert_eq!(worker.map(|worker| &worker.name), Some(name), "{response:?}");
            assert_eq!(response.header("set-cookie"), None, "{name}: the same cookie");
        }
    }
}

#[test]
fn clients_stay_with_their_worker_through_a_restart() {
    let edge = edge(&uvicorn_app("workers: 3"), "affinity: {}, slow_start: off");
    wait_until_settled(&edge);
    let cookies = cookies(&edge);
    let before = Upstream::of(&edge).pids();
    expect_homes(&edge, &cookies);
    roll(&edge, &[]);
    let after = wait_until_settled(&edge).pids();
    assert!(after.iter().all(|pid| !before.contains(pid)), "the control: {before:?}, {after:?}");
    expect_homes(&edge, &cookies);
}
