use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::config::{Address, Connections};

// Its connections are pairs of sockets, which Windows does not have.
#[cfg(unix)]
mod bookkeeping;
mod queue;

/// With short patience for unused connections.
fn settings() -> config::Upstream {
    let settings = fixtures::settings();
    let idle_timeout = Duration::from_secs(4);
    let connections = Connections { idle_timeout, max_idle: 2, ..settings.connections };
    config::Upstream { connections, ..settings }
}

fn upstream() -> Arc<Upstream> {
    fixtures::upstream(&settings())
}

fn worker(upstream: &Upstream, name: &str, generation: u64, address: Address) -> Arc<Worker> {
    Arc::new(fixtures::worker(upstream, name, generation, address))
}

/// An upstream with one worker at a listener of the test, and a slot on it.
async fn one_slot() -> (TcpListener, Slot) {
    let (listener, address) = listening().await;
    let upstream = upstream();
    upstream.join(worker(&upstream, "1", 1, address));
    let slot = acquire(&upstream).expect("a slot");
    (listener, slot)
}

fn acquire(upstream: &Arc<Upstream>) -> Option<Slot> {
    upstream.acquire(&Wish::default()).ok()
}

fn acquire_but(upstream: &Arc<Upstream>, tried: &[Arc<Worker>]) -> Option<Slot> {
    upstream.acquire_again(&Wish { tried: tried.to_vec(), ..Wish::default() }).ok()
}

async fn listening() -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, Address::Tcp(address))
}

fn names(upstream: &Arc<Upstream>, turns: usize) -> Vec<String> {
    (0..turns)
        .filter_map(|_| acquire(upstream))
        .map(|slot| slot.worker().identity().name.to_string())
        .collect()
}

#[tokio::test]
async fn a_replacement_takes_the_place_of_its_earlier_generation() {
    let (_listener, address) = listening().await;
    let upstream = upstream();
    upstream.join(worker(&upstream, "1", 1, address.clone()));
    upstream.join(worker(&upstream, "2", 1, address.clone()));
    upstream.join(worker(&upstream, "1", 2, address));
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
    assert!(acquire(&upstream).is_none(), "nobody is left");
}

#[tokio::test]
async fn workers_that_were_tried_are_left_out() {
    let (_listener, address) = listening().await;
    let upstream = upstream();
    upstream.join(worker(&upstream, "1", 0, address.clone()));
    upstream.join(worker(&upstream, "2", 0, address));
    let first = Arc::clone(acquire(&upstream).expect("a worker").worker());
    let tried = vec![first];
    for _ in 0..4 {
        let slot = acquire_but(&upstream, &tried).expect("the other");
        let other = slot.worker();
        assert!(!Arc::ptr_eq(other, &tried[0]), "never the one that was tried");
    }
    assert!(acquire_but(&upstream, &upstream.workers()).is_none(), "all were tried");
}

#[tokio::test]
async fn a_slot_counts_until_it_is_dropped() {
    let (_listener, address) = listening().await;
    let upstream = upstream();
    let worker = worker(&upstream, "1", 0, address);
    upstream.join(Arc::clone(&worker));
    let slots = [acquire(&upstream), acquire(&upstream)];
    assert_eq!(worker.in_flight(), 2, "both count");
    drop(slots);
    assert_eq!(worker.in_flight(), 0, "neither leaks");
}

#[tokio::test]
async fn parked_connections_are_taken_again_up_to_the_limit() {
    let (listener, slot) = one_slot().await;
    let mut accepted = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(slot.connect(None).await.expect("connected"));
        accepted.push(listener.accept().await.expect("accepted"));
    }
    connections
        .into_iter()
        .for_each(|connection| slot.park(connection, Keeping::Anybody, Check::Notes));
    assert_eq!(slot.worker().idle_connections(), 2, "max_idle");
    assert!(slot.reuse(Keeping::Anybody, Check::Kernel).is_some(), "a parked one");
}

