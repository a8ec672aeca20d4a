//! A pool of workers that serve the same app, and the connections to them.
//!
//! Chooses a worker for a request, counts what is in flight on it, lets those wait for whom there is no slot, and keeps
//! unused connections for the next request. Knows nothing of clients and responses; who starts workers is not its
//! business either.
//!
//! ```text
//!                 ┌──── wait in the queue ◀── no slot free ─┐
//!                 ▼                                         │
//! Upstream ── acquire ──▶ Slot on a Worker ── reuse or connect ──▶ Connection
//!     ▲ join / leave         │ unused connections, by generation    │ park or close
//! ```
//!
//! What an [`Upstream`] does is in `rotation` (who is in it), `turns` (a request's slot, or its place in line) and
//! `ejection` (when requests fail).

mod affinity;
pub mod balance;
mod connection;
mod ejection;
mod expectation;
pub mod health;
mod idle;
mod members;
pub mod names;
mod peak_ewma;
mod probe;
mod queue;
mod retry_budget;
mod rotation;
mod slot;
mod slots;
mod slow_start;
mod standing;
mod sync;
mod turns;
mod wish;
mod worker;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::config::{self, Balance, Connections, Ejection};
use crate::net::tls;

pub use affinity::{Affinity, NoRandomness};
pub use connection::{Check, Connection, Held};
pub use expectation::Arrival;
use expectation::Expectation;
pub use idle::{Client, Keeping};
use members::Members;
pub use probe::{Answer, Probe, ProbeError, Way};
pub use queue::End;
use queue::Queue;
use retry_budget::RetryBudget;
pub use slot::Slot;
pub use standing::{Fitness, Mark};
pub use turns::{NoWorker, Unavailable, Waiting};
pub use wish::Wish;
pub use worker::{ConnectError, Identity, LastCheck, Location, Purpose, Terms, Worker};

/// A named pool of workers.
pub struct Upstream {
    name: Arc<str>,
    terms: Arc<Terms>,
    balance: Balance,
    affinity: Option<Affinity>,
    ejection: Option<Ejection>,
    members: ArcSwap<Members>,
    expectation: Expectation,
    queue: Queue<Wish, Result<Slot, NoWorker>>,
    /// How long a request may wait in it.
    patience: Duration,
    retries: RetryBudget,
    /// Requests on all workers, where choosing needs that.
    in_flight: Option<AtomicUsize>,
    /// Serialises changes of `members` and ejections; never taken by a request that goes well.
    changing: Mutex<()>,
}

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("tls: {0}")]
    Tls(#[from] tls::TlsError),
    #[error("affinity: {0}")]
    Randomness(#[from] NoRandomness),
}

impl Upstream {
    /// An upstream without workers.
    ///
    /// # Errors
    /// [`SetupError`]: a file of `tls` cannot be used, or the system has no random numbers.
    pub fn new(settings: &config::Upstream) -> Result<Arc<Self>, SetupError> {
        let name: Arc<str> = settings.name.as_str().into();
        let affinity = settings.affinity.as_ref();
        let affinity = affinity.map(|affinity| Affinity::new(affinity, &name)).transpose()?;
        let terms = Terms {
            connections: settings.connections.clone(),
            slots: settings.slots,
            max_connections: settings.max_connections,
            tls: settings.tls.as_ref().map(tls::Connector::new).transpose()?,
            slow_start: settings.slow_start,
            timed: settings.balance == Balance::Latency,
        };
        let counts = matches!(settings.balance, Balance::Hash(_));
        let none = Members::new(Vec::new(), &settings.balance, affinity::Tokens::default());
        Ok(Arc::new(Self {
            name,
            terms: Arc::new(terms),
            balance: settings.balance.clone(),
            affinity,
            ejection: settings.ejection.clone(),
            members: ArcSwap::from_pointee(none),
            expectation: Expectation::default(),
            queue: Queue::new(settings.queue.size),
            patience: settings.queue.timeout,
            retries: RetryBudget::new(settings.retry.budget),
            in_flight: counts.then(AtomicUsize::default),
            changing: Mutex::new(()),
        }))
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is settled for each worker.
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// How connections of this upstream's workers are reused.
    pub fn policy(&self) -> &Connections {
        &self.terms.connections
    }

    /// By what a worker is chosen.
    pub fn balance(&self) -> &Balance {
        &self.balance
    }

    /// How clients are kept with their worker, if they are.
    pub fn affinity(&self) -> Option<&Affinity> {
        self.affinity.as_ref()
    }

    /// The workers in rotation now, those included that get no requests for the moment.
    pub fn workers(&self) -> Vec<Arc<Worker>> {
        self.members.load().workers.clone()
    }

    /// The name of the worker that an affinity cookie of this value is for, if it is in rotation.
    pub fn worker_of_token(&self, token: &str) -> Option<Arc<str>> {
        self.members.load().tokens.worker(token).cloned()
    }

    /// The value of the affinity cookie for `worker`, if it is in rotation.
    pub fn token_of(&self, worker: &Worker) -> Option<Arc<str>> {
        self.members.load().tokens.of(&worker.identity().name).cloned()
    }

    /// Whether a worker gets requests as it should; one that is only tried for want of a better does not count.
    pub fn is_ready(&self) -> bool {
        self.members.load().workers.iter().any(|worker| worker.fitness() > Fitness::LastResort)
    }

    /// Whether one request more may be sent again: no more than a part of all are, so that a failing upstream does not
    /// get several times its load on top.
    pub fn may_retry(&self) -> bool {
        self.retries.withdraw()
    }
}

#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
mod tests;
