//! Frames that cost the sender nothing and the receiver much end the connection, or their stream, before they cost memory,
//! the worker or other clients anything.

mod compressed;
mod floods;
mod slow;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{GOAWAY, RST_STREAM, SETTINGS, frame};
use crate::support::front::Front;
use crate::support::held::of_status;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, Tunnel};
use crate::support::{PATIENCE, wait_for};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SITE: &str = "site.test";

/// An edge with a plain and a TLS listener, each for HTTP/2, before a worker that counts.
struct Target {
    edge: Edge,
    tunnel: Tunnel,
    requests: Arc<AtomicUsize>,
    _stub: Stub,
}

impl Target {
    /// With these further keys of both listeners and of the route.
    fn new(listener: &str, route: &str) -> Self {
        let requests = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&requests);
        let stub = Stub::start(move |mut accepted| {
            while accepted.request().is_some() {
                count.fetch_add(1, Ordering::Relaxed);
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            }
        });
        let authority = Authority::create();
        let tls = authority.sign("site", &[SITE]).listener();
        let comma = if listener.is_empty() { "" } else { ", " };
        let listeners =
            [format!("http2: true{comma}{listener}"), format!("{tls}{comma}{listener}")];
        let route = format!("  - {{ upstream: u{route} }}");
        let front = Front {
            listeners: &[&listeners[0], &listeners[1]],
            routes: &route,
            ..Front::default()
        };
        let edge = front.before(stub.address());
        let offer = Offer { alpn: &["h2"], ..Offer::default() };
        let tunnel = Tunnel::to(edge.address_of(1), &Tls::trusting(&authority, offer), SITE);
        Self { edge, tunnel, requests, _stub: stub }
    }

    /// Where a client speaks HTTP/2 by frames: without TLS and with it.
    fn addresses(&self) -> [(&'static str, SocketAddr); 2] {
        [("h2c", self.edge.address()), ("TLS", self.tunnel.address())]
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often connections were ended for this reason, on both listeners.
    fn abuse(&self, reason: &str) -> f64 {
        let metrics = self.edge.metrics();
        let label = format!("reason=\"{reason}\"");
        let series = metrics
            .lines()
            .filter(|line| line.starts_with("asgate_http2_abuse_total{") && line.contains(&label));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// KiB that were in use at most.
    fn peak(&self) -> u64 {
        of_status(self.edge.pid(), "VmHWM:")
    }
}

/// A client that sends whatever it is told, as fast as it is taken, and notes what comes back.
struct Flooder {
    stream: TcpStream,
    heard: Arc<Mutex<Heard>>,
    ears: JoinHandle<()>,
}

/// What came back.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Heard {
    /// The error code of the last GOAWAY.
    goaway: Option<u32>,
    /// Streams that were reset, and with which error code.
    resets: Vec<(u32, u32)>,
    /// Streams that were answered by HEADERS, with the first byte of the block: 0x88 is status 200.
    answers: Vec<(u32, u8)>,
    ended: bool,
}

impl Flooder {
    fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).expect("a preface");
        let heard = Arc::<Mutex<Heard>>::default();
        let (reading, noting) = (stream.try_clone().expect("a second handle"), Arc::clone(&heard));
        let ears = std::thread::spawn(move || listen(reading, &noting));
        Self { stream, heard, ears }
    }

    /// Sends these bytes again and again; `false` when the edge had enough before.
    fn repeat(&mut self, times: usize, bytes: impl Fn(usize) -> Vec<u8>) -> bool {
        let batch = 64;
        for first in (0..times).step_by(batch) {
            let some: Vec<u8> = (first..times.min(first + batch)).flat_map(&bytes).collect();
            if self.heard().ended || self.stream.write_all(&some).is_err() {
                return false;
            }
        }
        true
    }

    fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    fn heard(&self) -> Heard {
        self.heard.lock().expect("what was heard").clone()
    }

    /// Waits until something was heard.
    fn wait(&self, what: &str, holds: impl Fn(&Heard) -> bool) -> Heard {
        wait_for(what, || Some(self.heard()).filter(&holds))
    }

    /// Waits for the end of the connection.
    fn end(self) -> Heard {
        let heard = self.wait("the connection to be ended", |heard| heard.ended);
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.ears.join();
        heard
    }

    /// Ends the connection from this side, once the edge has been quiet for a while.
    fn leave(self) -> Heard {
        let mut last = (self.heard(), Instant::now());
        wait_for("the edge to be quiet", || {
            let now = self.heard();
            if now != last.0 {
                last = (now, Instant::now());
            }
            (last.1.elapsed() > Duration::from_millis(300)).then_some(())
        });
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.ears.join();
        last.0
    }
}

/// Takes frames apart until the end of the connection.
fn listen(mut stream: TcpStream, heard: &Mutex<Heard>) {
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let number = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).is_err() {
            break;
        }
        let code = |at: usize| {
            let bytes = payload.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            bytes.map(u32::from_be_bytes).unwrap_or_default()
        };
        let mut heard = heard.lock().expect("what was heard");
        match head[3] {
            GOAWAY => heard.goaway = Some(code(4)),
            RST_STREAM => heard.resets.push((number, code(0))),
            crate::support::frames::HEADERS => {
                heard.answers.push((number, payload.first().copied().unwrap_or_default()));
            }
            _ => {}
        }
    }
    heard.lock().expect("what was heard").ended = true;
}

/// A well-behaved client that asks all the time while others do not behave.
struct Bystander {
    enough: Arc<AtomicBool>,
    client: JoinHandle<Vec<Duration>>,
}

impl Bystander {
    fn start(edge: &Edge) -> Self {
        let enough = Arc::<AtomicBool>::default();
        let (stop, address) = (Arc::clone(&enough), edge.address());
        let client = std::thread::spawn(move || {
            let mut client = Client::connect(address);
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                assert_eq!(client.get("/bystander").status, 200, "a client that behaves");
                times.push(begun.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            times
        });
        Self { enough, client }
    }

    /// How many answers it got, and how long the slowest took.
    fn end(self) -> (usize, Duration) {
        self.enough.store(true, Ordering::Relaxed);
        let times = self.client.join().expect("every request was answered");
        (times.len(), times.into_iter().max().expect("it asked"))
    }
}