#[tokio::test]
async fn a_connection_the_worker_closed_is_not_taken() {
    let (listener, slot) = one_slot().await;
    let connection = slot.connect(None).await.expect("connected");
    let (accepted, _) = listener.accept().await.expect("accepted");
    slot.park(connection, Keeping::Anybody, Check::Notes);
    drop(accepted);
    // Loopback delivers the FIN before `close` returns to the peer.
    assert!(slot.reuse(Keeping::Anybody, Check::Kernel).is_none(), "its end has arrived");
}

#[tokio::test]
async fn a_retired_worker_keeps_no_connection() {
    let (listener, address) = listening().await;
    let upstream = upstream();
    let member = worker(&upstream, "1", 1, address);
    upstream.join(Arc::clone(&member));
    let slot = acquire(&upstream).expect("a place");
    let (kept, late) = (slot.connect(None).await, slot.connect(None).await);
    let _accepted = (listener.accept().await, listener.accept().await);
    slot.park(kept.expect("connected"), Keeping::Anybody, Check::Notes);
    upstream.leave("1", 1);
    slot.park(late.expect("connected"), Keeping::Anybody, Check::Notes);
    assert_eq!(slot.worker().idle_connections(), 0, "neither the parked nor the late one");
}

#[tokio::test]
async fn unused_connections_expire() {
    let (listener, slot) = one_slot().await;
    let connection = slot.connect(None).await.expect("connected");
    let _accepted = listener.accept().await;
    slot.park(connection, Keeping::Anybody, Check::Notes);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(slot.reuse(Keeping::Anybody, Check::Kernel).is_none(), "idle_timeout has passed");
}

/// The workers of `turns` requests, each over before the next.
fn chosen(upstream: &Arc<Upstream>, turns: usize) -> String {
    names(upstream, turns).concat()
}

#[tokio::test]
async fn what_speaks_against_a_worker_puts_others_first() {
    let (_listener, address) = listening().await;
    let upstream = upstream();
    let [one, two] = ["1", "2"].map(|name| worker(&upstream, name, 1, address.clone()));
    upstream.join(Arc::clone(&one));
    upstream.join(Arc::clone(&two));
    assert_eq!(chosen(&upstream, 4), "1212", "the control: in turn");
    for mark in [Mark::Silent, Mark::Unhealthy, Mark::Drained, Mark::Deaf] {
        one.mark(mark, true);
        assert_eq!(chosen(&upstream, 3), "222", "{mark:?}");
        one.mark(mark, false);
    }
    one.mark(Mark::Silent, true);
    two.mark(Mark::Unhealthy, true);
    let doubtful = chosen(&upstream, 4);
    assert!(
        doubtful == "1212" || doubtful == "2121",
        "{doubtful}: both, when there is nobody else"
    );
    assert!(!upstream.is_ready(), "but that does not count as ready");
    two.mark(Mark::Drained, true);
    assert_eq!(chosen(&upstream, 2), "11", "and nobody who is to get nothing");
    one.mark(Mark::Drained, true);
    assert!(acquire(&upstream).is_none(), "not even in need");
}

#[tokio::test]
async fn a_deaf_worker_serves_on_the_connections_it_has() {
    let (listener, address) = listening().await;
    let upstream = upstream();
    let deaf = Arc::new(fixtures::supervised(&upstream, "1", address));
    upstream.join(Arc::clone(&deaf));
    let slot = acquire(&upstream).expect("a place");
    let connection = slot.connect(None).await.expect("connected");
    let _accepted = listener.accept().await;
    deaf.mark(Mark::Deaf, true);
    assert!(acquire(&upstream).is_none(), "its only connection is in use");
    slot.park(connection, Keeping::Anybody, Check::Notes);
    let next = acquire(&upstream).expect("the connection is free again");
    assert!(next.reuse(Keeping::Anybody, Check::Kernel).is_some(), "and serves");
    let refused = next.connect(None).await;
    assert!(matches!(refused, Err(ConnectError::Failed(_))), "no new one is even tried");
}

