//! A client that gives or takes fewer bytes than the least rate is not waited for once it is 10 s behind.

use std::io::Read;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{DATA, Frames, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE};
use crate::support::sources::connect_from;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// How far behind a client may be, and what may be added until the next look and by a busy machine.
const GRACE: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(6);

const ROUTES: &str = "  \
    - { match: { path: /off }, upstream: u, limits: { min_request_rate: off, min_response_rate: off } }\n  \
    - { match: { path: /100 }, upstream: u, limits: { min_request_rate: 100B } }\n  \
    - { match: { path: /fast }, upstream: u, limits: { min_response_rate: 100KiB }, timeouts: { client_write: 10s } }\n  \
    - { upstream: u }";

/// Sends `piece` bytes of a body every 200 ms until an answer comes or `time` has passed: its status, and after how long.
fn drip(edge: SocketAddr, path: &str, piece: usize, time: Duration) -> (Option<u16>, Duration) {
    let mut client = Client::connect(edge);
    client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"));
    let begun = Instant::now();
    while begun.elapsed() < time && client.is_quiet_for(Duration::from_millis(200)) {
        client.try_send("x".repeat(piece));
    }
    let after = begun.elapsed();
    if after >= time {
        return (None, after);
    }
    (client.try_response_to("POST").map(|response| response.status), after)
}

#[test]
fn a_body_has_to_come_in_with_some_speed() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let address = edge.address();
    let time = GRACE * 2;
    // The path, the bytes of every 200 ms, and those that are needed in that time; by default 240 in each second.
    let cases = [
        ("/default", 1, 48),
        ("/default", 20, 48),
        ("/default", 60, 48),
        ("/100", 5, 20),
        ("/100", 26, 20),
        ("/off", 1, 0),
    ];
    let clients = cases.map(|(path, piece, needed)| {
        let client = std::thread::spawn(move || drip(address, path, piece, time));
        (format!("{path}, {piece} bytes every 200 ms"), (piece, needed), client)
    });
    for (what, (piece, needed), client) in clients {
        let (status, after) = client.join().expect("a client");
        if piece >= needed {
            assert_eq!(status, None, "{what}: waited for all of {time:?}");
            continue;
        }
        // So much of each second it is behind.
        let behind = 1.0 - piece as f64 / needed as f64;
        let expected = GRACE.div_f64(behind);
        assert_eq!(status, Some(408), "{what}, after {after:?}");
        assert!(after > expected.mul_f64(0.9), "{what}: only after {expected:?}, not {after:?}");
        assert!(after < expected + SLACK, "{what}: after {expected:?}, not {after:?}");
    }
    let lines = wait_for("their lines", || Some(edge.access_log()).filter(|it| it.len() >= 3));
    let cut = lines.iter().filter(|line| line["http.response.status_code"] == 408);
    let cut: Vec<_> = cut.map(|line| line["edge.termination"].as_str()).collect();
    assert_eq!(cut, [Some("client_timeout"); 3], "{lines:#?}");
}

