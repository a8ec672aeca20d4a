//! One generation of one worker: its slots, what speaks against it, what is counted of it.
//!
//! How connections to it come about is in [`connect`], how they are kept in [`super::idle`], whether its process is still
//! what it was in [`vitality`].

mod connect;
mod vitality;

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::config::{Address, Connections};
use crate::net::tls;
use crate::telemetry::WorkerMetrics;

use super::Upstream;
use super::balance::Load;
use super::connection::{Check, Connection};
use super::ejection::Failures;
use super::idle::{Client, IdleConnections, Keeping};
use super::peak_ewma::PeakEwma;
use super::slot::Slot;
use super::slots::{Left, Slots, Taken};
use super::slow_start::{SlowStart, WHOLE};
use super::standing::{Fitness, Mark, Standing};

use connect::Gate;
pub use connect::{ConnectError, Purpose};

/// Who a worker is, for choosing, logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Unique in its upstream; the same for all generations.
    pub name: Arc<str>,
    /// Counts the starts; always 0 for a fixed worker.
    pub generation: u64,
    /// The process, where asgate started it.
    pub pid: Option<u32>,
}

/// What an upstream settles for each of its workers.
pub struct Terms {
    pub connections: Connections,
    /// Requests at a time.
    pub slots: NonZeroUsize,
    /// Connections at a time, where the worker refuses more.
    pub max_connections: Option<NonZeroUsize>,
    /// How to speak TLS to it, where it wants that.
    pub tls: Option<tls::Connector>,
    /// How long the share of a worker grows that joins others, or comes back to them; `None`: it is full at once.
    pub slow_start: Option<Duration>,
    /// Whether its answers are timed, for those who choose by that.
    pub timed: bool,
}

/// Where a worker is.
#[derive(Debug, Clone)]
pub struct Location {
    pub address: Address,
    /// The name that was resolved to the address, if one was.
    pub host: Option<Arc<str>>,
}

/// What the last check of a worker found.
#[derive(Debug, Clone)]
pub struct LastCheck {
    pub passed: bool,
    /// For people.
    pub message: String,
    pub at: Instant,
}

/// One server process at one address.
pub struct Worker {
    identity: Identity,
    location: Location,
    weight: NonZeroU16,
    terms: Arc<Terms>,
    metrics: Arc<WorkerMetrics>,
    /// The pool that it is in.
    pool: OnceLock<Weak<Upstream>>,
    slots: Slots,
    idle: IdleConnections,
    gate: Gate,
    standing: Standing,
    slow_start: Option<SlowStart>,
    /// Whether it begins with a small share.
    is_newcomer: bool,
    failures: Failures,
    latency: Option<PeakEwma>,
    last_check: Mutex<Option<LastCheck>>,
    requests: AtomicU64,
    /// Counts what was read from it, on any connection.
    heard: Arc<AtomicU64>,
    /// Told when the last request of a retired worker ends.
    vacated: Notify,
    /// Counts what makes doubt that it still listens.
    doubts: watch::Sender<u64>,
    /// Told when it is marked or retired.
    judged: Notify,
}

impl Worker {
    pub fn new(
        identity: Identity,
        location: Location,
        weight: NonZeroU16,
        terms: &Arc<Terms>,
        metrics: Arc<WorkerMetrics>,
    ) -> Self {
        metrics.set_slots(terms.slots.get());
        Self {
            identity,
            location,
            weight,
            terms: Arc::clone(terms),
            metrics,
            pool: OnceLock::new(),
            slots: Slots::new(terms.slots.get()),
            idle: IdleConnections::new(),
            gate: Gate::new(terms.max_connections.map(NonZeroUsize::get)),
            standing: Standing::default(),
            slow_start: terms.slow_start.map(SlowStart::new),
            is_newcomer: false,
            failures: Failures::default(),
            latency: terms.timed.then(|| PeakEwma::new(Instant::now())),
            last_check: Mutex::default(),
            requests: AtomicU64::new(0),
            heard: Arc::default(),
            vacated: Notify::new(),
            doubts: watch::Sender::new(0),
            judged: Notify::new(),
        }
    }

