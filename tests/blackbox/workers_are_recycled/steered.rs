//! What comes before a worker gets traffic, and workers that an operator takes out of rotation.

use std::collections::BTreeSet;

use super::ask;
use crate::support::light_load::{LightLoad, Requests, pid_of};
use crate::support::status::{wait_for_upstream, wait_until_settled};
use crate::support::workers::{edge, roll, uvicorn_app};

#[test]
fn warm_up_comes_before_traffic() {
    let app = uvicorn_app("workers: 2, warmup: [/, \"/slow?seconds=0.3\"]");
    let edge = edge(&app, "slow_start: off");
    let load = LightLoad::start(&edge, 4, Requests::Mixed);
    roll(&edge, &[]);
    let pids: BTreeSet<_> = load.end().iter().map(|answer| answer.pid).collect();
    assert!(pids.len() > 2, "both generations served: {pids:?}");
    let mut checked = BTreeSet::new();
    for _ in 0..4 {
        let response = edge.connect().get("/seen");
        checked.insert(pid_of(&response, "/seen"));
        let seen = response.json()["seen"].clone();
        let seen: Vec<_> =
            seen.as_array().expect("targets").iter().filter_map(|target| target.as_str()).collect();
        let warm = seen.iter().position(|target| *target == "/slow?seconds=0.3");
        let client = seen.iter().position(|target| target.contains("client="));
        assert!(warm.is_some(), "the warm-up came: {seen:?}");
        assert!(client.is_none() || warm < client, "before any client: {seen:?}");
        let twice = seen.iter().filter(|target| target.starts_with("/slow")).count();
        assert_eq!(twice, 1, "once: {seen:?}");
        assert_eq!(
            seen.iter().position(|target| *target == "/").map(|at| Some(at) < warm),
            Some(true),
            "in order"
        );
    }
    assert_eq!(checked.len(), 2, "both workers");
}

#[test]
fn a_drained_worker_gets_nothing_until_it_is_enabled() {
    let edge = edge(&uvicorn_app("workers: 2, transport: tcp"), "slow_start: off");
    let before = wait_until_settled(&edge);
    let [stays, drains] = before.workers.as_slice() else { panic!("two workers: {before:#?}") };
    let load = LightLoad::start(&edge, 4, Requests::Mixed);
    let response = edge.ask_admin("POST", &format!("/upstreams/u/workers/{}/drain", drains.name));
    assert_eq!(response.status, 200, "{response:?}");
    wait_for_upstream(&edge, "the worker to be drained", |upstream| {
        upstream
            .worker_of(drains.pid())
            .is_some_and(|worker| worker.state == "drained" && !worker.in_rotation)
    });
    let answers =
        |count| (0..count).map(|_| pid_of(&edge.connect().get("/"), "/")).collect::<BTreeSet<_>>();
    assert_eq!(answers(12), BTreeSet::from([stays.pid()]), "the other one serves");
    assert_eq!(
        crate::support::status::Upstream::of(&edge).state,
        "degraded",
        "and the upstream says so"
    );
    ask(drains, "/");
    let response = edge.ask_admin("POST", &format!("/upstreams/u/workers/{}/enable", drains.name));
    assert_eq!(response.status, 200, "{response:?}");
    let after = wait_until_settled(&edge);
    assert_eq!(answers(12), before.pids().into_iter().collect(), "both serve again");
    assert_eq!((after.restarts(), after.state.as_str()), (0, "ready"), "nobody was replaced");
    load.end();
}

#[test]
fn one_worker_alone_can_be_replaced() {
    let edge = edge(&uvicorn_app("workers: 2"), "slow_start: off");
    let before = wait_until_settled(&edge);
    let load = LightLoad::start(&edge, 4, Requests::Mixed);
    roll(&edge, &["--worker", &before.workers[1].name]);
    let after = wait_until_settled(&edge);
    load.end();
    assert_eq!(after.workers[0].pid, before.workers[0].pid, "the first one stays: {after:#?}");
    assert_ne!(after.workers[1].pid, before.workers[1].pid, "the second one is new: {after:#?}");
    assert_eq!(after.restarts_for("restart"), 1, "{after:#?}");
}