#[test]
fn over_http2_too() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let mut client = Frames::connect(edge.address());
    client.post(1, "/default");
    let begun = Instant::now();
    let mut dripping = client.try_clone();
    let drops = std::thread::spawn(move || {
        for _ in 0..((GRACE + SLACK).as_millis() / 500) {
            dripping.send(DATA, 0, 1, b"x");
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let frames = client.until(HEADERS);
    let after = begun.elapsed();
    assert!(after > GRACE - Duration::from_millis(600), "only after {after:?}: {frames:?}");
    assert!(after < GRACE + SLACK, "at last, not after {after:?}");
    let line = edge.only_log_line();
    assert_eq!(line["http.response.status_code"], 408, "{line}");
    assert_eq!(line["edge.termination"], "client_timeout", "{line}");
    drop(drops);
}

/// A worker is waited for as long as its own limits say: that is no fault of the client.
#[test]
fn waiting_for_the_worker_does_not_count() {
    let stub = Stub::start(|mut accepted| {
        while let Some(head) = accepted.request_head() {
            let is_upload = head.starts_with("POST");
            std::thread::sleep(GRACE + Duration::from_secs(2));
            if is_upload {
                accepted.bytes(4);
            }
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok");
            std::thread::sleep(GRACE / 20);
            accepted.send("ok");
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let address = edge.address();
    let download = std::thread::spawn(move || Client::connect(address).get("/"));
    let upload = std::thread::spawn(move || Client::connect(address).post("/", "body"));
    for (what, client) in [("a download", download), ("an upload", upload)] {
        let response = client.join().expect("an answer");
        assert_eq!((response.status, response.complete), (200, true), "{what}: {response:?}");
    }
}

/// A worker that sends for ever.
fn flooding() -> Stub {
    Stub::start(|mut accepted| {
        while accepted.request().is_some() {
            let size = 1u64 << 40;
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"));
            let piece = vec![b'x'; 256 * 1024];
            while accepted.send(&piece) {}
        }
    })
}

/// Bytes of a response that are read each time, and the pause in between.
struct Reading {
    path: &'static str,
    size: usize,
    pause: Duration,
    /// Of the client's system for the connection; `None`: what it is by default, which may be megabytes.
    buffer: Option<usize>,
}

impl Reading {
    /// Reads for `time`; after how long the response broke off, if it did.
    fn start(self, address: SocketAddr, time: Duration) -> JoinHandle<Option<Duration>> {
        std::thread::spawn(move || {
            let mut stream = connect_from(1, address, self.buffer);
            let request = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", self.path);
            std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
            let (begun, mut buffer) = (Instant::now(), vec![0; self.size]);
            while begun.elapsed() < time {
                if stream.read_exact(&mut buffer).is_err() {
                    return Some(begun.elapsed());
                }
                std::thread::sleep(self.pause);
            }
            None
        })
    }
}

const PAUSE: Duration = Duration::from_millis(100);

#[test]
fn a_response_has_to_be_taken_with_some_speed() {
    let stub = flooding();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let read = |path, size| Reading { path, size, pause: PAUSE, buffer: Some(4096) };
    let time = GRACE + SLACK;
    let slow = read("/fast", 1024).start(edge.address(), 3 * time);
    let patient = read("/default", 1024).start(edge.address(), time);
    let fast = read("/fast", 64 * 1024).start(edge.address(), time);
    let broken = slow.join().expect("a client").expect("broken off");
    assert!(broken > GRACE, "only when it was {GRACE:?} behind, not after {broken:?}");
    assert_eq!(fast.join().expect("a client"), None, "one that takes enough");
    assert_eq!(patient.join().expect("a client"), None, "one on a route with a lower rate");
    let line = wait_for("its line", || edge.access_log().into_iter().next());
    let took = Duration::from_nanos(line["event.duration"].as_u64().expect("nanoseconds"));
    assert!(took > GRACE, "only after {took:?}: {line}");
    assert!(took < GRACE + SLACK, "at last, not after {took:?}: {line}");
    assert_eq!(line["edge.termination"], "client_timeout", "{line}");
    assert_eq!(line["edge.response_aborted"], true, "{line}");
}

/// The system of a client takes megabytes at once, and then nothing for long. By default that is no reason to give it up.
#[test]
fn a_response_may_be_taken_slowly_and_with_pauses() {
    let stub = flooding();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let time = 2 * GRACE;
    let cases = [(4 * 1024, PAUSE), (8 * 1024, PAUSE), (4 * 1024 * 1024, GRACE + SLACK / 2)];
    let clients = cases.map(|(size, pause)| {
        let reading = Reading { path: "/default", size, pause, buffer: None };
        (format!("{size} bytes, then {pause:?}"), reading.start(edge.address(), time))
    });
    for (what, client) in clients {
        assert_eq!(client.join().expect("a client"), None, "{what}: served for all of {time:?}");
    }
}

/// The window of a stream is opened with each pause by so many bytes: when the response broke off, and what came until
/// then.
fn opening(
    edge: &Edge,
    path: &str,
    size: u32,
    pause: Duration,
    time: Duration,
) -> (Duration, usize) {
    let mut client = Frames::connect(edge.address());
    // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0.
    client.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    client.get(1, path);
    let begun = Instant::now();
    let mut opening = client.try_clone();
    let windows = std::thread::spawn(move || {
        while begun.elapsed() < time {
            for stream in [0, 1] {
                opening.send(WINDOW_UPDATE, 0, stream, &size.to_be_bytes());
            }
            std::thread::sleep(pause);
        }
    });
    let frames = client.until(RST_STREAM);
    let after = begun.elapsed();
    let bytes = frames.iter().filter(|it| it.kind == DATA).map(|it| it.payload.len()).sum();
    // It ends with the connection.
    drop((client, windows));
    (after, bytes)
}

/// A window that is opened little by little is a client that reads so.
#[test]
fn over_http2_a_response_has_to_be_taken_too() {
    let stub = flooding();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let (after, bytes) = opening(&edge, "/fast", 5_000, PAUSE * 5, GRACE + SLACK);
    assert!(after > GRACE - Duration::from_millis(600), "only after {after:?}");
    assert!(after < GRACE + SLACK, "at last, not after {after:?}");
    assert!((50_000..200_000).contains(&bytes), "the control: it took {bytes} bytes until then");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "client_timeout", "{line}");
    assert_eq!(line["edge.response_aborted"], true, "{line}");
}
