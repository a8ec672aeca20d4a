//! HTTP/2 connections that were ended too early, or not at all, or that cost too much.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use super::{SLACK, of_listener};
use crate::support::edge::Edge;
use crate::support::frames::{
    DATA, END, END_HEADERS, Frames, HEADERS, Method, PING, SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::support::front::Front;
use crate::support::held::of_status;
use crate::support::sources::connect_from;
use crate::support::stub::Stub;
use crate::support::{wait_for, wait_until};

/// The largest window that there is (RFC 9113 §6.9.1), and the one that a connection begins with.
const WIDEST: u32 = 0x7fff_ffff;
const FIRST: u32 = 65_535;
/// Between two signs of life of a client that has nothing to say; asgate lets it have so many.
const OFTEN: Duration = Duration::from_millis(35);

/// An edge for HTTP/2 without TLS, with these keys of the listener and of the file.
fn edge(stub: &Stub, listener: &str, file: &str) -> Edge {
    let comma = if listener.is_empty() { "" } else { ", " };
    let listener = format!("http2: true{comma}{listener}");
    Front { listeners: &[&listener], file, ..Front::default() }.before(stub.address())
}

/// A worker that answers `GET /N` with N bytes.
fn sized() -> Stub {
    Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let path = request.split(' ').nth(1).and_then(|path| path.strip_prefix('/'));
            let size = path.and_then(|size| size.parse().ok()).expect("a size");
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"));
            accepted.send(vec![b'x'; size]);
        }
    })
}

/// The number of the client's stream `n`, counted from 0.
fn id(n: u32) -> u32 {
    2 * n + 1
}

/// A connection that takes little before it is read from.
fn narrow(edge: &Edge) -> TcpStream {
    connect_from(1, edge.address(), Some(64 * 1024))
}

/// A client whose windows are as wide as can be, so that only its socket holds the edge up, and that has asked for
/// `streams` times `size` bytes.
fn asking(socket: TcpStream, streams: u32, size: usize) -> Frames {
    let mut client = Frames::over(socket);
    // SETTINGS_INITIAL_WINDOW_SIZE (4), and the connection's own.
    client.send(SETTINGS, 0, 0, &[&[0, 4][..], &WIDEST.to_be_bytes()].concat());
    client.send(WINDOW_UPDATE, 0, 0, &(WIDEST - FIRST).to_be_bytes());
    for stream in 0..streams {
        client.get(id(stream), &format!("/{size}"));
    }
    client
}

/// A client that is heard only by its PINGs, one now and then until the connection ends.
fn pinging(edge: &Edge) -> Frames {
    let mut socket = TcpStream::connect(edge.address()).expect("connected");
    let client = Frames::over(socket.try_clone().expect("a second handle"));
    spawn(move || {
        while socket.write_all(&frame(PING, 0, 0, &[7; 8])).is_ok() {
            sleep(OFTEN);
        }
    });
    client
}

/// What ends a header block and what begins the next may come in one piece, again and again.
#[test]
fn each_header_block_has_a_time_of_its_own() {
    const LIMIT: Duration = Duration::from_secs(3);
    let stub = Stub::ok();
    let edge = edge(&stub, "header_timeout: 3s", "");
    let mut socket = TcpStream::connect(edge.address()).expect("connected");
    socket.set_nodelay(true).expect("no delay");
    let mut client = Frames::over(socket.try_clone().expect("a second handle"));
    // What is acknowledged in the middle of a frame would be a part of it.
    client.get(id(0), "/");
    client.until(HEADERS);
    let begun = Instant::now();
    let (mut rest, mut last) = (Vec::new(), begun);
    for stream in 1.. {
        last = Instant::now();
        let request = frame(HEADERS, END | END_HEADERS, id(stream), &block(Method::Get, "/"));
        let (most, end) = request.split_at(request.len() - 5);
        socket.write_all(&[&rest, most].concat()).expect("the edge still reads");
        rest = end.to_vec();
        if stream > 1 {
            client.until(HEADERS);
        }
        if begun.elapsed() > LIMIT * 3 / 2 {
            break;
        }
        sleep(LIMIT / 8);
    }
    while client.next().is_some() {}
    let after = last.elapsed();
    assert!(after >= LIMIT, "the control: the last block has its time, too: {after:?}");
    assert!(after < LIMIT + SLACK, "the control: and no more than that: {after:?}");
}

