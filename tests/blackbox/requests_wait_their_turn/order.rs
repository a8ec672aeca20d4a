//! First come, first served; and what it costs to wait.

use super::{Gated, HEAD, expect_answer, send};
use crate::support::held::of_status;
use crate::support::pool::{Pool, upstream, wait_for_queue, wait_until_idle};

/// As many as the queue takes by default.
const WAITING: usize = 1000;
/// Requests of one batch are sent without waiting for each other, so their order is nobody's.
const BATCH: usize = 25;
/// What one client that waits may cost, its connection and its request included.
const ALLOWED_KB: u64 = 64;

#[test]
fn a_thousand_clients_are_served_in_the_order_they_came() {
    let worker = Gated::start();
    let edge = worker.behind_an_edge("");
    let mut first = send(&edge, "/first");
    worker.wait_for_arrival("/first");
    let before = of_status(edge.pid(), "VmRSS:");

    let mut clients = Vec::new();
    while clients.len() < WAITING {
        for _ in 0..BATCH {
            let target = format!("/{}", clients.len());
            clients.push((send(&edge, &target), target));
        }
        wait_for_queue(&edge, clients.len());
    }
    let grown = of_status(edge.pid(), "VmRSS:").saturating_sub(before);
    eprintln!("{WAITING} clients that wait cost {grown} KiB beside {before} KiB");
    assert!(grown < ALLOWED_KB * WAITING as u64, "{grown} KiB for {WAITING} clients");
    assert_eq!(worker.order(), ["/first"], "one at a time");
    assert_eq!(upstream(&edge)["queue"]["size"], WAITING, "the default size");

    worker.permit(WAITING + 1);
    expect_answer(&mut first, "/first");
    for (client, target) in &mut clients {
        expect_answer(client, target);
    }
    expect_order(&worker.order()[1..]);
    wait_until_idle(&edge);

    let lines = edge.wait_for_log(WAITING + 1);
    let waited = |line: &&serde_json::Value| line["edge.queue_ns"].as_u64() > Some(1_000_000);
    assert_eq!(lines.iter().filter(waited).count(), WAITING, "all but the first had to wait");
    let series = "asgate_queue_wait_seconds_count{upstream=\"u\"}";
    edge.wait_for_metric(series, WAITING as f64);
    edge.wait_for_metric("asgate_queue_length{upstream=\"u\"}", 0.0);
}

/// What a client sends meanwhile stays in its socket, but for what is kept to be sent again.
#[test]
fn those_who_wait_with_a_body_need_no_memory_for_it() {
    const CLIENTS: usize = 100;
    const BODY: usize = 1 << 20;
    let worker = Gated::start();
    let edge = worker.behind_an_edge("");
    let mut first = send(&edge, "/first");
    worker.wait_for_arrival("/first");
    let before = of_status(edge.pid(), "VmRSS:");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut client = edge.connect();
            let head = format!("POST /{number} HTTP/1.1\r\n{HEAD}content-length: {BODY}\r\n\r\n");
            std::thread::spawn(move || {
                client.send(head);
                client.send(vec![b'x'; BODY]);
                expect_answer(&mut client, &format!("/{number}"));
            })
        })
        .collect();
    wait_for_queue(&edge, CLIENTS);
    let grown = of_status(edge.pid(), "VmRSS:").saturating_sub(before);
    eprintln!("{CLIENTS} clients that wait with a body cost {grown} KiB beside {before} KiB");
    assert!(grown < 256 * CLIENTS as u64, "{grown} KiB for {CLIENTS} bodies of 1 MiB");
    worker.permit(CLIENTS + 1);
    expect_answer(&mut first, "/first");
    for client in clients {
        client.join().expect("it was answered");
    }
    wait_until_idle(&edge);
}

/// Each batch comes after the one before it.
fn expect_order(arrived: &[String]) {
    assert_eq!(arrived.len(), WAITING, "each came once: {arrived:?}");
    for (batch, targets) in arrived.chunks(BATCH).enumerate() {
        let numbers = targets.iter().map(|target| target[1..].parse::<usize>().expect("a number"));
        let strangers: Vec<_> = numbers.filter(|number| number / BATCH != batch).collect();
        assert!(strangers.is_empty(), "out of turn in batch {batch}: {strangers:?}");
    }
}

/// Without a gate, and with more than one slot: nobody is forgotten when many come and go at once.
#[test]
fn nobody_is_forgotten_in_a_crowd() {
    let worker = Gated::start();
    let edge = Pool::with("max_requests_per_worker: 3").before(&[worker.stub.address()]);
    worker.permit(WAITING);
    let clients: Vec<_> = (0..20)
        .map(|client| {
            let mut client = (edge.connect(), client);
            std::thread::spawn(move || {
                for request in 0..WAITING / 20 {
                    let target = format!("/{}/{request}", client.1);
                    assert_eq!(client.0.get(&target).text(), target, "its own answer");
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("all its requests were answered");
    }
    assert_eq!(worker.order().len(), WAITING, "each came once");
    wait_until_idle(&edge);
}
