//! Each of the seven timeouts of a route ends the phase it is for, and nothing else: the client is told in time, the
//! log has the word, and the worker's connection ends with FIN and is never used again.

mod client;
mod worker;

use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::sleep;
use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::{Accepted, Stub};
use serde_json::Value;

/// The limit that each test sets for its phase.
const LIMIT: Duration = Duration::from_millis(400);
/// The limit where the phase must not be ended, as `timeouts` have it: a machine that is held up for seconds is none that
/// ends it.
const AMPLE: Duration = Duration::from_secs(4);
/// Between two signs of life of a phase that must not be ended: [`BEATS`] of them take longer than [`AMPLE`].
const PACE: Duration = Duration::from_millis(900);
const BEATS: usize = 5;
/// Between two pieces of a response that never ends by itself.
const DRIP: Duration = Duration::from_millis(200);
/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(10);
/// Timers may be rounded down by this much.
const ROUNDING: Duration = Duration::from_millis(20);

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An edge with one route `/timed` under test, every other path without special limits, and one worker.
struct Scene {
    edge: Edge,
    stub: Stub,
    /// How the edge ended worker connections that were under way: `true` by FIN.
    ended: Receiver<bool>,
}

/// What became of a timed-out request.
struct Expected {
    status: u16,
    termination: &'static str,
    aborted: bool,
    limit: Duration,
}

impl Scene {
    /// `/timed` has these `timeouts`, given as in the configuration.
    fn new(timeouts: &str) -> Self {
        let (tell, ended) = channel();
        let stub = Stub::start(move |accepted| worker(accepted, &tell));
        let routes = format!(
            "  - {{ name: timed, match: {{ path: /timed }}, upstream: u, timeouts: {{ {timeouts} }} }}\n  \
             - {{ name: other, upstream: u }}"
        );
        let edge = Edge::before(&[stub.address()], &routes);
        Self { edge, stub, ended }
    }

    /// Checks the one log line so far, the end of the worker's connection, and that the next request is answered over
    /// another one.
    fn expect(&self, expected: &Expected) {
        let line = self.edge.only_log_line();
        expect_line(&line, expected);
        let fin = self.ended.recv_timeout(PATIENCE).expect("the worker's connection ends");
        assert!(fin, "the worker's connection ends with FIN, not with a reset");
        let next = self.edge.connect().get("/next");
        assert_eq!((next.status, next.text().as_str()), (200, "ok"), "the next request");
        assert_eq!(self.stub.accepted(), 2, "the next request has a worker connection of its own");
        let requests = self.stub.received(0).matches(" HTTP/1.1\r\n").count();
        assert_eq!(requests, 1, "nothing else was sent on the first: {}", self.stub.received(0));
    }
}

fn expect_line(line: &Value, expected: &Expected) {
    let status = &line["http.response.status_code"];
    assert_eq!(*status, expected.status, "status in the log: {line:#}");
    assert_eq!(line["edge.termination"], expected.termination, "termination: {line:#}");
    let aborted = line["edge.response_aborted"] == true;
    assert_eq!(aborted, expected.aborted, "edge.response_aborted: {line:#}");
    let duration = Duration::from_nanos(line["event.duration"].as_u64().expect("a duration"));
    let near = expected.limit - ROUNDING..expected.limit + SLACK;
    assert!(near.contains(&duration), "took {duration:?}, not {near:?}: {line:#}");
}

