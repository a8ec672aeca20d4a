//! Who leaves makes room: waiting clients that go away, and requests that lose their worker, their client or their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Gated, HEAD, expect_answer, send};
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::pool::{Pool, upstream, wait_for_queue, wait_until_idle};
use crate::support::stub::Stub;
use crate::support::wait_for;

/// The line of a client that left before its request was anywhere.
fn expect_client_closed(edge: &Edge, target: &str) {
    let line = wait_for(&format!("the line of {target}"), || {
        edge.access_log().into_iter().find(|line| line["url.path"] == target)
    });
    assert_eq!(line["edge.termination"], "client_closed", "{line:#}");
    assert_eq!(line["http.response.status_code"], 499, "{line:#}");
    assert_eq!(line["edge.attempts"], 0, "{line:#}");
}

#[test]
fn a_client_that_leaves_the_queue_makes_room() {
    let requests = [
        ("no body", format!("GET /left HTTP/1.1\r\n{HEAD}\r\n")),
        ("a whole body", format!("POST /left HTTP/1.1\r\n{HEAD}content-length: 4\r\n\r\nbody")),
        ("half a body", format!("POST /left HTTP/1.1\r\n{HEAD}content-length: 8\r\n\r\nhalf")),
        (
            "a chunked body",
            format!("POST /left HTTP/1.1\r\n{HEAD}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
        ),
    ];
    for (what, request) in requests {
        let worker = Gated::start();
        let edge = worker.behind_an_edge("queue: { size: 1 }");
        let mut served = send(&edge, "/served");
        worker.wait_for_arrival("/served");
        let mut leaving = edge.connect();
        leaving.send(request);
        wait_for_queue(&edge, 1);
        drop(leaving);
        wait_for_queue(&edge, 0);
        expect_client_closed(&edge, "/left");

        let mut next = send(&edge, "/next");
        wait_for_queue(&edge, 1);
        worker.permit(2);
        expect_answer(&mut served, "/served");
        expect_answer(&mut next, "/next");
        assert_eq!(
            worker.order(),
            ["/served", "/next"],
            "{what}: nothing of it reached the worker"
        );
        wait_until_idle(&edge);
    }
}

#[test]
fn those_behind_move_up() {
    let worker = Gated::start();
    let edge = worker.behind_an_edge("");
    let mut served = send(&edge, "/served");
    worker.wait_for_arrival("/served");
    let mut clients: Vec<(usize, Client)> = Vec::new();
    for number in 0..20 {
        clients.push((number, send(&edge, &format!("/{number}"))));
        wait_for_queue(&edge, number + 1);
    }
    clients.retain(|(number, _)| number % 3 == 2);
    wait_for_queue(&edge, clients.len());
    worker.permit(clients.len() + 1);
    expect_answer(&mut served, "/served");
    for (number, client) in &mut clients {
        expect_answer(client, &format!("/{number}"));
    }
    let stayed = clients.iter().map(|(number, _)| format!("/{number}"));
    let expected: Vec<_> = ["/served".to_owned()].into_iter().chain(stayed).collect();
    assert_eq!(worker.order(), expected, "those who stayed, in their order");
}

/// A worker that never answers `/silent`, breaks off at `/crash`, and answers everything else.
fn moody() -> Stub {
    Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            match request.split(' ').nth(1) {
                Some("/silent") => {
                    accepted.wait_for_fin();
                }
                Some("/crash") => return accepted.reset(),
                _ => {
                    accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                }
            }
        }
    })
}

#[test]
fn the_slot_of_a_request_that_ends_badly_is_given_on() {
    let cases = [
        ("its client leaves", "/silent", "1m", None),
        ("its time is over", "/silent", "2s", Some(504)),
        ("its worker breaks off", "/crash", "1m", Some(502)),
    ];
    for (what, target, first_byte, status) in cases {
        let stub = moody();
        let edge = Pool {
            keys: "max_requests_per_worker: 1",
            route: &format!("timeouts: {{ first_byte: {first_byte} }}"),
            ..Pool::default()
        }
        .before(&[stub.address()]);
        let mut bad = edge.connect();
        bad.send(format!("POST {target} HTTP/1.1\r\n{HEAD}content-length: 0\r\n\r\n"));
        if target == "/silent" {
            wait_for("the worker to have it", || {
                stub.received_in_all().contains("/silent").then_some(())
            });
        }
        let mut next = send(&edge, "/next");
        match status {
            None => {
                wait_for_queue(&edge, 1);
                drop(bad);
            }
            Some(status) => assert_eq!(bad.response().status, status, "{what}"),
        }
        assert_eq!(next.response().status, 200, "{what}: the next one has its turn");
        wait_until_idle(&edge);
        assert_eq!(edge.connect().get("/").status, 200, "{what}: and so has the one after it");
    }
}

/// After much of everything, all slots are there.
#[test]
fn no_slot_is_lost_in_turmoil() {
    const SLOTS: usize = 3;
    let stub = moody();
    let edge = Pool {
        keys: "max_requests_per_worker: 3, queue: { timeout: 300ms }",
        route: "timeouts: { first_byte: 500ms }",
        ..Pool::default()
    }
    .before(&[stub.address()]);
    let (address, refused) = (edge.address(), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let refused = Arc::clone(&refused);
            std::thread::spawn(move || {
                for request in 0..20 {
                    let target = ["/", "/silent", "/crash", "/"][(number + request) % 4];
                    let mut client = Client::connect(address);
                    client
                        .send(format!("POST {target} HTTP/1.1\r\n{HEAD}content-length: 0\r\n\r\n"));
                    if (number * 5 + request) % 7 == 0 {
                        continue;
                    }
                    let status = client.response().status;
                    assert!([200, 502, 503, 504].contains(&status), "{target}: {status}");
                    refused.fetch_or(status == 503, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("a client got its answers");
    }
    wait_until_idle(&edge);
    assert!(refused.load(Ordering::Relaxed), "the control: there was a crowd");

    // Those of one try are held for as long as `first_byte` only.
    wait_for("all slots to be taken at once", || {
        let _held: Vec<_> = (0..SLOTS).map(|_| hold(&edge)).collect();
        let is_full = || {
            let worker = &upstream(&edge)["workers"][0];
            worker["requests_in_flight"] == SLOTS && worker["slots"] == SLOTS
        };
        (0..20).any(|_| is_full()).then_some(())
    });
    wait_until_idle(&edge);
}

/// A request that is not answered.
fn hold(edge: &Edge) -> Client {
    let mut client = edge.connect();
    client.send(format!("POST /silent HTTP/1.1\r\n{HEAD}content-length: 0\r\n\r\n"));
    client
}