/// What the worker has said is not taken by the client yet, however little is left to do for the edge.
#[test]
fn a_response_may_take_longer_than_a_connection_may_be_idle() {
    const STREAMS: u32 = 30;
    const SIZE: usize = 380_000;
    /// Bytes per second: 7.6 s for all.
    const RATE: f64 = 1.5e6;
    let stub = sized();
    let edge = edge(&stub, "idle_timeout: 3s", "");
    let mut client = asking(narrow(&edge), STREAMS, SIZE);
    let (begun, mut taken) = (Instant::now(), 0);
    let (mut bodies, mut ended) = (HashMap::new(), 0);
    while ended < STREAMS {
        let Some(frame) = client.next() else {
            let all = STREAMS as usize * SIZE;
            panic!("ended after {taken} of {all} bytes and {:?}", begun.elapsed());
        };
        taken += frame.payload.len();
        if frame.kind == DATA {
            *bodies.entry(frame.stream).or_insert(0) += frame.payload.len();
        }
        ended += u32::from(frame.kind <= HEADERS && frame.flags & END != 0);
        let due = Duration::from_secs_f64(taken as f64 / RATE);
        sleep(due.saturating_sub(begun.elapsed()));
    }
    assert_eq!(bodies.len(), STREAMS as usize, "each has its answer");
    assert!(bodies.values().all(|size| *size == SIZE), "each is whole: {bodies:?}");
    let lines = edge.wait_for_log(STREAMS as usize);
    assert!(lines.iter().all(|line| line["edge.termination"] == "ok"), "{lines:#?}");
    let slowest = lines.iter().filter_map(|line| line["event.duration"].as_u64()).max();
    let slowest = Duration::from_nanos(slowest.expect("nanoseconds"));
    assert!(slowest > Duration::from_secs(3), "no answer is over before it is: {slowest:?}");
}

/// All that is read ahead for a client is bounded for each of its streams, whether the worker is still needed or not.
#[test]
fn responses_that_nobody_takes_cost_little_memory() {
    const CLIENTS: usize = 8;
    const STREAMS: u32 = 100;
    // 300 MB in all.
    const SIZE: usize = 390_000;
    const ALLOWED_KB: u64 = 64 * 1024;
    let stub = sized();
    let edge = edge(&stub, "", "");
    assert_eq!(edge.connect().get("/1").status, 200, "warm");
    let before = of_status(edge.pid(), "VmHWM:");
    let _clients: Vec<_> = (0..CLIENTS).map(|_| asking(narrow(&edge), STREAMS, SIZE)).collect();
    wait_until("requests at the worker", || stub.accepted(), |connections| *connections > 10);
    let mut last = (0, Instant::now());
    wait_for("nothing more to be taken from the worker", || {
        let now = of_status(edge.pid(), "VmRSS:");
        if now.abs_diff(last.0) > 1024 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(800)).then_some(())
    });
    let grown = of_status(edge.pid(), "VmHWM:").saturating_sub(before);
    assert!(grown < ALLOWED_KB, "{grown} KiB for {CLIENTS} clients that take nothing");
    // Some fit into the sockets.
    let over = edge.access_log().len();
    assert!(over < CLIENTS * STREAMS as usize / 2, "{over} of them are said to be over");
}

/// Whoever is not there any more, or does not listen, has nothing that is worth waiting for.
#[test]
fn clients_that_do_not_answer_hold_up_no_stop() {
    let stub = Stub::ok();
    let mut edge = edge(&stub, "", "shutdown_timeout: 30s");
    let _mute = Frames::connect(edge.address());
    let mut used = Frames::connect(edge.address());
    used.get(1, "/");
    used.until(HEADERS);
    let _pinging = pinging(&edge);
    edge.wait_for_metric(&of_listener("asgate_listener_connections", ""), 3.0);
    edge.signal("TERM");
    let begun = Instant::now();
    assert_eq!(edge.wait().code(), Some(0), "stopped");
    let after = begun.elapsed();
    assert!(after < Duration::from_secs(2) + SLACK, "only after {after:?}");
    let stderr = edge.stderr_text();
    assert!(!stderr.contains("WARN"), "nothing was in flight that could be missed: {stderr}");
}

const IDLE: Duration = Duration::from_secs(1);

/// How long after `begun` the edge ends this connection.
fn end_of(mut client: Frames, begun: Instant) -> Receiver<Duration> {
    let (end, ended) = channel();
    spawn(move || {
        while client.next().is_some() {}
        // The test may be over.
        let _ = end.send(begun.elapsed());
    });
    ended
}

#[test]
fn pings_are_no_use_of_a_connection() {
    let stub = Stub::ok();
    let edge = edge(&stub, "idle_timeout: 1s", "");
    let begun = Instant::now();
    let pinging = pinging(&edge);
    let after = end_of(pinging, begun).recv_timeout(IDLE + SLACK).expect("closed in time");
    assert!(after >= IDLE, "only after {after:?}");
    let metrics = edge.metrics();
    let abuse = metrics.lines().filter(|line| line.starts_with("asgate_http2_abuse_total{"));
    let abuse: Vec<_> = abuse.filter(|line| !line.ends_with(" 0")).collect();
    assert!(abuse.is_empty(), "it may ping, ten times a second: {abuse:?}");
}

/// Once the worker is done nobody is waited for who takes next to nothing of its answers.
#[test]
fn a_byte_now_and_then_is_no_use_of_a_connection() {
    let stub = sized();
    let edge = edge(&stub, "idle_timeout: 1s", "");
    let socket = narrow(&edge);
    let mut reading = socket.try_clone().expect("a second handle");
    // Each fits into what is read ahead for a stream.
    let _client = asking(socket, 100, 30_000);
    spawn(move || {
        while reading.read(&mut [0]).is_ok_and(|read| read > 0) {
            sleep(OFTEN);
        }
    });
    edge.wait_for_log(100);
    let begun = Instant::now();
    edge.wait_for_metric(&of_listener("asgate_listener_connections", ""), 0.0);
    let after = begun.elapsed();
    assert!(after < IDLE * 2 + SLACK, "at last, not after {after:?}");
}