#[tokio::test]
async fn a_retired_worker_gives_no_place_and_says_when_it_is_empty() {
    let (_listener, address) = listening().await;
    let upstream = upstream();
    let member = worker(&upstream, "1", 1, address);
    upstream.join(Arc::clone(&member));
    let slots = [acquire(&upstream), acquire(&upstream)];
    upstream.leave("1", 1);
    assert!(member.acquire(&upstream).is_none(), "no place any more");
    let mut drained = std::pin::pin!(member.drained());
    let [one, two] = slots;
    let waits = tokio::time::timeout(Duration::ZERO, drained.as_mut()).await;
    assert!(waits.is_err(), "two requests are on it");
    drop(one);
    let waits = tokio::time::timeout(Duration::ZERO, drained.as_mut()).await;
    assert!(waits.is_err(), "one still is");
    drop(two);
    drained.await;
}

/// Requests and a retirement at the same time, again and again: whoever waits for the worker to be empty never sees it
/// empty and then a request on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_slips_past_a_drain() {
    let (_listener, address) = listening().await;
    for round in 0..300 {
        let upstream = upstream();
        let member = worker(&upstream, "1", 1, address.clone());
        upstream.join(Arc::clone(&member));
        let requests = Arc::clone(&upstream);
        let taker = tokio::spawn(async move {
            let mut taken = 0;
            while let Some(slot) = acquire(&requests) {
                taken += 1;
                drop(slot);
            }
            taken
        });
        while member.requests() == 0 {
            tokio::task::yield_now().await;
        }
        upstream.leave("1", 1);
        member.drained().await;
        let given = member.requests();
        assert!(taker.await.expect("it ends") >= given, "round {round}");
        assert_eq!(member.requests(), given, "round {round}: nothing came after the drain");
    }
}

#[tokio::test]
async fn connections_are_made_before_the_first_request() {
    let (listener, address) = listening().await;
    let connections = Connections { prewarm: 2, ..settings().connections };
    let upstream = fixtures::upstream(&config::Upstream { connections, ..settings() });
    let member = worker(&upstream, "1", 1, address);
    Arc::clone(&member).prewarm().await;
    let _accepted = [listener.accept().await, listener.accept().await];
    assert_eq!(member.idle_connections(), 2, "as many as were asked for");
}

/// An upstream that chooses by `balance`, with a worker `1` that serves and a worker `2` that has just joined it.
async fn joined_late(balance: Balance) -> Arc<Upstream> {
    let (_listener, address) = listening().await;
    let slow_start = Some(Duration::from_secs(10));
    let upstream = fixtures::upstream(&config::Upstream { balance, slow_start, ..settings() });
    let newcomer = fixtures::worker(&upstream, "2", 2, address.clone()).newcomer();
    upstream.join(worker(&upstream, "1", 1, address));
    upstream.join(Arc::new(newcomer));
    upstream
}

#[tokio::test(start_paused = true)]
async fn a_replacement_begins_with_a_small_share() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        let upstream = joined_late(balance.clone()).await;
        let share = |turns| chosen(&upstream, turns).matches('2').count();
        assert_eq!(share(200), 10, "{balance:?}: a tenth of its half at first");
        tokio::time::advance(Duration::from_secs(10)).await;
        upstream.sweep();
        assert_eq!(share(200), 100, "{balance:?}: its half in the end");
        upstream.leave("1", 1);
        assert_eq!(share(10), 10, "{balance:?}: and all when there is nobody else");
    }
}

/// However busy the others are: what is empty is not filled at once.
#[tokio::test(start_paused = true)]
async fn a_replacement_is_not_given_every_request_because_it_is_empty() {
    let upstream = joined_late(Balance::LeastRequests).await;
    let slots: Vec<_> = (0..40).filter_map(|_| acquire(&upstream)).collect();
    let on_newcomer = |slot: &&Slot| *slot.worker().identity().name == *"2";
    let share = slots.iter().filter(on_newcomer).count();
    assert!((1..=6).contains(&share), "{share} of 40, not 20");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_comes_back_begins_with_a_small_share() {
    let upstream = joined_late(Balance::RoundRobin).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    upstream.sweep();
    let back = Arc::clone(&upstream.workers()[1]);
    back.mark(Mark::Ejected, true);
    assert_eq!(chosen(&upstream, 4), "1111", "it is out");
    back.mark(Mark::Ejected, false);
    assert_eq!(chosen(&upstream, 200).matches('2').count(), 10, "a tenth of its half again");
}
