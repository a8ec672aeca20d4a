//! Who stops reading stops who sends, and the edge holds next to nothing meanwhile.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::{BIG, OK, PHASES, UPGRADE, send_until_held_up, send_until_held_up_for};
use crate::support::PATIENCE;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// What the sockets on the way may hold, with the kernel's largest buffers.
const IN_FLIGHT: usize = 32 << 20;
/// What asgate itself may need for one held-up exchange.
const MEMORY: usize = 8 << 20;

/// Sends the rest of what [`send_until_held_up`] began.
fn send_rest(stream: &mut TcpStream, total: usize, sent: usize) {
    stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
    stream.write_all(&vec![b'x'; total - sent]).expect("the rest is taken");
}

/// Resident memory of the edge in bytes, without the pages of its program, which come in as it runs.
fn memory(edge: &Edge) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", edge.pid())).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a size");
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024
}

#[test]
fn a_client_that_does_not_read_stops_the_worker() {
    let (tell, told) = channel();
    let stub = Stub::start(move |mut accepted| {
        accepted.request();
        let sent = send_until_held_up(&mut accepted.stream, BIG, true);
        tell.send(sent).expect("the test listens");
        send_rest(&mut accepted.stream, BIG, sent);
        accepted.wait_for_fin();
    });
    let edge = Edge::before(&[stub.address()], "");
    let before = memory(&edge);
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let sent = told.recv_timeout(PATIENCE).expect("the worker is held up");
    assert!(sent < IN_FLIGHT, "the worker could send {sent} bytes to a client that reads none");
    let grown = memory(&edge).saturating_sub(before);
    assert!(grown < MEMORY, "the edge holds {grown} bytes more");
    let response = client.response();
    assert_eq!((response.status, response.body.len()), (200, BIG), "all of it, once it reads");
    let line = edge.only_log_line();
    assert_eq!(line["http.response.body.bytes"], BIG, "{line:#}");
    assert_eq!(line["edge.termination"], "ok", "{line:#}");
}

#[test]
fn a_worker_that_does_not_read_stops_the_client() {
    let (proceed, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let stub = Stub::start(move |mut accepted| {
        accepted.request_head();
        wait.lock().expect("a lock").recv_timeout(PATIENCE).expect("word of the test");
        accepted.bytes(BIG);
        accepted.send(OK);
        accepted.wait_for_fin();
    });
    let edge = Edge::before(&[stub.address()], "");
    let before = memory(&edge);
    let mut client = edge.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: {BIG}\r\n\r\n"));
    let sent = send_until_held_up(&mut client.stream, BIG, false);
    assert!(sent < IN_FLIGHT, "the client could send {sent} bytes to a worker that reads none");
    let grown = memory(&edge).saturating_sub(before);
    assert!(grown < MEMORY, "the edge holds {grown} bytes more");
    proceed.send(()).expect("the worker listens");
    send_rest(&mut client.stream, BIG, sent);
    assert_eq!(client.response().status, 200, "answered, once the worker reads");
    let line = edge.only_log_line();
    assert_eq!(line["http.request.body.bytes"], BIG, "{line:#}");
}

/// The control of the two above: when everybody reads, nobody is held up.
#[test]
fn nobody_is_held_up_when_both_read() {
    let (tell, told) = channel();
    let stub = Stub::start(move |mut accepted| {
        accepted.request();
        let sent = send_until_held_up_for(PATIENCE, &mut accepted.stream, BIG, true);
        tell.send(sent).expect("the test listens");
        accepted.wait_for_fin();
    });
    let edge = Edge::before(&[stub.address()], "");
    let response = edge.connect().get("/");
    assert_eq!(response.body.len(), BIG, "all of it");
    assert_eq!(told.recv_timeout(PATIENCE).expect("a count"), BIG, "without a pause");
}

/// A WebSocket is held up like any other: neither side can fill the edge.
#[test]
fn a_websocket_client_that_does_not_read_stops_the_worker() {
    let (tell, told) = channel();
    let stub = Stub::start(move |mut accepted| {
        accepted.request();
        accepted.send(PHASES[5].answer);
        tell.send(send_until_held_up(&mut accepted.stream, BIG, false)).expect("the test listens");
        accepted.wait_for_fin();
    });
    let edge = Edge::before(&[stub.address()], "");
    let before = memory(&edge);
    let mut client = edge.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().expect("a head").0, 101, "upgraded");
    let sent = told.recv_timeout(PATIENCE).expect("the worker is held up");
    assert!(sent < IN_FLIGHT, "the worker could send {sent} bytes to a client that reads none");
    let grown = memory(&edge).saturating_sub(before);
    assert!(grown < MEMORY, "the edge holds {grown} bytes more");
}
