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
mod slot;
mod slots;
mod slow_start;
mod standing;
mod sync;
mod wish;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::Instant;

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
use queue::{Queue, Turn, Wish as _};
use retry_budget::RetryBudget;
pub use slot::Slot;
pub use standing::{Fitness, Mark};
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

/// A request's place in an upstream's queue; given up when dropped.
pub type Waiting<'u> = queue::Waiting<'u, Wish, Result<Slot, NoWorker>>;

/// There is no worker, and none is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoWorker;

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// All slots are taken, or others wait for one already.
    Full,
    /// No worker would take the request.
    Nobody,
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
}

// === who is in it ===

impl Upstream {
    /// Puts `worker` into rotation, in the place of an earlier generation with the same name if there is one.
    pub fn join(self: &Arc<Self>, worker: Arc<Worker>) {
        worker.join(self);
        self.change(|workers| {
            let replaced = take(workers, |other| other.identity().name == worker.identity().name);
            workers.push(worker);
            replaced
        });
    }

    /// Takes the worker `name` of `generation` out of rotation. Requests on it go on; its unused connections are
    /// closed, and so are the others once their request is done.
    pub fn leave(self: &Arc<Self>, name: &str, generation: u64) {
        self.change(|workers| {
            take(workers, |other| {
                *other.identity().name == *name && other.identity().generation == generation
            })
        });
    }

    /// Takes every worker out of rotation.
    pub fn close(self: &Arc<Self>) {
        self.expectation.set(false);
        self.change(std::mem::take);
    }

    fn change(self: &Arc<Self>, edit: impl FnOnce(&mut Vec<Arc<Worker>>) -> Vec<Arc<Worker>>) {
        let only_one = self.changing.lock();
        let mut workers = self.workers();
        let gone = edit(&mut workers);
        let names = workers.iter().map(|worker| &worker.identity().name);
        let tokens = self.affinity.as_ref().map(|affinity| affinity::Tokens::new(affinity, names));
        let members = Members::new(workers, &self.balance, tokens.unwrap_or_default());
        // Stored before any of them is retired: who finds a worker retired finds the new members.
        self.members.store(Arc::new(members));
        for worker in gone {
            worker.retire();
        }
        // After the others went: a new generation has the metrics of the one before.
        for worker in &self.members.load().workers {
            worker.show();
        }
        drop(only_one);
        self.serve_queue();
    }

    /// Somebody keeps the workers of this upstream, and believes that others will come: requests may wait for them.
    pub fn raise_hope(&self) {
        self.expectation.set(true);
    }

    /// Requests are not to wait for workers any more.
    pub fn give_up_hope(self: &Arc<Self>) {
        self.expectation.set(false);
        self.serve_queue();
    }

    /// A worker is on its way for as long as this is held.
    pub fn announce(&self) -> Arrival {
        self.expectation.announce()
    }

    /// Whether a worker is on its way.
    pub fn is_worker_coming(&self) -> bool {
        self.expectation.is_worker_coming()
    }

    /// Looks after what changes with time: connections that are too old, ejections that are over. Call it about once a
    /// second.
    pub fn sweep(self: &Arc<Self>) {
        let members = self.members.load();
        let now = Instant::now();
        self.retries.refill();
        for worker in &members.workers {
            worker.sweep(now);
            if worker.failures().ends_ejection(now) && worker.mark(Mark::Ejected, false) {
                let name = &worker.identity().name;
                log::info!("Worker is tried again: upstream={} worker={name}", self.name);
            }
        }
        // A connection of a deaf worker may be free again.
        self.serve_queue();
    }
}

// === a request's slot ===

impl Upstream {
    /// A slot on the worker whose turn it is.
    ///
    /// # Errors
    /// [`Unavailable`]: whoever has the time may [`Self::wait`].
    pub fn acquire(self: &Arc<Self>, wish: &Wish) -> Result<Slot, Unavailable> {
        self.retries.deposit();
        if self.queue.is_barred() {
            return Err(Unavailable::Full);
        }
        self.acquire_again(wish)
    }

