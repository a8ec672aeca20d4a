//! Those who wait for one worker, and those who do not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use super::{send, visit};
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::plain_worker::{PlainWorker, addresses};
use crate::support::pool::{Pool, steer, wait_for_queue};
use crate::support::wait_for;

const WAITING: usize = 20;
/// What an answer takes of the worker that is left.
const SERVICE: Duration = Duration::from_millis(5);
/// Much more than all of them take together, and much less than when one is looked at each second.
const SOON: Duration = Duration::from_secs(15);

/// Clients without a home that ask all the time.
struct Newcomers {
    enough: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Newcomers {
    fn start(edge: SocketAddr, clients: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let enough = Arc::clone(&enough);
            spawn(move || {
                let mut client = Client::connect(edge);
                while !enough.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/newcomer").status, 200, "a newcomer");
                }
            })
        };
        let clients = (0..clients).map(start).collect();
        Self { enough, clients }
    }

    fn end(self) {
        self.enough.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("it was answered each time");
        }
    }
}

/// Where the requests for `target` were among those that `worker` got: the first, and the last.
fn places(worker: &PlainWorker, target: &str) -> (usize, usize) {
    // Without reuse each connection is one request.
    let is_one = |number: &usize| worker.stub().received(*number).contains(target);
    let accepted = worker.stub().accepted();
    let first = (0..accepted).find(is_one).expect("one of them");
    (first, (0..accepted).rfind(is_one).expect("one of them"))
}

/// All of `clients` are answered by `other`, and soon.
fn expect_all_by(other: &PlainWorker, clients: Vec<Client>) {
    let begun = Instant::now();
    for (number, mut client) in clients.into_iter().enumerate() {
        let response = client.response();
        assert_eq!((response.status, response.text()), (200, other.name()), "client {number}");
    }
    assert!(begun.elapsed() < SOON, "the last one after {:?}", begun.elapsed());
}

/// An edge whose workers take one request at a time; `keys` are further ones of the upstream.
fn edge(team: &[PlainWorker], keys: &str) -> Edge {
    let keys = format!(
        "affinity: {{}}, max_requests_per_worker: 1, connections: {{ reuse: never }}, \
         retry: {{ budget: 100% }}, {keys}"
    );
    Pool::with(&keys).before(&addresses(team))
}

#[test]
fn those_who_wait_for_a_drained_worker_are_served_by_others() {
    let team: [_; 2] = PlainWorker::team();
    let edge = edge(&team, "queue: { timeout: 10s }");
    let (home, other, cookie) = visit(&edge, &team);
    let before = (home.requests(), other.requests());
    home.be_silent(true);
    other.take(SERVICE);
    let _held = send(&edge, "/held", &cookie);
    wait_for("it to be there", || (home.requests() > before.0).then_some(()));
    let waiting = (0..WAITING).map(|_| send(&edge, "/waiting", &cookie)).collect();
    wait_for_queue(&edge, WAITING);
    let newcomers = Newcomers::start(edge.address(), 4);
    wait_for("newcomers to be served", || (other.requests() > before.1 + 8).then_some(()));

    steer(&edge, &home.name(), "drain");
    expect_all_by(other, waiting);
    newcomers.end();
    let (first, last) = places(other, "/waiting");
    assert!(last - first < 2 * WAITING, "they came first: requests {first} to {last}");
}

/// Whether that puts the worker out in the end, or not.
#[test]
fn those_whose_worker_refuses_connections_are_served_by_others() {
    for passive in ["off", "{ failures: 5 }"] {
        let team: [_; 2] = PlainWorker::team();
        let edge = edge(&team, &format!("health: {{ passive: {passive} }}"));
        let (home, other, cookie) = visit(&edge, &team);
        other.take(SERVICE);
        home.stub().close_listener();
        let newcomers = Newcomers::start(edge.address(), 2);
        let clients = (0..WAITING).map(|_| send(&edge, "/", &cookie)).collect();
        expect_all_by(other, clients);
        newcomers.end();
    }
}

#[test]
fn clients_of_a_full_worker_do_not_shut_out_others() {
    let team: [_; 2] = PlainWorker::team();
    let edge = edge(&team, "queue: { size: 5 }");
    let (home, other, cookie) = visit(&edge, &team);
    let before = home.requests();
    home.be_silent(true);
    let _held = send(&edge, "/held", &cookie);
    wait_for("it to be there", || (home.requests() > before).then_some(()));
    // One place of five is left to those who take any worker: the other one may be busy for a moment.
    let _waiting: Vec<_> = (0..4).map(|_| send(&edge, "/waiting", &cookie)).collect();
    wait_for_queue(&edge, 4);
    for number in 0..5 {
        let response = edge.connect().get("/");
        assert_eq!((response.status, response.text()), (200, other.name()), "newcomer {number}");
    }
    let one_more = edge.connect().get_with("/", &cookie).status;
    assert_eq!(one_more, 503, "the control: there is no place for another of them");
}
