//! Restart, drain and enable, while a client that retries nothing counts what fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::edge::{Edge, signal};
use crate::support::uvicorn::sample_app;
use crate::support::wait_for;

use super::{assert_problem, supervising};

/// Clients that ask without pause, one connection for each request.
struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<u16>>>,
}

impl Load {
    fn on(edge: &Edge) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let address = edge.address();
        let clients = (0..4).map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut answers = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    answers.push(Client::connect(address).get("/items/1").status);
                }
                answers
            })
        });
        Self { clients: clients.collect(), over }
    }

    /// Ends it. Fails when a request did.
    fn assert_lossless(self) {
        self.over.store(true, Ordering::Relaxed);
        let answers: Vec<_> = self
            .clients
            .into_iter()
            .flat_map(|client| client.join().expect("every request was answered"))
            .collect();
        let failed: Vec<_> = answers.iter().filter(|status| **status != 200).collect();
        assert!(failed.is_empty(), "{} of {} failed: {failed:?}", failed.len(), answers.len());
        assert!(answers.len() > 10, "the control: there were requests: {}", answers.len());
    }
}

fn workers(edge: &Edge) -> Vec<Value> {
    edge.status()["upstreams"][0]["workers"].as_array().expect("workers").clone()
}

/// Generation and pid of each worker.
fn generations(edge: &Edge) -> Vec<(u64, u64)> {
    let number = |worker: &Value, key: &str| worker[key].as_u64().expect("a number");
    let of = |worker: &Value| (number(worker, "generation"), number(worker, "pid"));
    workers(edge).iter().map(of).collect()
}

/// The pids of the workers that answer.
fn who_answers(edge: &Edge) -> BTreeSet<u64> {
    let answers = (0..12).map(|_| edge.connect().get("/").json()["pid"].as_u64().expect("a pid"));
    answers.collect()
}

#[test]
fn a_rolling_restart_loses_no_request() {
    let edge = Edge::start(&supervising(&sample_app(), "workers: 2"));
    let before = generations(&edge);
    let load = Load::on(&edge);
    let response = edge.ask_admin("POST", "/upstreams/u/restart");
    assert_eq!(response.status, 200, "{response:?}");
    let said = response.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains('2') && said.contains('u'), "how many of which: {said:?}");
    let after = generations(&edge);
    load.assert_lossless();
    for (number, (old, new)) in before.iter().zip(&after).enumerate() {
        assert_eq!(new.0, old.0 + 1, "worker {number}: {old:?} became {new:?}");
        assert_ne!(new.1, old.1, "worker {number} is another process");
    }
    let counts: Vec<_> =
        workers(&edge).iter().map(|worker| worker["restarts"]["restart"].clone()).collect();
    assert_eq!(counts, [1, 1], "counted under its reason");
    wait_for("the old processes to go", || (edge.children().len() == 2).then_some(()));
}

#[test]
fn one_worker_can_be_restarted() {
    let edge = Edge::start(&supervising(&sample_app(), "workers: 2"));
    let before = generations(&edge);
    let load = Load::on(&edge);
    let response = edge.ask_admin("POST", "/upstreams/u/workers/2/restart");
    assert_eq!(response.status, 200, "{response:?}");
    load.assert_lossless();
    let after = generations(&edge);
    assert_eq!(after[0], before[0], "the other one stays");
    assert_eq!(after[1].0, before[1].0 + 1, "{after:?}");
    let unknown = edge.ask_admin("POST", "/upstreams/u/workers/3/restart");
    assert_problem(&unknown, 404, &["3", "it has 1, 2"]);
}

#[test]
fn a_restart_goes_on_when_its_client_leaves() {
    let edge = Edge::start(&supervising(&sample_app(), "workers: 2"));
    let before = generations(&edge);
    let mut client = Client::connect(edge.admin());
    client.send("POST /upstreams/u/restart HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wait_for("the roll to begin", || (edge.children().len() > 2).then_some(()));
    drop(client);
    wait_for("both to be replaced", || {
        let now = workers(&edge);
        let new = |(worker, old): (&Value, &(u64, u64))| {
            worker["generation"].as_u64().is_some_and(|now| now > old.0)
                && worker["in_rotation"] == true
        };
        now.iter().zip(&before).all(new).then_some(())
    });
}

#[test]
fn a_second_roll_at_the_same_time_is_refused() {
    // So many that the first is not over when the second one is asked for.
    let edge = Edge::start(&supervising(&sample_app(), "workers: 4"));
    let mut first = Client::connect(edge.admin());
    first.send("POST /upstreams/u/restart HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wait_for("the roll to begin", || (edge.children().len() > 4).then_some(()));
    assert_problem(&edge.ask_admin("POST", "/upstreams/u/restart"), 409, &[]);
    assert_eq!(first.response().status, 200, "the first is not disturbed");
}

#[test]
fn a_drained_worker_gets_nothing_until_it_is_enabled() {
    let edge = Edge::start(&supervising(&sample_app(), "workers: 2"));
    let pids: Vec<_> = generations(&edge).into_iter().map(|(_, pid)| pid).collect();
    assert_eq!(who_answers(&edge).len(), 2, "the control: both answer");
    let load = Load::on(&edge);
    let response = edge.ask_admin("POST", "/upstreams/u/workers/1/drain");
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(who_answers(&edge), BTreeSet::from([pids[1]]), "only the other one");
    let drained = wait_for("what was in flight to end", || {
        let worker = workers(&edge).remove(0);
        (worker["state"] == "drained").then_some(worker)
    });
    assert_eq!(drained["in_rotation"], false, "{drained:#}");
    assert_eq!(drained["pid"].as_u64(), Some(pids[0]), "its process stays: {drained:#}");
    let upstream = edge.status()["upstreams"][0]["state"].clone();
    assert_eq!(upstream, "degraded", "one of two");
    let response = edge.ask_admin("POST", "/upstreams/u/workers/1/enable");
    assert_eq!(response.status, 200, "{response:?}");
    wait_for("it to get requests again", || (who_answers(&edge).len() == 2).then_some(()));
    load.assert_lossless();
    assert_eq!(edge.status()["state"], "ready", "{:#}", edge.status());
}

/// A roll is not to make things worse: an app that does not start any more leaves the old workers where they are.
#[test]
fn a_roll_whose_new_worker_fails_leaves_the_old_ones() {
    let app = App::sound();
    let edge = Edge::start(&supervising(app.directory(), "workers: 2"));
    let before = generations(&edge);
    app.break_it();
    let load = Load::on(&edge);
    assert_problem(&edge.ask_admin("POST", "/upstreams/u/restart"), 500, &["1"]);
    load.assert_lossless();
    assert_eq!(generations(&edge), before, "the old ones stay");
    app.mend();
    let response = edge.ask_admin("POST", "/upstreams/u/restart");
    assert_eq!(response.status, 200, "the control: {response:?}");
}

#[test]
fn status_says_why_a_worker_was_started_again() {
    let edge = Edge::start(&supervising(&sample_app(), "workers: 2"));
    let (_, victim) = generations(&edge)[0];
    signal(u32::try_from(victim).expect("a pid"), "KILL");
    let worker = wait_for("its next generation", || {
        let worker = workers(&edge).remove(0);
        (worker["generation"] == 2 && worker["state"] == "ready").then_some(worker)
    });
    assert_eq!(worker["restarts"]["exit"], 1, "{worker:#}");
    assert_ne!(worker["pid"].as_u64(), Some(victim), "{worker:#}");
}
