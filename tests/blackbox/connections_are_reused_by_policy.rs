//! Connections to workers are kept, used again and closed as `connections` says: for so many requests, so long, so many
//! of them, by whom; closed by FIN, and never used again after an exchange that did not end cleanly.

mod limits;
mod sharing;
mod unclean;

use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::pool::Pool;
use crate::support::stub::{Accepted, Stub};
use crate::support::wait_until;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a worker saw of one connection.
#[derive(Debug, Clone, Default)]
struct Life {
    /// Requests, when each came.
    requests: Vec<Instant>,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Fin(Instant),
    Reset,
}

/// A worker that keeps the books of its connections.
struct Witness {
    stub: Stub,
    lives: Arc<Mutex<Vec<Life>>>,
}

impl Witness {
    /// One that does this before each answer.
    fn before_answers(pause: impl Fn() + Send + Sync + 'static) -> Self {
        let lives = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&lives);
        let stub = Stub::start(move |accepted| live(accepted, &pause, &noted));
        Self { stub, lives }
    }

    /// One that takes so long for each request.
    fn taking(delay: Duration) -> Self {
        Self::before_answers(move || std::thread::sleep(delay))
    }

    /// One that answers when so many requests are there, each time.
    fn answering_at_once(requests: usize) -> Self {
        let together = Barrier::new(requests);
        Self::before_answers(move || {
            together.wait();
        })
    }

    fn start() -> Self {
        Self::before_answers(|| ())
    }

    fn lives(&self) -> Vec<Life> {
        self.lives.lock().expect("lives").clone()
    }

    /// Waits until what happened to the connections is as `check` wants it.
    fn wait_for(&self, what: &str, check: impl Fn(&[Life]) -> bool) -> Vec<Life> {
        wait_until(what, || self.lives(), |lives: &Vec<Life>| check(lives))
    }

    /// How many requests each connection carried.
    fn loads(&self) -> Vec<usize> {
        self.lives().iter().map(|life| life.requests.len()).collect()
    }

    /// An edge with these keys of `connections`.
    fn behind_an_edge(&self, keys: &str) -> Edge {
        Pool::with(&format!("connections: {{ {keys} }}")).before(&[self.stub.address()])
    }
}

fn live(mut accepted: Accepted, pause: &dyn Fn(), lives: &Mutex<Vec<Life>>) {
    let number = accepted.number;
    let note = |change: &dyn Fn(&mut Life)| {
        let mut lives = lives.lock().expect("lives");
        if lives.len() <= number {
            lives.resize_with(number + 1, Life::default);
        }
        change(&mut lives[number]);
    };
    note(&|_| ());
    while accepted.request().is_some() {
        note(&|life| life.requests.push(Instant::now()));
        pause();
        accepted.send(OK);
    }
    let end = if accepted.wait_for_fin() { End::Fin(Instant::now()) } else { End::Reset };
    note(&|life| life.end = Some(end));
}

/// Requests one after the other.
fn ask(client: &mut Client, requests: usize) {
    for number in 0..requests {
        assert_eq!(client.get("/").status, 200, "request {number}");
    }
}

/// Whether all connections that have ended did so by FIN.
fn by_fin(lives: &[Life]) -> bool {
    lives.iter().filter_map(|life| life.end).all(|end| end != End::Reset)
}
