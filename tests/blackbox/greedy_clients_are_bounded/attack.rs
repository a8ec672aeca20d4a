//! Hundreds of clients that are slow on purpose, and those who have to live beside them.
//!
//! `ASGATE_SOAK_SECONDS` is how long, 20 unless set.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::front::Front;
use crate::support::load::soak_seconds;
use crate::support::sources::connect_from;
use crate::support::stub::Stub;

/// Times without and with the attack, in turn, so that what else happens on the machine is in both.
const ROUNDS: u32 = 3;
const CLIENTS: usize = 4;
/// What the 99th percentile may be over twice that without an attack: on two processors the attackers take their part,
/// and so does whatever else runs on the machine.
const TOLERANCE: Duration = Duration::from_millis(20);

/// How long the attackers have been there when it is looked what that does.
const RAMP: Duration = Duration::from_secs(1);

/// 200 slow heads, 200 slow bodies, 50 slow readers, on one thread.
struct Attack {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Attack {
    fn start(edge: SocketAddr) -> Self {
        let enough = Arc::<AtomicBool>::default();
        let stop = Arc::clone(&enough);
        let mut attackers: Vec<_> =
            (0..450).map(|number| Attacker::connect(edge, number)).collect();
        let thread = std::thread::spawn(move || {
            let mut cut = 0;
            while !stop.load(Ordering::Relaxed) {
                for (number, attacker) in attackers.iter_mut().enumerate() {
                    if !attacker.go_on() {
                        // Whoever is cut off comes again.
                        cut += 1;
                        *attacker = Attacker::connect(edge, number);
                    }
                }
                std::thread::sleep(Duration::from_millis(250));
            }
            cut
        });
        Self { enough, thread }
    }

    /// Ends it: how many of them were cut off.
    fn end(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the attackers")
    }
}

/// One of them.
struct Attacker {
    stream: TcpStream,
    is_reader: bool,
}

impl Attacker {
    fn connect(edge: SocketAddr, number: usize) -> Self {
        let (start, is_reader) = match number {
            0..200 => ("GET / HTTP/1.1\r\nHost: a\r\nX: ", false),
            200..400 => ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", false),
            _ => ("GET /large HTTP/1.1\r\nHost: a\r\n\r\n", true),
        };
        // From another address than those who behave.
        let mut stream = connect_from(9, edge, Some(4096));
        stream.set_nonblocking(true).expect("not blocking");
        stream.write_all(start.as_bytes()).expect("sent");
        Self { stream, is_reader }
    }

    /// Gives or takes a byte; `false` when it was cut off.
    fn go_on(&mut self) -> bool {
        let mut byte = [b'y'];
        if self.is_reader {
            return !matches!(self.stream.read(&mut byte), Ok(0))
                && self.stream.take_error().is_ok();
        }
        // An answer is the end of it.
        let is_quiet = self
            .stream
            .read(&mut byte)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        is_quiet && self.stream.write(b"y").is_ok()
    }
}

/// How long each request of some clients took within this time.
fn measure(edge: SocketAddr, time: Duration) -> Vec<Duration> {
    let clients = (0..CLIENTS).map(|_| {
        std::thread::spawn(move || {
            let (mut client, begun, mut times) =
                (Client::connect(edge), Instant::now(), Vec::new());
            while begun.elapsed() < time {
                let asked = Instant::now();
                assert_eq!(client.get("/").status, 200, "a client that behaves");
                times.push(asked.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            times
        })
    });
    let clients: Vec<_> = clients.collect();
    clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
}

fn percentile(mut times: Vec<Duration>, share: f64) -> Duration {
    times.sort_unstable();
    let last = times.len().checked_sub(1).expect("some times");
    times[(share * last as f64) as usize]
}

#[test]
fn slow_clients_slow_nobody_else_down() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            if !request.starts_with("GET /large") {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                continue;
            }
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
            let piece = vec![b'x'; 100_000];
            if !(0..1000).all(|_| accepted.send(&piece)) {
                return;
            }
        }
    });
    // A slot is for a request that is sent: the worker serves the others beside those that are not.
    let routes = "  - { upstream: u, timeouts: { request_body: 1s } }";
    let text = Front { listeners: &["header_timeout: 1s"], routes, ..Front::default() }
        .config(stub.address())
        .replace("servers:", "max_requests_per_worker: 1000, servers:");
    let edge = crate::support::edge::Edge::start(&text);
    let address = edge.address();
    let time = Duration::from_secs(u64::from(soak_seconds())) / (2 * ROUNDS);
    let (mut quiet, mut attacked, mut cut) = (Vec::new(), Vec::new(), 0);
    measure(address, time / 4);
    for _ in 0..ROUNDS {
        quiet.push(percentile(measure(address, time), 0.99));
        let attack = Attack::start(address);
        // What the slow readers do not read goes into the buffers of the system first.
        std::thread::sleep(RAMP);
        attacked.push(percentile(measure(address, time), 0.99));
        cut += attack.end();
    }
    eprintln!("p99 {quiet:?} without, {attacked:?} with; {cut} attackers cut off");
    // A round in which the machine was held up is not the one in the middle.
    let [before, with] = [quiet, attacked].map(|rounds| percentile(rounds, 0.5));
    assert!(with <= before * 2 + TOLERANCE, "p99 {with:?} with the attack, {before:?} without");
    assert!(cut > 100, "the control: there was an attack, and it was dealt with: {cut} cut off");
}
