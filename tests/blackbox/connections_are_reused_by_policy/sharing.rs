//! Who may use a connection: everybody, one client, nobody twice; and never who came to another generation.

use super::{Witness, ask, by_fin};
use crate::support::client::Client;
use crate::support::edge::is_gone;
use crate::support::light_load::pid_of;
use crate::support::pool::{Pool, wait_until_idle, worker};
use crate::support::status::{Upstream, wait_until_settled};
use crate::support::stub::Stub;
use crate::support::wait_for;
use crate::support::workers::{edge, roll, uvicorn_app};

#[test]
fn never_means_one_request_for_each() {
    let worker = Witness::start();
    let edge = worker.behind_an_edge("reuse: never");
    let mut client = edge.connect();
    for number in 0..6 {
        let response = if number % 2 == 0 { client.get("/") } else { client.post("/", "body") };
        assert_eq!(response.status, 200, "{response:?}");
        let kept = response.header("connection").is_none_or(|value| value != "close");
        assert!(kept, "the client's own connection is another matter: {response:?}");
    }
    let lives = worker.wait_for("all to be closed", |lives| {
        lives.len() == 6 && lives.iter().all(|life| life.end.is_some())
    });
    assert_eq!(worker.loads(), [1; 6], "one for each");
    assert!(by_fin(&lives), "{lives:?}");
    for number in 0..6 {
        let request = worker.stub.received(number).to_lowercase();
        assert!(request.contains("\r\nconnection: close\r\n"), "the worker is told: {request}");
    }
}

#[test]
fn safe_and_always_do_not_say_close() {
    for reuse in ["safe", "always"] {
        let worker = Witness::start();
        let edge = worker.behind_an_edge(&format!("reuse: {reuse}, prewarm: 0"));
        for _ in 0..5 {
            let mut client = edge.connect();
            ask(&mut client, 2);
            assert_eq!(client.post("/", "body").status, 200, "{reuse}");
            // The connection is free a moment after the answer.
            wait_until_idle(&edge);
        }
        assert_eq!(worker.loads(), [15], "{reuse}: one connection for all");
        let requests = worker.stub.received(0).to_lowercase();
        assert!(!requests.contains("connection: close"), "{reuse}: {requests}");
    }
}

#[test]
fn per_client_means_one_client_for_each() {
    let worker = Witness::start();
    let edge = worker.behind_an_edge("reuse: per_client, prewarm: 0");
    let mut clients: Vec<_> = (0..3).map(|_| edge.connect()).collect();
    for _ in 0..4 {
        for client in &mut clients {
            ask(client, 1);
            assert_eq!(client.post("/", "body").status, 200, "with a body");
        }
    }
    assert_eq!(worker.loads(), [8; 3], "one for each of three clients");
    drop(clients);
    let lives = worker.wait_for("them to end with their clients", |lives| {
        lives.iter().all(|life| life.end.is_some())
    });
    assert!(by_fin(&lives), "{lives:?}");
    ask(&mut edge.connect(), 2);
    assert_eq!(worker.loads(), [8, 8, 8, 2], "a new client has a new one");
}

/// Each new one would cost its user a new sign-on.
#[test]
fn that_of_one_client_outlives_a_failure_of_the_app() {
    for (keys, connections) in [("reuse: per_client, prewarm: 0", 1), ("prewarm: 0", 3)] {
        let failing = Stub::answering(b"HTTP/1.1 500 Oops\r\ncontent-length: 1\r\n\r\n0");
        let edge = Pool::with(&format!("connections: {{ {keys} }}")).before(&[failing.address()]);
        let mut client = edge.connect();
        (0..3).for_each(|_| assert_eq!(client.get("/").status, 500, "{keys}"));
        assert_eq!(failing.accepted(), connections, "{keys}");
    }
}

/// However busy the machine is and however quickly a worker answers, an exchange that was whole costs no connection.
#[test]
fn a_clean_exchange_costs_no_connection() {
    const CLIENTS: usize = 6;
    let worker = Witness::start();
    let edge = worker.behind_an_edge("reuse: per_client, prewarm: 0");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = edge.connect();
            std::thread::spawn(move || {
                for number in 0..300 {
                    let response =
                        if number % 3 == 0 { client.get("/") } else { client.post("/", "body") };
                    assert_eq!(response.status, 200, "request {number}");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("all its requests were answered");
    }
    assert_eq!(worker.loads(), [300; CLIENTS], "one connection for each client, and no other");
}

#[test]
fn per_client_keeps_to_one_worker() {
    let team = [Witness::start(), Witness::start(), Witness::start()];
    let addresses: Vec<_> = team.iter().map(|worker| worker.stub.address()).collect();
    let keys = "balance: round_robin, connections: { reuse: per_client, prewarm: 0 }";
    let edge = Pool::with(keys).before(&addresses);
    let mut clients: Vec<_> = (0..3).map(|_| edge.connect()).collect();
    for _ in 0..5 {
        for client in &mut clients {
            ask(client, 1);
        }
    }
    let loads: Vec<_> = team.iter().flat_map(Witness::loads).collect();
    assert_eq!(loads, [5; 3], "all requests of a client go to its connection while it lives");
}

/// A client that keeps asking is served by the new process at once, and the old one is left alone.
#[test]
fn never_across_generations() {
    for transport in ["auto", "tcp"] {
        let app = uvicorn_app(&format!("workers: 1, transport: {transport}"));
        let edge = edge(&app, "slow_start: off");
        wait_until_settled(&edge);
        let mut client = edge.connect();
        let ask = |client: &mut Client| pid_of(&client.get("/"), transport);
        let old = ask(&mut client);
        roll(&edge, &[]);
        let new = Upstream::of(&edge).workers[0].pid();
        for _ in 0..20 {
            assert_eq!(ask(&mut client), new, "{transport}: the new process");
        }
        wait_for("the old process to be gone", || is_gone(old).then_some(()));
        let idle = worker(&edge, "1")["connections"]["idle"].clone();
        assert!(idle.as_u64().is_some_and(|idle| idle <= 2), "{transport}: {idle} idle");
    }
}
