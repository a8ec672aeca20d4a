//! The phases in which the edge waits for the worker: `connect`, `first_byte`, `idle`, and `total` over all of them.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{AMPLE, BEATS, Expected, LIMIT, OK, PACE, Scene, expect_line};
use crate::support::PATIENCE;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// A listening socket that answers no connection attempt, as its queue is full, and what fills it.
fn full_listener() -> (TcpListener, SocketAddr, TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("listening");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("its address");
    let filler = TcpStream::connect(address).expect("the one place in the queue");
    (listener, address, filler)
}

#[test]
fn connect_is_answered_with_504_and_the_late_connection_serves_later() {
    let (listener, address, filler) = full_listener();
    let routes = "  - { match: { path: /timed }, upstream: u, timeouts: { connect: 400ms } }\n  \
                  - { upstream: u, timeouts: { connect: off } }";
    let edge = Edge::before(&[address], routes);
    let mut client = edge.connect();
    let response = client.get("/timed");
    assert_eq!(response.status, 504, "{response:?}");
    let line = edge.only_log_line();
    let expected =
        Expected { status: 504, termination: "upstream_timeout", aborted: false, limit: LIMIT };
    expect_line(&line, &expected);
    assert_eq!(line["edge.attempts"], 1, "there is no other worker to try: {line:#}");
    assert!(line.get("edge.retry_reason").is_none(), "so nothing was tried again: {line:#}");
    let timed_out = r#"asgate_upstream_connects_total{result="timed_out",upstream="u",worker=""#;
    let counted = edge.metrics().lines().any(|l| l.starts_with(timed_out) && l.ends_with(" 1"));
    assert!(counted, "the attempt is counted:\n{}", edge.metrics());

    // The control: with `connect: off` the same attempt waits for longer than the limit and than the default of 1s.
    let mut patient = edge.connect();
    patient.send("GET /off HTTP/1.1\r\nHost: test.example\r\n\r\n");
    assert!(patient.is_quiet_for(Duration::from_millis(1200)), "`connect: off` waits");
    drop(filler);
    let _stub = Stub::on(listener, |mut accepted| {
        while accepted.request().is_some() {
            accepted.send(OK);
        }
    });
    assert_eq!(patient.response().status, 200, "and is answered once the worker accepts");
    for _ in 0..3 {
        let response = client.get("/timed");
        assert_eq!(response.status, 200, "late connections are no trap: {response:?}");
    }
}

#[test]
fn first_byte_is_answered_with_504() {
    let scene = Scene::new("first_byte: 400ms");
    let mut client = scene.edge.connect();
    let response = client.get("/timed/silent");
    assert_eq!((response.status, response.complete), (504, true), "{response:?}");
    assert_eq!(client.get("/").status, 200, "the client's connection is kept");
    let lines = scene.edge.wait_for_log(2);
    let expected =
        Expected { status: 504, termination: "upstream_timeout", aborted: false, limit: LIMIT };
    expect_line(&lines[0], &expected);
    let fin = scene.ended.recv_timeout(PATIENCE).expect("the worker's connection ends");
    assert!(fin, "with FIN, not with a reset");
    assert_eq!(scene.stub.accepted(), 2, "the next request has a worker connection of its own");
}

#[test]
fn first_byte_on_a_reused_connection_is_no_reason_to_send_again() {
    let scene = Scene::new("first_byte: 400ms");
    let mut client = scene.edge.connect();
    assert_eq!(client.get("/first").status, 200, "a first request, which may take its time");
    assert_eq!(client.get("/timed/silent").status, 504, "a second on the same worker connection");
    let line = scene.edge.wait_for_log(2).remove(1);
    assert_eq!(line["edge.connection_reused"], true, "{line:#}");
    assert_eq!(line["edge.attempts"], 1, "the worker has the request: {line:#}");
    assert_eq!(scene.stub.accepted(), 1, "no second connection");
    assert!(scene.ended.recv_timeout(PATIENCE).expect("an end"), "with FIN, not with a reset");
}

#[test]
fn first_byte_leaves_an_answer_within_the_limit_alone() {
    let scene = Scene::new("first_byte: 4s");
    let mut client = scene.edge.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/timed/soon").status, 200, "answered after {PACE:?}");
    }
    assert_eq!(scene.stub.accepted(), 1, "the worker's connection is used again");
}

#[test]
fn idle_aborts_the_response() {
    let scene = Scene::new("idle: 400ms");
    let response = scene.edge.connect().get("/timed/half");
    assert_eq!((response.status, response.complete), (200, false), "cut short: {response:?}");
    assert_eq!(response.text(), "half", "what came before is passed on");
    scene.expect(&Expected {
        status: 200,
        termination: "upstream_timeout",
        aborted: true,
        limit: LIMIT,
    });
}

#[test]
fn idle_leaves_a_response_in_steady_pieces_alone() {
    let scene = Scene::new("idle: 4s");
    let begun = Instant::now();
    let response = scene.edge.connect().get("/timed/paced");
    assert!(response.complete, "whole: {response:?}");
    assert_eq!(response.text(), ".".repeat(BEATS), "all pieces");
    assert!(begun.elapsed() > AMPLE, "it took longer than the limit");
    assert_eq!(scene.edge.only_log_line()["edge.termination"], "ok", "the word");
}

#[test]
fn total_before_the_head_is_answered_with_504() {
    let scene = Scene::new("total: 400ms");
    let response = scene.edge.connect().get("/timed/silent");
    assert_eq!((response.status, response.complete), (504, true), "{response:?}");
    scene.expect(&Expected {
        status: 504,
        termination: "upstream_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

#[test]
fn total_holds_where_the_other_limits_are_off() {
    let scene = Scene::new("total: 400ms, connect: off, first_byte: off, idle: off");
    assert_eq!(scene.edge.connect().get("/timed/silent").status, 504, "before the head");
    scene.expect(&Expected {
        status: 504,
        termination: "upstream_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

#[test]
fn total_after_the_head_aborts_the_response_however_lively() {
    let scene = Scene::new("total: 3s, idle: 2500ms");
    let response = scene.edge.connect().get("/timed/drip");
    assert_eq!((response.status, response.complete), (200, false), "cut short: {response:?}");
    assert!(!response.body.is_empty(), "what came before is passed on");
    scene.expect(&Expected {
        status: 200,
        termination: "upstream_timeout",
        aborted: true,
        limit: Duration::from_secs(3),
    });
}

#[test]
fn total_covers_the_upload_too() {
    let scene = Scene::new("total: 400ms");
    let mut client = scene.edge.connect();
    client
        .send("POST /timed/upload HTTP/1.1\r\nHost: test.example\r\ncontent-length: 9\r\n\r\nhalf");
    let response = client.response();
    assert_eq!(response.status, 504, "as the outcome table has it: {response:?}");
    scene.expect(&Expected {
        status: 504,
        termination: "upstream_timeout",
        aborted: false,
        limit: LIMIT,
    });
}

#[test]
fn total_leaves_a_request_within_it_alone() {
    let scene = Scene::new("total: 4s");
    let mut client = scene.edge.connect();
    for _ in 0..BEATS {
        let response = client.get("/timed/soon");
        assert_eq!(response.status, 200, "each request has the whole limit: {response:?}");
    }
    assert_eq!(scene.stub.accepted(), 1, "the worker's connection is used again");
}

#[test]
fn total_off_is_no_limit() {
    let scene = Scene::new("total: off, idle: 4s");
    let response = scene.edge.connect().get("/timed/paced");
    assert!(response.complete, "{BEATS} pieces, {PACE:?} apart: {response:?}");
}
