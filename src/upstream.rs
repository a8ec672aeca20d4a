//! A pool of workers that serve the same app, and the connections to them.
//!
//! Chooses a worker for a request, counts what is in flight on it, and keeps its unused connections for the next
//! request. Knows nothing of clients and responses; who starts workers is not its business either.
//!
//! ```text
//! Upstream ── acquire ──▶ Slot on a Worker ── reuse or connect ──▶ Connection
//!     ▲ join / leave         │ unused connections, by generation    │ park or close
//! ```

mod balance;
mod connection;
mod expectation;
pub mod health;
mod probe;
mod slot;
mod slow_start;
mod standing;
mod worker;

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::Connections;

use balance::RoundRobin;
pub use connection::{Check, Connection};
use expectation::Expectation;
pub use expectation::{Arrival, Waiting};
pub use probe::{Answer, Probe, ProbeError, Way};
pub use slot::Slot;
pub use standing::{Fitness, Mark};
pub use worker::{ConnectError, Identity, Worker};

/// A named pool of workers.
pub struct Upstream {
    name: Arc<str>,
    policy: Connections,
    /// How long the share of a worker grows that joins in the place of an earlier generation.
    slow_start: Option<Duration>,
    members: ArcSwap<Members>,
    expectation: Expectation,
    /// Serialises changes of `members`; never taken by a request.
    changing: Mutex<()>,
}

/// The workers in rotation at one moment.
#[derive(Default)]
struct Members {
    workers: Vec<Arc<Worker>>,
    order: RoundRobin,
    /// Whether a worker's share may still be growing.
    rising: AtomicBool,
}

impl Upstream {
    /// An upstream without workers.
    pub fn new(name: &str, policy: Connections, slow_start: Option<Duration>) -> Self {
        Self {
            name: name.into(),
            policy,
            slow_start,
            members: ArcSwap::default(),
            expectation: Expectation::default(),
            changing: Mutex::new(()),
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How connections of this upstream's workers are reused.
    pub fn policy(&self) -> &Connections {
        &self.policy
    }

    /// How long the share of a worker grows that joins late.
    pub fn slow_start(&self) -> Option<Duration> {
        self.slow_start
    }

    /// The workers in rotation now, those included that get no requests for the moment.
    pub fn workers(&self) -> Vec<Arc<Worker>> {
        self.members.load().workers.clone()
    }

    /// Puts `worker` into rotation, in the place of an earlier generation with the same name if there is one.
    pub fn join(&self, worker: Arc<Worker>) {
        worker.begin_rising();
        self.change(|workers| {
            let replaced = take(workers, |other| other.identity().name == worker.identity().name);
            workers.push(worker);
            replaced
        });
        self.expectation.somebody_joined();
    }

    /// Takes the worker `name` of `generation` out of rotation. Requests on it go on; its unused connections are
    /// closed, and so are the others once their request is done.
    pub fn leave(&self, name: &str, generation: u64) {
        self.change(|workers| {
            take(workers, |other| {
                *other.identity().name == *name && other.identity().generation == generation
            })
        });
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Arc<Worker>>) -> Vec<Arc<Worker>>) {
        let _only_one = self.changing.lock();
        let mut workers = self.workers();
        let gone = edit(&mut workers);
        let order = RoundRobin::new(workers.iter().map(|worker| worker.weight()));
        let now = Instant::now();
        let rising = AtomicBool::new(workers.iter().any(|worker| worker.is_rising(now)));
        // Stored before any of them is retired: who finds a worker retired finds the new members.
        self.members.store(Arc::new(Members { workers, order, rising }));
        for worker in gone {
            worker.retire();
        }
        // After the others went: a new generation has the metrics of the one before.
        for worker in &self.members.load().workers {
            worker.show();
        }
    }

    /// A place on the worker whose turn it is, leaving out `tried`; `None` when there is no other.
    pub fn acquire(&self, tried: &[Arc<Worker>]) -> Option<Slot> {
        loop {
            let chosen = self.members.load().choose(tried).cloned()?;
            // One that was retired since is not among the members any more.
            if let Some(slot) = chosen.acquire() {
                return Some(slot);
            }
        }
    }

    /// Somebody keeps the workers of this upstream, and believes that others will come: requests may wait for them.
    pub fn raise_hope(&self) {
        self.expectation.set(true);
    }

    /// Requests are not to wait for workers any more.
    pub fn give_up_hope(&self) {
        self.expectation.set(false);
    }

    /// Whether a request that finds no worker may wait for one.
    pub fn is_hopeful(&self) -> bool {
        self.expectation.is_set()
    }

    /// A worker is on its way for as long as this is held.
    pub fn announce(&self) -> Arrival {
        self.expectation.announce()
    }

    /// Whether a worker is on its way.
    pub fn is_worker_coming(&self) -> bool {
        self.expectation.is_worker_coming()
    }

    /// Begins to wait for a worker; `None` when too many requests do.
    pub fn wait(&self) -> Option<Waiting<'_>> {
        self.expectation.wait()
    }

    /// Whether a worker gets requests as it should; one that is only tried for want of a better does not count.
    pub fn is_ready(&self) -> bool {
        self.members.load().workers.iter().any(|worker| worker.fitness() > Fitness::LastResort)
    }

    /// Closes the unused connections that are older than the policy allows. Call it about once a second.
    pub fn sweep(&self) {
        let members = self.members.load();
        let now = Instant::now();
        let rising = members.workers.iter().any(|worker| worker.is_rising(now));
        members.rising.store(rising, Ordering::Relaxed);
        for worker in &members.workers {
            worker.sweep();
        }
    }

    /// Takes every worker out of rotation.
    pub fn close(&self) {
        self.give_up_hope();
        self.change(std::mem::take);
    }
}

impl Members {
    /// Whose turn it is among those that can take it; else the best of the others, in the order of their turns.
    fn choose(&self, tried: &[Arc<Worker>]) -> Option<&Arc<Worker>> {
        let untried = |worker: &&Arc<Worker>| !tried.iter().any(|other| Arc::ptr_eq(other, worker));
        let worker = |turn: usize| self.workers.get(turn);
        let now = self.rising.load(Ordering::Relaxed).then(Instant::now);
        let takes_turn = |worker: &&Arc<Worker>| {
            worker.fitness() == Fitness::Full && now.is_none_or(|now| worker.takes_turn(now))
        };
        let whose_turn = match tried {
            [] => self.order.take_turn().filter_map(worker).find(takes_turn),
            _ => self.order.peek_turns().filter_map(worker).filter(untried).find(takes_turn),
        };
        whose_turn.or_else(|| {
            let turns = self.order.peek_turns().filter_map(worker);
            let rest = turns.chain(&self.workers).filter(untried);
            let fit = rest.filter(|worker| worker.fitness() > Fitness::Never);
            fit.min_by_key(|worker| Reverse(worker.fitness()))
        })
    }
}

/// Removes and returns the workers that `gone` names.
fn take(workers: &mut Vec<Arc<Worker>>, gone: impl Fn(&Worker) -> bool) -> Vec<Arc<Worker>> {
    workers.extract_if(.., |worker| gone(worker)).collect()
}

#[cfg(test)]
mod tests;