/// Serves one worker connection; the path says how.
fn worker(mut accepted: Accepted, ended: &Sender<bool>) {
    while let Some(head) = accepted.request_head() {
        let path = head.split(' ').nth(1).unwrap_or_default();
        match path {
            "/timed/silent" | "/timed/upload" => return tell_end(accepted, ended),
            "/timed/half" => {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
                return tell_end(accepted, ended);
            }
            "/timed/drip" => {
                accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                for _ in 0..25 {
                    accepted.send("1\r\n.\r\n");
                    sleep(DRIP);
                }
                return tell_end(accepted, ended);
            }
            "/timed/flood" => {
                // The test may be over.
                let _ = ended.send(flood(accepted));
                return;
            }
            "/timed/ws" => {
                accepted.send(SWITCHING);
                return tell_end(accepted, ended);
            }
            "/timed/ws-take" => {
                accepted.send(SWITCHING);
                while accepted.bytes(1).is_some() {}
                return;
            }
            "/timed/ws-echo" => {
                accepted.send(SWITCHING);
                while let Some(byte) = accepted.bytes(1) {
                    accepted.send(byte);
                }
                return;
            }
            "/timed/soon" => {
                sleep(PACE);
                accepted.send(OK);
            }
            "/timed/paced" => {
                accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                for _ in 0..BEATS {
                    accepted.send("1\r\n.\r\n");
                    sleep(PACE);
                }
                accepted.send("0\r\n\r\n");
            }
            "/timed/big" => {
                accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n"));
                accepted.send(vec![b'x'; BIG]);
            }
            "/timed/take" => {
                accepted.until(b"0\r\n\r\n");
                accepted.send(OK);
            }
            _ => {
                accepted.send(OK);
            }
        }
    }
}

/// Much more than the sockets between a worker and a client hold.
const BIG: usize = 24 << 20;

/// Sends a response without end, as fast as it is taken, until the edge ends the connection: `true` by FIN.
fn flood(mut accepted: Accepted) -> bool {
    accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1u64 << 40));
    let stream = &mut accepted.stream;
    stream.set_nonblocking(true).expect("a stream that never waits");
    loop {
        let taken = stream.write(&[b'x'; 16 * 1024]);
        // After each piece: what is sent after FIN is nobody's any more, and answered with a reset in the end.
        match (stream.read(&mut [0]), taken) {
            (Ok(read), _) => return read == 0,
            (Err(error), _) | (_, Err(error)) if error.kind() != ErrorKind::WouldBlock => {
                return false;
            }
            (_, Ok(_)) => {}
            (_, Err(_)) => sleep(Duration::from_millis(5)),
        }
    }
}

fn tell_end(mut accepted: Accepted, ended: &Sender<bool>) {
    // The test may be over.
    let _ = ended.send(accepted.wait_for_fin());
}

#[test]
fn routes_of_one_edge_have_timeouts_of_their_own() {
    let stub = Stub::start(|mut accepted| {
        while accepted.request().is_some() {
            sleep(Duration::from_secs(3));
            accepted.send(OK);
        }
    });
    let routes = "  - { match: { path: /quick }, upstream: u, timeouts: { first_byte: 300ms } }\n  \
                  - { match: { path: /quick/but/long }, upstream: u, timeouts: { first_byte: 30s } }\n  \
                  - { match: { path: /never }, upstream: u, timeouts: { first_byte: off } }\n  \
                  - { upstream: u }";
    let edge = Edge::before(&[stub.address()], routes);
    let cases = [("/quick", 504), ("/quick/but/long", 200), ("/never", 200), ("/default", 200)];
    let mut clients: Vec<_> = cases.iter().map(|_| edge.connect()).collect();
    for (client, (path, _)) in clients.iter_mut().zip(cases) {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n"));
    }
    for (client, (path, status)) in clients.iter_mut().zip(cases) {
        assert_eq!(client.response().status, status, "{path}: the worker takes 3s");
    }
}

/// The control of what `Scene` relies on: the stub tells a reset from FIN.
#[test]
fn a_reset_of_a_worker_connection_would_be_noticed() {
    let (tell, ended) = channel();
    let stub = Stub::start(move |accepted| worker(accepted, &tell));
    for (reset, expected) in [(true, false), (false, true)] {
        let mut client = Client::connect(stub.address());
        client.send("GET /timed/half HTTP/1.1\r\n\r\n");
        assert_eq!(client.head().expect("a head").0, 200, "its head");
        if reset {
            let linger = socket2::SockRef::from(&client.stream);
            linger.set_linger(Some(Duration::ZERO)).expect("linger");
        } else {
            client.finish();
            let mut byte = [0];
            while !matches!(client.stream.read(&mut byte), Ok(0)) {}
        }
        drop(client);
        let fin = ended.recv_timeout(PATIENCE).expect("an end");
        assert_eq!(fin, expected, "reset: {reset}");
    }
}
