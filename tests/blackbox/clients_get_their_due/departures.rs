//! A client that leaves while its worker takes nothing of what it sent: its request ends with it.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use super::{Noting, SOON};
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{DATA, Frames, WINDOW_UPDATE};
use crate::support::pool::upstream;
use crate::support::programs;
use crate::support::{wait_for, wait_until};

/// How long nothing moves when nobody reads.
const A_WHILE: Duration = Duration::from_secs(1);
const PIECE: [u8; 16_000] = [b'x'; 16_000];
/// Far more than the sockets between a client and its worker take.
const MOST: usize = 64_000_000;

/// Bytes that the edge at this address has not read of what this client sent. The table in `/proc` takes long to read on a
/// machine with many connections.
fn unread(edge: SocketAddr, client: &TcpStream) -> u64 {
    let client = client.local_addr().expect("its address");
    let (edge, client) = (format!(":{}", edge.port()), format!(":{}", client.port()));
    wait_for("a socket of the edge", || {
        let filter = ["-tnH", "sport", "=", &edge, "and", "dport", "=", &client];
        let output = Command::new("ss").args(filter).output().expect("ss runs");
        // State, Recv-Q, Send-Q …
        String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1)?.parse().ok()
    })
}

/// Sends more and more of an upload until the edge leaves some of it unread. It could take more, or it would not be told
/// of the end.
fn fill(edge: SocketAddr, client: &mut Client) {
    client.send(format!("POST /stuck HTTP/1.1\r\nHost: a\r\nContent-Length: {MOST}\r\n\r\n"));
    for _ in 0..MOST / PIECE.len() {
        client.send(PIECE);
        let begun = Instant::now();
        while unread(edge, &client.stream) > 0 {
            if begun.elapsed() > A_WHILE {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }
    panic!("the control: there is somebody who takes all of it");
}

/// As [`fill`], over HTTP/2: until there is no leave to send more.
fn fill_window(client: &mut Frames) {
    client.post(1, "/stuck");
    let (tell, opened) = channel();
    let mut reading = client.try_clone();
    spawn(move || {
        while let Some(frame) = reading.next() {
            if let (WINDOW_UPDATE, Ok(by)) = (frame.kind, frame.payload.try_into()) {
                let _ = tell.send((frame.stream == 1, i64::from(u32::from_be_bytes(by))));
            }
        }
    });
    let (mut stream, mut connection) = (65_535, 65_535);
    let piece = i64::try_from(PIECE.len()).expect("a short piece");
    loop {
        while stream.min(connection) >= piece {
            client.send(DATA, 0, 1, &PIECE);
            (stream, connection) = (stream - piece, connection - piece);
        }
        match opened.recv_timeout(A_WHILE) {
            Ok((true, by)) => stream += by,
            Ok((false, by)) => connection += by,
            Err(_) => return,
        }
    }
}

/// Checks that the request is under way while its client is there, and no longer.
fn expect_end(edge: &Edge, leave: impl FnOnce()) {
    let in_flight = || upstream(edge)["requests_in_flight"].clone();
    assert_eq!(in_flight(), 1, "the control, its client is there");
    let begun = Instant::now();
    leave();
    wait_until("the request to be over", in_flight, |count| *count == 0);
    assert!(begun.elapsed() < SOON, "only after {:?}", begun.elapsed());
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "client_closed", "{line:#}");
}

#[test]
fn one_that_closes_is_missed_though_what_it_sent_is_not_read() {
    if programs::find("ss").is_none() {
        return;
    }
    let worker = Noting::start();
    let edge = Edge::before(&[worker.stub.address()], "");
    let mut client = edge.connect();
    fill(edge.address(), &mut client);
    expect_end(&edge, || drop(client));
}

#[test]
fn one_that_resets_its_stream_is_missed_though_what_it_sent_is_not_read() {
    let worker = Noting::start();
    let edge = Edge::before(&[worker.stub.address()], "");
    let mut client = Frames::connect(edge.address());
    fill_window(&mut client);
    expect_end(&edge, || client.reset(1));
    client.get(3, "/next");
    worker.wait_for("/next", 1);
}
