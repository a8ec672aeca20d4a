//! For how many requests, how long, and how many connections.

use std::thread::{sleep, spawn};
use std::time::Duration;

use super::{End, Witness, ask, by_fin};
use crate::support::pool::{wait_for_worker, worker};
use crate::support::wait_for;

/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);

#[test]
fn for_exactly_so_many_requests() {
    for (max_requests, expected) in [(1, vec![1; 12]), (3, vec![3; 4]), (5, vec![5, 5, 2])] {
        let witness = Witness::start();
        let edge = witness.behind_an_edge(&format!("prewarm: 0, max_requests: {max_requests}"));
        ask(&mut edge.connect(), 12);
        let full = expected.iter().filter(|load| **load == max_requests).count();
        let lives = witness.wait_for("the full ones to be closed", |lives| {
            lives.iter().filter(|life| life.end.is_some()).count() == full
        });
        assert!(by_fin(&lives), "max_requests: {max_requests}: {lives:?}");
        assert_eq!(witness.loads(), expected, "max_requests: {max_requests}");
    }
}

#[test]
fn without_a_limit_for_all() {
    let witness = Witness::start();
    let edge = witness.behind_an_edge("prewarm: 0");
    ask(&mut edge.connect(), 50);
    assert_eq!(witness.loads(), [50], "the control: one connection for all");
    let name = witness.stub.address().to_string();
    let said = worker(&edge, &name);
    assert_eq!(said["connects"], 1, "{said:#}");
    assert_eq!(said["reused_ratio"], 0.98, "49 of 50: {said:#}");
    let sent = |connection: &str| {
        edge.metric(&format!(
            "asgate_upstream_requests_total{{connection=\"{connection}\",upstream=\"u\",worker=\"{name}\"}}"
        ))
    };
    assert_eq!((sent("new").to_string(), sent("reused").to_string()), ("1".into(), "49".into()));
}

#[test]
fn no_longer_than_max_age() {
    const AGE: Duration = Duration::from_millis(500);
    let witness = Witness::start();
    let edge = witness.behind_an_edge("prewarm: 0, max_age: 500ms");
    let mut client = edge.connect();
    let lives = wait_for("four connections, one after the other", || {
        ask(&mut client, 1);
        sleep(Duration::from_millis(20));
        Some(witness.lives()).filter(|lives| lives.len() >= 4)
    });
    for life in &lives {
        let first = life.requests.first().expect("it was used");
        let last = life.requests.last().expect("it was used");
        let age = last.duration_since(*first);
        assert!(age < AGE + SLACK, "{age:?} old: {life:?}");
    }
    drop(client);
    let lives = witness.wait_for("the last one to grow too old", |lives| {
        lives.iter().all(|life| life.end.is_some())
    });
    assert!(by_fin(&lives), "{lives:?}");
}

#[test]
fn no_longer_idle_than_idle_timeout() {
    const IDLE: Duration = Duration::from_secs(2);
    let witness = Witness::start();
    let edge = witness.behind_an_edge("prewarm: 0, idle_timeout: 2s");
    let mut client = edge.connect();
    ask(&mut client, 3);
    let lives =
        witness.wait_for("it to be closed", |lives| lives.iter().all(|life| life.end.is_some()));
    let [life] = lives.as_slice() else { panic!("one connection: {lives:?}") };
    let Some(End::Fin(end)) = life.end else { panic!("by FIN: {life:?}") };
    let idle = end.duration_since(*life.requests.last().expect("requests"));
    assert!(idle >= IDLE && idle < IDLE + SLACK, "after {idle:?}");
    ask(&mut client, 1);
    assert_eq!(witness.loads(), [3, 1], "and the next request finds another one");
}

/// Both count for connections that are kept, not for one that is in use.
#[test]
fn a_request_may_take_longer_than_either() {
    let witness = Witness::taking(Duration::from_millis(900));
    let edge = witness.behind_an_edge("prewarm: 0, idle_timeout: 200ms, max_age: 300ms");
    ask(&mut edge.connect(), 2);
    assert_eq!(witness.loads(), [1, 1], "each was too old afterwards");
}

#[test]
fn no_more_idle_ones_than_max_idle() {
    let witness = Witness::answering_at_once(6);
    let edge = witness.behind_an_edge("prewarm: 0, max_idle: 2");
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let mut client = edge.connect();
            spawn(move || ask(&mut client, 1))
        })
        .collect();
    for client in clients {
        client.join().expect("it was answered");
    }
    let lives = witness.wait_for("the others to be closed", |lives| {
        lives.iter().filter(|life| life.end.is_some()).count() == 4
    });
    assert_eq!(lives.len(), 6, "the control: six were needed at once");
    assert!(by_fin(&lives), "{lives:?}");
    let name = witness.stub.address().to_string();
    wait_for_worker(&edge, &name, "left with two", |worker| {
        worker["connections"]["idle"] == 2 && worker["connections"]["active"] == 0
    });
}

#[test]
fn some_are_made_before_they_are_needed() {
    let witness = Witness::start();
    let edge = witness.behind_an_edge("prewarm: 3");
    witness.wait_for("three connections", |lives| lives.len() == 3);
    let name = witness.stub.address().to_string();
    wait_for_worker(&edge, &name, "with three to use", |worker| worker["connections"]["idle"] == 3);
    let mut client = edge.connect();
    ask(&mut client, 5);
    let used = witness.loads().iter().filter(|load| **load > 0).count();
    assert!(used >= 1, "one of them is used: {:?}", witness.loads());
    let line = edge.wait_for_log(5).remove(0);
    assert!(line.get("edge.connect_ns").is_none(), "nobody waited for a connection: {line:#}");
}
