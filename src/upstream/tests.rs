use std::num::NonZeroU16;
use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::config::Address;
use crate::telemetry::Metrics;

fn policy() -> Connections {
    Connections { idle_timeout: Duration::from_secs(4), max_idle: 2 }
}

fn worker(name: &str, generation: u64, address: Address) -> Arc<Worker> {
    let identity = Identity { name: name.into(), generation, pid: None };
    let metrics = Metrics::new().expect("metrics").worker("u", name);
    Arc::new(Worker::new(identity, address, NonZeroU16::MIN, policy(), metrics))
}

async fn listening() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, Address::Tcp(address))
}

fn names(upstream: &Upstream, turns: usize) -> Vec<String> {
    (0..turns)
        .filter_map(|_| upstream.choose(&[]))
        .map(|worker| worker.identity().name.to_string())
        .collect()
}

#[tokio::test]
async fn a_replacement_takes_the_place_of_its_earlier_generation() {
    let (_listener, address) = listening().await;
    let upstream = Upstream::new("u", policy());
    upstream.join(worker("1", 1, address.clone()));
    upstream.join(worker("2", 1, address.clone()));
    upstream.join(worker("1", 2, address));
    let generations: Vec<_> = upstream
        .workers()
        .iter()
        .map(|worker| (worker.identity().name.to_string(), worker.identity().generation))
        .collect();
    assert_eq!(generations, [("2".into(), 1), ("1".into(), 2)], "one generation each");
    upstream.leave("1", 1);
    assert_eq!(
        upstream.workers().len(),
        2,
        "an earlier generation that leaves late takes nobody along"
    );
    upstream.leave("1", 2);
    assert_eq!(names(&upstream, 2), ["2", "2"], "only the other is left");
    upstream.leave("2", 1);
    assert!(upstream.choose(&[]).is_none(), "nobody is left");
}

#[tokio::test]
async fn workers_that_were_tried_are_left_out() {
    let (_listener, address) = listening().await;
    let upstream = Upstream::new("u", policy());
    upstream.join(worker("1", 0, address.clone()));
    upstream.join(worker("2", 0, address));
    let first = upstream.choose(&[]).expect("a worker");
    let tried = vec![first];
    for _ in 0..4 {
        let other = upstream.choose(&tried).expect("the other");
        assert!(!Arc::ptr_eq(&other, &tried[0]), "never the one that was tried");
    }
    assert!(upstream.choose(&upstream.workers()).is_none(), "all were tried");
}

#[tokio::test]
async fn a_slot_counts_until_it_is_dropped() {
    let (_listener, address) = listening().await;
    let worker = worker("1", 0, address);
    let slots = [Arc::clone(&worker).acquire(), Arc::clone(&worker).acquire()];
    assert_eq!(worker.in_flight(), 2, "both count");
    drop(slots);
    assert_eq!(worker.in_flight(), 0, "neither leaks");
}

#[tokio::test]
async fn parked_connections_are_taken_again_up_to_the_limit() {
    let (listener, address) = listening().await;
    let slot = worker("1", 0, address).acquire();
    let mut accepted = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(slot.connect(None).await.expect("connected"));
        accepted.push(listener.accept().await.expect("accepted"));
    }
    connections.into_iter().for_each(|connection| slot.park(connection, Check::Notes));
    assert_eq!(slot.worker().idle_connections(), 2, "max_idle");
    assert!(slot.reuse(Check::Kernel).is_some(), "a parked one");
}

#[tokio::test]
async fn a_connection_the_worker_closed_is_not_taken() {
    let (listener, address) = listening().await;
    let slot = worker("1", 0, address).acquire();
    let connection = slot.connect(None).await.expect("connected");
    let (accepted, _) = listener.accept().await.expect("accepted");
    slot.park(connection, Check::Notes);
    drop(accepted);
    // Loopback delivers the FIN before `close` returns to the peer.
    assert!(slot.reuse(Check::Kernel).is_none(), "its end has arrived");
}

#[tokio::test]
async fn a_retired_worker_keeps_no_connection() {
    let (listener, address) = listening().await;
    let upstream = Upstream::new("u", policy());
    let member = worker("1", 1, address);
    upstream.join(Arc::clone(&member));
    let slot = member.acquire();
    let (kept, late) = (slot.connect(None).await, slot.connect(None).await);
    let _accepted = (listener.accept().await, listener.accept().await);
    slot.park(kept.expect("connected"), Check::Notes);
    upstream.leave("1", 1);
    slot.park(late.expect("connected"), Check::Notes);
    assert_eq!(slot.worker().idle_connections(), 0, "neither the parked nor the late one");
}

#[tokio::test]
async fn unused_connections_expire() {
    let (listener, address) = listening().await;
    let slot = worker("1", 0, address).acquire();
    let connection = slot.connect(None).await.expect("connected");
    let _accepted = listener.accept().await;
    slot.park(connection, Check::Notes);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(slot.reuse(Check::Kernel).is_none(), "idle_timeout has passed");
}
