//! A pool of workers that serve the same app, and the connections to them.
//!
//! Chooses a worker for a request, counts what is in flight on it, and keeps its unused connections for the next
//! request. Knows nothing of clients and responses; who starts workers is not its business either.
//!
//! ```text
//! Upstream ── choose ──▶ Worker ── acquire ──▶ Slot ── connection ──▶ Connection
//!     ▲ join / leave        │ unused connections, by generation          │ park or close
//! ```

mod balance;
mod connection;
mod worker;

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::config::Connections;

use balance::RoundRobin;
pub use connection::{Check, Connection};
pub use worker::{ConnectError, Identity, Slot, Worker};

/// A named pool of workers.
pub struct Upstream {
    name: Arc<str>,
    policy: Connections,
    members: ArcSwap<Members>,
    /// Serialises changes of `members`; never taken by a request.
    changing: Mutex<()>,
}

/// The workers in rotation at one moment.
#[derive(Default)]
struct Members {
    workers: Vec<Arc<Worker>>,
    order: RoundRobin,
}

impl Upstream {
    /// An upstream without workers.
    pub fn new(name: &str, policy: Connections) -> Self {
        Self { name: name.into(), policy, members: ArcSwap::default(), changing: Mutex::new(()) }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How connections of this upstream's workers are reused.
    pub fn policy(&self) -> &Connections {
        &self.policy
    }

    /// The workers in rotation now.
    pub fn workers(&self) -> Vec<Arc<Worker>> {
        self.members.load().workers.clone()
    }

    /// Puts `worker` into rotation, in the place of an earlier generation with the same name if there is one.
    pub fn join(&self, worker: Arc<Worker>) {
        self.change(|workers| {
            let replaced = take(workers, |other| other.identity().name == worker.identity().name);
            workers.push(worker);
            replaced
        });
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
        self.members.store(Arc::new(Members { workers, order }));
        for worker in gone {
            worker.retire();
        }
        // After the others went: a new generation has the metrics of the one before.
        for worker in &self.members.load().workers {
            worker.metrics().mark_up();
        }
    }

    /// The worker whose turn it is, leaving out `tried`; `None` when there is no other.
    pub fn choose(&self, tried: &[Arc<Worker>]) -> Option<Arc<Worker>> {
        let members = self.members.load();
        let untried = |worker: &&Arc<Worker>| !tried.iter().any(|other| Arc::ptr_eq(other, worker));
        let worker = |turn: usize| members.workers.get(turn);
        let chosen = match tried {
            [] => members.order.take_turn().find_map(worker),
            _ => members.order.peek_turns().filter_map(worker).find(untried),
        };
        chosen.or_else(|| members.workers.iter().find(untried)).cloned()
    }

    /// Closes the unused connections that are older than the policy allows. Call it about once a second.
    pub fn sweep(&self) {
        for worker in &self.members.load().workers {
            worker.sweep();
        }
    }

    /// Takes every worker out of rotation.
    pub fn close(&self) {
        self.change(std::mem::take);
    }
}

/// Removes and returns the workers that `gone` names.
fn take(workers: &mut Vec<Arc<Worker>>, gone: impl Fn(&Worker) -> bool) -> Vec<Arc<Worker>> {
    workers.extract_if(.., |worker| gone(worker)).collect()
}

#[cfg(test)]
mod tests;