    /// The same worker, which joins others that serve already: its share begins small.
    pub fn newcomer(mut self) -> Self {
        self.is_newcomer = true;
        self
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn address(&self) -> &Address {
        &self.location.address
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    pub fn weight(&self) -> NonZeroU16 {
        self.weight
    }

    /// What counts its connections.
    pub fn metrics(&self) -> &WorkerMetrics {
        &self.metrics
    }

    /// Requests on it now.
    pub fn in_flight(&self) -> usize {
        self.slots.taken()
    }

    /// Requests that it takes at a time.
    pub fn slots(&self) -> usize {
        self.slots.most()
    }

    /// Whether it could take another request now.
    pub fn has_room(&self) -> bool {
        self.slots.has_room()
    }

    /// Requests that it was given so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A number that changes with everything that is read from it.
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Unused connections to it now.
    pub fn idle_connections(&self) -> usize {
        self.idle.len()
    }

    /// What its last check found, if it was checked.
    pub fn last_check(&self) -> Option<LastCheck> {
        self.last_check.lock().clone()
    }

    pub(super) fn note_check(&self, passed: bool, message: String) {
        *self.last_check.lock() = Some(LastCheck { passed, message, at: Instant::now() });
    }

    /// How long it took until its answer began.
    pub fn answered_after(&self, waited: Duration) {
        if let Some(latency) = &self.latency {
            latency.observe(waited, Instant::now());
        }
    }

    pub(super) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Sets or takes away what speaks against it. Returns whether that changed anything.
    pub fn mark(&self, mark: Mark, on: bool) -> bool {
        let changed = self.standing.set(mark, on);
        self.judged.notify_waiters();
        if changed && !self.is_retired() {
            if !on && matches!(mark, Mark::Unhealthy | Mark::Ejected | Mark::Drained) {
                // It is as good as new, if nothing else speaks against it.
                self.begin_rising();
            }
            self.show();
            // Requests may have waited for it, or for nothing now.
            if let Some(pool) = self.pool.get().and_then(Weak::upgrade) {
                pool.serve_queue();
            }
        }
        changed
    }

    /// Whether `mark` speaks against it.
    pub fn is_marked(&self, mark: Mark) -> bool {
        self.standing.has(mark)
    }

    /// Whether it comes before others, or after them, or not at all.
    pub fn fitness(&self) -> Fitness {
        match self.standing.fitness(|| self.idle.has_shared()) {
            // Nobody replaces it, so it may be back.
            Fitness::Never if !self.is_supervised() && !self.is_marked(Mark::Drained) => {
                Fitness::LastResort
            }
            fitness => fitness,
        }
    }

    /// Whether somebody watches it and puts another in its place.
    pub(super) fn is_supervised(&self) -> bool {
        self.identity.pid.is_some()
    }

    /// Brings the metric up to date.
    pub(super) fn show(&self) {
        match self.fitness() {
            Fitness::Full => self.metrics.mark_up(),
            Fitness::Survivor | Fitness::LastResort | Fitness::Never => self.metrics.mark_down(),
        }
    }

    /// It joins `pool`.
    pub(super) fn join(&self, pool: &Arc<Upstream>) {
        // It joins once.
        let _ = self.pool.set(Arc::downgrade(pool));
        if self.is_newcomer {
            self.begin_rising();
        }
    }

    fn begin_rising(&self) {
        if let Some(start) = &self.slow_start {
            start.begin(Instant::now());
        }
    }

    /// The rise that it is in.
    fn rise(&self) -> Option<&SlowStart> {
        self.slow_start.as_ref().filter(|start| start.is_rising())
    }

    /// Takes a slot for one request of `pool`'s; `None` when all are taken, or it left the pool meanwhile.
    pub(super) fn acquire(self: &Arc<Self>, pool: &Arc<Upstream>) -> Option<Slot> {
        match self.slots.take() {
            Taken::Slot => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                Some(Slot::of(Arc::clone(pool), Arc::clone(self)))
            }
            Taken::Full => None,
            Taken::Closed => {
                self.vacated.notify_waiters();
                None
            }
        }
    }

    /// Gives a slot back.
    pub(super) fn release(&self) {
        if self.slots.give_back() == Left::Empty {
            self.vacated.notify_waiters();
        }
    }

    /// Waits until no request is on it. To be called when it is out of rotation, since then no new one comes.
    pub async fn drained(&self) {
        loop {
            let vacated = self.vacated.notified();
            if self.in_flight() == 0 {
                return;
            }
            vacated.await;
        }
    }

    /// Whether it has left its pool.
    pub fn is_retired(&self) -> bool {
        self.slots.is_closed()
    }

    /// Closes its unused connections and keeps no more of them.
    pub(super) fn retire(&self) {
        self.metrics.mark_down();
        self.slots.close();
        self.judged.notify_waiters();
        self.idle.clear();
    }

    /// Closes the connections that are too old or that the worker has closed.
    pub(super) fn sweep(&self, now: Instant) {
        self.idle.sweep(&self.terms.connections);
        if let Some(rise) = self.rise() {
            rise.look(now);
        }
    }

    /// An unused connection that is kept for `keeping`.
    pub(super) fn take_idle(&self, keeping: Keeping, check: Check) -> Option<Connection> {
        self.idle.take(&self.terms.connections, keeping, check)
    }

    /// Keeps `connection` for `keeping`, or closes it.
    pub(super) fn park(&self, connection: Connection, keeping: Keeping, check: Check) {
        let is_wanted = || !self.is_retired() && !self.gate.is_full();
        self.idle.put(connection, &self.terms.connections, (keeping, check), is_wanted);
    }

    /// Whether a connection is kept for `client`.
    pub fn keeps_for(&self, client: Client) -> bool {
        self.idle.has_private(client)
    }

    /// Closes what was kept for a client connection that has ended.
    pub fn forget(&self, connection: u64) {
        self.idle.forget(connection);
    }

    /// Whether it takes only so many connections.
    pub(super) fn is_limited(&self) -> bool {
        self.gate.is_limited()
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Worker").field(&self.identity).finish()
    }
}

// === impl Load ===

impl Load for Worker {
    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn weight(&self) -> NonZeroU32 {
        let share = self.rise().map_or(WHOLE, |rise| rise.share(Instant::now()));
        NonZeroU32::from(self.weight)
            .saturating_mul(NonZeroU32::new(share).unwrap_or(NonZeroU32::MIN))
    }

    fn is_rising(&self) -> bool {
        self.rise().is_some()
    }

    fn takes_turn(&self) -> bool {
        self.rise().is_none_or(|rise| rise.takes_turn(Instant::now()))
    }

    fn latency(&self) -> Option<f64> {
        self.latency.as_ref()?.get(Instant::now())
    }
}
