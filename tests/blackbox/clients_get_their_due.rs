//! What clients are owed, and what they are not: one that leaves is let go, one that waits does not hold up others, one that
//! sends what is allowed gets an answer. Each test is a promise that was broken once.

mod chunks;
mod conversations;
mod departures;
mod early;
mod ends;
mod headers;
mod open_files;
mod resets;
mod slots;
mod uploads;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::pool::Pool;
use crate::support::stub::{Accepted, Stub};
use crate::support::wait_for;

/// What is to be noticed is noticed in this time, on a busy machine too.
const SOON: Duration = Duration::from_secs(5);

/// The first byte of the header block of an answer with status 200 (RFC 7541 appendix A).
const OK: u8 = 0x88;

/// Of an upstream that gives each worker one request at a time.
const ONE_SLOT: &str = "max_requests_per_worker: 1, connections: { prewarm: 0 }";

/// The lines of the edge's own log that contain this text.
fn told(edge: &Edge, text: &str) -> Vec<String> {
    let log = edge.stderr_text();
    log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// A worker that notes the target of each request as soon as its head is there, and answers once all of it is. It answers
/// `/held` and reads from `/stuck` when it is permitted to.
struct Noting {
    stub: Stub,
    targets: Arc<Mutex<Vec<String>>>,
    permissions: Sender<()>,
}

impl Noting {
    fn start() -> Self {
        let (permissions, permitted) = channel();
        let targets = Arc::<Mutex<Vec<String>>>::default();
        let (permitted, noted) = (Mutex::new(permitted), Arc::clone(&targets));
        let stub = Stub::start(move |accepted| note(accepted, &noted, &permitted));
        Self { stub, targets, permissions }
    }

    /// An edge before it, which gives it one request at a time, and the client of the one that it has: `/held`.
    fn held(&self) -> (Edge, Client) {
        let edge = Pool::with(ONE_SLOT).before(&[self.stub.address()]);
        let mut served = edge.connect();
        served.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        self.wait_for("/held", 1);
        (edge, served)
    }

    /// Lets one request be answered.
    fn permit(&self) {
        self.permissions.send(()).expect("the worker listens");
    }

    /// The targets that came, in their order.
    fn targets(&self) -> Vec<String> {
        self.targets.lock().expect("the targets").clone()
    }

    /// How many requests for `target` came.
    fn count(&self, target: &str) -> usize {
        self.targets().iter().filter(|found| *found == target).count()
    }

    fn wait_for(&self, target: &str, count: usize) {
        wait_for(&format!("{count} of {target} at the worker"), || {
            (self.count(target) >= count).then_some(())
        });
    }
}

/// One request for each connection.
fn note(mut accepted: Accepted, targets: &Mutex<Vec<String>>, permitted: &Mutex<Receiver<()>>) {
    let Some(head) = accepted.request_head() else { return };
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    targets.lock().expect("the targets").push(target.clone());
    if ["/held", "/stuck"].contains(&&*target)
        && permitted.lock().expect("permissions").recv_timeout(PATIENCE).is_err()
    {
        return;
    }
    let head = head.to_lowercase();
    let whole = if head.contains("transfer-encoding") {
        accepted.until(b"0\r\n\r\n").is_some()
    } else {
        let length = head
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split("\r\n").next().and_then(|length| length.parse().ok()));
        accepted.bytes(length.unwrap_or(0)).is_some()
    };
    if whole {
        accepted.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    }
}
