//! Whatever clients do, a worker whose listener dies of a reset connection (CPython gh-93821) never meets one. And where
//! something else makes it deaf, it serves on over the connections it has until its replacement is there.

use std::time::{Duration, Instant};

use crate::support::edge::{Edge, is_gone};
use crate::support::held::is_listened_at;
use crate::support::light_load::{Answer, LightLoad, Requests};
use crate::support::load::{Load, soak_seconds};
use crate::support::status::{Upstream, wait_for_upstream, wait_until_settled};
use crate::support::uvicorn::{Uvicorn, test_app};
use crate::support::wait_for;
use crate::support::workers::{config, edge, make_deaf, restarts_counted, uvicorn_app};

const FRAGILE: [&str; 2] = ["--loop", "fragile_loop:FragileLoop"];
/// From the death of its listener until a replacement has taken over, which has to start first.
const REPLACED_WITHIN: Duration = Duration::from_secs(20);

/// `app` of fragile workers.
fn fragile_app(workers: u32) -> String {
    uvicorn_app(&format!("workers: {workers}, transport: tcp, args: {FRAGILE:?}"))
}

#[test]
fn clients_that_leave_and_timeouts_deafen_nobody() {
    let config = config(&fragile_app(2), "slow_start: off").replace(
        "routes: [",
        "routes: [{ match: { path: =/slow }, upstream: u, timeouts: { first_byte: 300ms } }, ",
    );
    let edge = Edge::start(&config);
    let before = wait_until_settled(&edge);
    let seconds = soak_seconds().to_string();
    let load = Load::start("aborting_clients.py", edge.address(), &["--seconds", &seconds]);
    let (_, report) = load.end();
    eprintln!("{report}");
    assert_eq!(report["lost"], 0, "clients that stayed got answers: {report:#}");
    for (kind, least) in [("leaves", 5), ("waits", 1), ("behaves", 1)] {
        let done = report["done"][kind].as_u64();
        let least = least * u64::from(soak_seconds()) / 2;
        assert!(done > Some(least), "{kind} more than {least} times: {report:#}");
    }
    let terminated = |word: &str| {
        edge.access_log().iter().filter(|line| line["edge.termination"] == word).count()
    };
    assert!(terminated("client_closed") > 20, "the clients left while the edge was at work");
    assert!(terminated("upstream_timeout") > 5, "the timeout ended requests");
    let after = Upstream::of(&edge);
    assert_eq!(after.restarts(), 0, "nobody was replaced: {after:#?}");
    for (before, after) in before.workers.iter().zip(&after.workers) {
        assert_eq!((after.pid, after.generation), (before.pid, before.generation), "{after:?}");
        let address = after.address.as_deref().expect("its address");
        assert!(is_listened_at(address), "it still listens: {after:?}");
        assert_eq!(after.state, "ready", "{after:?}");
    }
}

/// The control: without an edge, the same clients do it to the same worker.
#[test]
fn without_an_edge_the_same_clients_deafen_it() {
    let worker = Uvicorn::serving_app("worker_app:app", &test_app(), &FRAGILE);
    let address = worker.address().to_string();
    assert!(is_listened_at(&address), "it listens");
    let load = Load::start("aborting_clients.py", worker.address(), &["--seconds", "10"]);
    wait_for("it to be deaf", || (!is_listened_at(&address)).then_some(()));
    assert!(!is_gone(worker.pid()), "the process lives");
    drop(load);
}

/// The control for what follows: it takes the fragile loop to go deaf by this.
#[test]
fn a_sound_loop_survives_what_deafens_a_fragile_one() {
    let edge = edge(&uvicorn_app("workers: 1, transport: tcp"), "slow_start: off");
    let worker = wait_until_settled(&edge).workers.remove(0);
    make_deaf(&worker);
    assert_eq!(edge.connect().get("/").status, 200, "it serves");
    assert!(is_listened_at(worker.address.as_deref().expect("its address")), "it listens");
}

fn a_deaf_worker_is_replaced(workers: u32) {
    let edge = edge(&fragile_app(workers), "slow_start: off");
    wait_until_settled(&edge);
    let clients = 3;
    open_connections(&edge, 4 * workers as usize);
    let load = LightLoad::start(&edge, clients, Requests::Mixed);
    let victim = wait_until_settled(&edge).workers.remove(0);
    let address = victim.address.clone().expect("its address");
    make_deaf(&victim);
    wait_for("its listener to be gone", || (!is_listened_at(&address)).then_some(()));
    let deaf = Instant::now();
    let replaced = wait_for_upstream(&edge, "its replacement", |upstream| {
        upstream.is_settled() && upstream.worker_of(victim.pid()).is_none()
    });
    assert!(deaf.elapsed() < REPLACED_WITHIN, "within seconds: {:?}", deaf.elapsed());
    assert_eq!(replaced.restarts_for("deaf"), 1, "the reason: {replaced:#?}");
    assert_eq!(replaced.restarts(), 1, "that reason only: {replaced:#?}");
    assert!((restarts_counted(&edge, "deaf") - 1.0).abs() < f64::EPSILON, "{}", edge.metrics());
    wait_for("its process to be gone", || is_gone(victim.pid()).then_some(()));
    wait_for("the log to say so", || edge.stderr_text().contains("deaf").then_some(()));
    let answers = load.end();
    let served = |answer: &&Answer| answer.pid == victim.pid() && answer.asked > deaf;
    let served = answers.iter().filter(served).count();
    // Beside others only until it is known to be deaf, which may be at once.
    assert!(workers > 1 || served > 0, "it served on over the connections it had");
    let last = answers.last().expect("answers");
    assert_ne!(last.pid, victim.pid(), "and not for ever");
}

/// Has the edge keep `count` connections to its workers, more than the load needs: a deaf worker gets no further ones.
fn open_connections(edge: &Edge, count: usize) {
    let mut clients: Vec<_> = (0..count).map(|_| edge.connect()).collect();
    for client in &mut clients {
        client.send("GET /slow?seconds=2 HTTP/1.1\r\nHost: test.example\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response().status, 200, "a connection is opened and kept");
    }
}

#[test]
fn a_deaf_worker_among_others_is_replaced_and_no_client_notices() {
    a_deaf_worker_is_replaced(2);
}

#[test]
fn the_only_worker_when_deaf_serves_until_it_is_replaced() {
    a_deaf_worker_is_replaced(1);
}