    /// As [`Self::acquire`], for a request whose turn it is whoever waits: another attempt, or the one that is served.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub fn acquire_again(self: &Arc<Self>, wish: &Wish) -> Result<Slot, Unavailable> {
        loop {
            let members = self.members.load();
            // One that was retired since is not among the members any more, and one that is full since is not chosen
            // again.
            if let Some(slot) = members.choose(wish, self.in_flight())?.acquire(self) {
                return Ok(slot);
            }
        }
    }

    /// Whether a request may get a slot somewhere by and by.
    pub fn may_serve(&self, wish: &Wish) -> bool {
        let members = self.members.load();
        let has_nobody =
            || members.choose(wish, self.in_flight()).err() == Some(Unavailable::Nobody);
        self.is_hopeful() || !has_nobody()
    }

    /// Whether there is another worker for an attempt that follows one of `wish`.
    pub fn has_another(&self, wish: &Wish) -> bool {
        let members = self.members.load();
        members.choose(wish, self.in_flight()).is_ok()
    }

    /// Whether a request that finds no worker may wait for one.
    pub fn is_hopeful(&self) -> bool {
        self.expectation.is_set()
    }

    /// How long a request may wait.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Requests that wait now, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.size())
    }

    /// Gets in line for a slot; `None` when there is no place in it.
    pub fn wait(self: &Arc<Self>, wish: &Wish, end: End) -> Option<Waiting<'_>> {
        let waits_for_own = self.members.load().own(wish).is_some();
        let waiting = self.queue.enter(Wish { waits_for_own, ..wish.clone() }, end)?;
        // A slot may have become free since, or the worker have gone.
        if waits_for_own {
            self.pour();
        }
        self.queue.serve_at(wish.belongs_to.as_ref(), self.turns());
        Some(waiting)
    }

    /// Whoever waits with this takes any worker from now on, those too that were tried before.
    pub fn forgive(self: &Arc<Self>, waiting: &Waiting<'_>) {
        waiting.amend(|wish| wish.tried.clear());
        self.serve_queue();
    }

    /// Gives the slots that are free to those who wait, the first in line first.
    pub(in crate::upstream) fn serve_queue(self: &Arc<Self>) {
        if !self.queue.is_empty() {
            self.pour();
            self.queue.serve_all(self.turns());
        }
    }

    /// Lets those who wait for a worker that is not to be had take any.
    fn pour(&self) {
        let members = self.members.load();
        self.queue.pour(|name| !members.can_serve_its_own(name));
    }

    /// Whether those who come now have to get in line.
    pub fn is_barred(&self) -> bool {
        self.queue.is_barred()
    }

    /// What there is for each of those who wait, asked one after the other.
    fn turns(self: &Arc<Self>) -> impl FnMut(&Wish) -> Turn<Result<Slot, NoWorker>> {
        let mut only_choosy = false;
        move |wish| {
            if only_choosy && !wish.is_choosy() {
                return Turn::Skip;
            }
            match self.acquire_again(wish) {
                Ok(slot) => Turn::Serve(Ok(slot)),
                Err(Unavailable::Nobody) if !self.is_hopeful() => Turn::Serve(Err(NoWorker)),
                Err(_) if wish.is_choosy() => Turn::Skip,
                // Who may take any worker waits for the best of them. One behind it may have to be content with another.
                Err(_) if self.queue.has_choosy() && self.members.load().has_room() => {
                    only_choosy = true;
                    Turn::Skip
                }
                Err(_) => Turn::Stop,
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn note_begin(&self) {
        if let Some(count) = &self.in_flight {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request of `worker` has ended and given its slot back.
    fn note_end(self: &Arc<Self>, worker: &Worker) {
        if let Some(count) = &self.in_flight {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.queue.is_empty() {
            self.queue.serve_at(Some(&worker.identity().name), self.turns());
        }
    }
}

// === when a request fails ===

impl Upstream {
    /// Whether one request more may be sent again: no more than a part of all are, so that a failing upstream does not
    /// get several times its load on top.
    pub fn may_retry(&self) -> bool {
        self.retries.withdraw()
    }

    /// Whether an answer with `status` counts as a failure of its worker.
    pub fn is_failure(&self, status: u16) -> bool {
        let policy = self.ejection.as_ref();
        policy.is_some_and(|policy| policy.status.iter().any(|range| range.contains(&status)))
    }

    /// A request failed on `worker`. After too many in a short time the worker is ejected.
    pub fn failed(&self, worker: &Arc<Worker>) {
        let Some(policy) = &self.ejection else {
            return;
        };
        let now = Instant::now();
        if !worker.failures().note(policy, now) || worker.is_retired() {
            return;
        }
        let _only_one = self.changing.lock();
        let workers = self.workers();
        let out = workers.iter().filter(|worker| worker.is_marked(Mark::Ejected)).count();
        if worker.is_marked(Mark::Ejected) || out >= ejection::most_ejected(policy, workers.len()) {
            return;
        }
        // In this order: a sweep between the two ends nothing.
        worker.mark(Mark::Ejected, true);
        let length = worker.failures().begin_ejection(policy, now);
        worker.metrics().ejected();
        log::warn!(
            "Worker is ejected: upstream={} worker={} failures={} within={}s for={:.1}s",
            self.name,
            worker.identity().name,
            policy.failures,
            policy.window.as_secs_f64(),
            length.as_secs_f64()
        );
    }
}

/// Removes and returns the workers that `gone` names.
fn take(workers: &mut Vec<Arc<Worker>>, gone: impl Fn(&Worker) -> bool) -> Vec<Arc<Worker>> {
    workers.extract_if(.., |worker| gone(worker)).collect()
}

#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
mod tests;
