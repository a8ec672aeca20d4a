//! What ends while requests wait: their worker, the edge, a stream of HTTP/2, a WebSocket.

use super::{Gated, HEAD, expect_answer, send};
use crate::support::edge::signal;
use crate::support::frames::Frames;
use crate::support::light_load::pid_of;
use crate::support::pool::{Pool, upstream, wait_for_queue, wait_until_idle};
use crate::support::status::wait_until_settled;
use crate::support::stub::Stub;
use crate::support::wait_for;
use crate::support::workers::{self, uvicorn_app};

/// They wait for the worker that asgate starts instead.
#[test]
fn those_who_wait_outlive_their_worker() {
    let edge = workers::edge(&uvicorn_app("workers: 1"), "max_requests_per_worker: 1");
    let old = wait_until_settled(&edge).pids();
    let mut served = edge.connect();
    served.send(format!("POST /slow?seconds=30 HTTP/1.1\r\n{HEAD}content-length: 0\r\n\r\n"));
    wait_for("it to be served", || {
        (upstream(&edge)["workers"][0]["requests_in_flight"] == 1).then_some(())
    });
    let mut waiting: Vec<_> = ["GET", "POST", "GET", "POST", "GET", "POST"]
        .map(|method| {
            let mut client = edge.connect();
            client.send(format!("{method} / HTTP/1.1\r\n{HEAD}content-length: 0\r\n\r\n"));
            (method, client)
        })
        .into();
    wait_for_queue(&edge, waiting.len());
    signal(old[0], "KILL");
    assert_eq!(served.response().status, 502, "it was lost with its worker");
    // The slot that is free now is one of a process that is still being taken down: a POST that is given it may be lost.
    let responses: Vec<_> =
        waiting.iter_mut().map(|(method, client)| (*method, client.response())).collect();
    let lost = responses.iter().filter(|(_, response)| response.status == 502);
    let lost: Vec<_> = lost.map(|(method, _)| *method).collect();
    assert!(lost.is_empty() || lost == ["POST"], "at most one, for one slot: {lost:?}");
    for (method, response) in responses.iter().filter(|(_, response)| response.status != 502) {
        assert!(!old.contains(&pid_of(response, method)), "{method}: by the new process");
    }
    wait_until_idle(&edge);
}

/// A stop lets them finish, as all that is in flight.
#[test]
fn those_who_wait_are_served_before_a_stop() {
    let worker = Gated::start();
    let mut edge = worker.behind_an_edge("");
    let mut clients: Vec<_> = (0..4)
        .map(|number| {
            let target = format!("/{number}");
            let client = send(&edge, &target);
            wait_for("it to be there", || {
                (upstream(&edge)["requests_in_flight"] == number + 1).then_some(())
            });
            (client, target)
        })
        .collect();
    edge.signal("TERM");
    wait_for("it to stop", || (edge.status()["state"] == "stopping").then_some(()));
    worker.permit(4);
    for (client, target) in &mut clients {
        expect_answer(client, target);
    }
    assert!(edge.wait().success(), "a graceful stop");
}

#[test]
fn a_stream_that_is_reset_leaves_the_queue() {
    let worker = Gated::start();
    let edge = worker.behind_an_edge("queue: { size: 2 }");
    let mut served = send(&edge, "/served");
    worker.wait_for_arrival("/served");
    let mut client = Frames::connect(edge.address());
    client.get(1, "/reset");
    wait_for_queue(&edge, 1);
    client.get(3, "/stays");
    wait_for_queue(&edge, 2);
    client.reset(1);
    wait_for_queue(&edge, 1);
    worker.permit(2);
    expect_answer(&mut served, "/served");
    worker.wait_for_arrival("/stays");
    wait_until_idle(&edge);
    assert_eq!(worker.order(), ["/served", "/stays"], "the one that was reset reaches nobody");
    let lines = edge.wait_for_log(3);
    let reset = lines.iter().find(|line| line["url.path"] == "/reset").expect("its line");
    assert_eq!(reset["edge.termination"], "client_closed", "{reset:#}");
}

/// What is upgraded is in flight for as long as it lives.
#[test]
fn a_websocket_has_a_slot_until_it_ends() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            if request.contains("/socket") {
                accepted.send(
                    "HTTP/1.1 101 Switching Protocols\r\n\
                     connection: upgrade\r\nupgrade: websocket\r\n\r\n",
                );
                accepted.wait_for_fin();
                return;
            }
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let edge = Pool::with("max_requests_per_worker: 1").before(&[stub.address()]);
    let mut socket = edge.connect();
    socket.send(format!(
        "GET /socket HTTP/1.1\r\n{HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    assert_eq!(socket.head().expect("a head").0, 101, "upgraded");
    let mut waiting = send(&edge, "/");
    wait_for_queue(&edge, 1);
    drop(socket);
    assert_eq!(waiting.response().status, 200, "its slot is free");
    wait_until_idle(&edge);
}
