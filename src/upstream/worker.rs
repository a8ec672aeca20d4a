//! One generation of one worker: its place in the pool, its unused connections, what is in flight on it.

use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::config::{Address, Connections};
use crate::net::{self, Stream};
use crate::telemetry::WorkerMetrics;

use super::connection::{Check, Connection};
use super::slot::Slot;
use super::slow_start::SlowStart;
use super::standing::{Fitness, Mark, Standing};

/// How long the system may take for a connection at least, whether or not somebody still waits for it.
const CONNECT_AT_LEAST: Duration = Duration::from_secs(30);
/// Connections that are being made to one worker at a time. More would wait in its accept queue, where a reset costs a
/// Windows worker its listener (CPython gh-93821); they wait here instead.
const MAX_CONNECTING: usize = 4;

/// How long it may take until the loss of a listener is noticed.
const JUDGED_WITHIN: Duration = Duration::from_secs(1);

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

/// One server process at one address.
pub struct Worker {
    identity: Identity,
    address: Address,
    weight: NonZeroU16,
    policy: Connections,
    metrics: Arc<WorkerMetrics>,
    /// Unused connections, the one used last at the end.
    idle: Mutex<Vec<Idle>>,
    connecting: Semaphore,
    standing: Standing,
    slow_start: Option<SlowStart>,
    in_flight: AtomicUsize,
    requests: AtomicU64,
    /// Counts what was read from it, on any connection.
    heard: Arc<AtomicU64>,
    retired: AtomicBool,
    /// Told when the last request of a retired worker ends.
    vacated: Notify,
    /// Counts what makes doubt that it still listens.
    doubts: watch::Sender<u64>,
    /// Told when it is marked or retired.
    judged: Notify,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect")]
    Failed(#[from] io::Error),
    #[error("no connection in time")]
    TimedOut,
}

impl Worker {
    pub fn new(
        identity: Identity,
        address: Address,
        weight: NonZeroU16,
        policy: Connections,
        metrics: Arc<WorkerMetrics>,
    ) -> Self {
        Self {
            identity,
            address,
            weight,
            policy,
            metrics,
            idle: Mutex::default(),
            connecting: Semaphore::new(MAX_CONNECTING),
            standing: Standing::default(),
            slow_start: None,
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            heard: Arc::default(),
            retired: AtomicBool::new(false),
            vacated: Notify::new(),
            doubts: watch::Sender::new(0),
            judged: Notify::new(),
        }
    }

    /// The same worker, with a share that grows to its full one over `length` once it has joined.
    pub fn rising_for(mut self, length: Duration) -> Self {
        self.slow_start = Some(SlowStart::new(length));
        self
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn address(&self) -> &Address {
        &self.address
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
        self.in_flight.load(Ordering::SeqCst)
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
        self.idle.lock().len()
    }

    /// Sets or takes away what speaks against it. Returns whether that changed anything.
    pub fn mark(&self, mark: Mark, on: bool) -> bool {
        let changed = self.standing.set(mark, on);
        self.judged.notify_waiters();
        if changed && !self.retired.load(Ordering::SeqCst) {
            self.show();
        }
        changed
    }

    /// Whether `mark` speaks against it.
    pub fn is_marked(&self, mark: Mark) -> bool {
        self.standing.has(mark)
    }

    /// Whether it comes before others, or after them, or not at all.
    pub fn fitness(&self) -> Fitness {
        self.standing.fitness(|| self.idle_connections() > 0)
    }

    /// Brings the metric up to date.
    pub(super) fn show(&self) {
        match self.fitness() {
            Fitness::Full => self.metrics.mark_up(),
            Fitness::Survivor | Fitness::LastResort | Fitness::Never => self.metrics.mark_down(),
        }
    }

    /// It joins its pool.
    pub(super) fn begin_rising(&self) {
        if let Some(start) = &self.slow_start {
            start.begin();
        }
    }

    /// Whether its share is still growing.
    pub(super) fn is_rising(&self, now: Instant) -> bool {
        self.slow_start.as_ref().is_some_and(|start| !start.is_over(now))
    }

    /// Whether it takes its turn although its share may still be growing.
    pub(super) fn takes_turn(&self, now: Instant) -> bool {
        self.slow_start.as_ref().is_none_or(|start| start.takes_turn(now))
    }

    /// Takes a place for one request on this worker; `None` when it was taken out of rotation meanwhile.
    pub fn acquire(self: Arc<Self>) -> Option<Slot> {
        // Counted before the look at `retired`, and in one order with `retire`: either this sees that the worker is
        // retired, or whoever waits for it to be vacated sees this request.
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let slot = Slot::of(self);
        let worker = slot.worker();
        if worker.retired.load(Ordering::SeqCst) {
            return None;
        }
        worker.requests.fetch_add(1, Ordering::Relaxed);
        Some(slot)
    }

    /// Gives a place back.
    pub(super) fn release(&self) {
        if self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 && self.retired.load(Ordering::SeqCst)
        {
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

    /// Changes with whatever makes doubt, from now on, that anybody listens at its address.
    pub fn doubts(&self) -> watch::Receiver<u64> {
        self.doubts.subscribe()
    }

    /// Whether its listener is gone while its process lives, so that a connection which was reset before an answer came
    /// was never accepted: accepted ones survive their listener. Waits until whoever watches the worker knows; nobody
    /// does for a fixed one.
    pub async fn has_lost_its_listener(&self) -> bool {
        if self.identity.pid.is_none() {
            return false;
        }
        self.doubt();
        let deaf = async {
            loop {
                let judged = self.judged.notified();
                if self.is_marked(Mark::Deaf) || self.retired.load(Ordering::SeqCst) {
                    return self.is_marked(Mark::Deaf);
                }
                judged.await;
            }
        };
        timeout(JUDGED_WITHIN, deaf).await.unwrap_or(false)
    }

    fn doubt(&self) {
        self.doubts.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Closes its unused connections and keeps no more of them.
    pub(super) fn retire(&self) {
        self.metrics.mark_down();
        self.retired.store(true, Ordering::SeqCst);
        self.judged.notify_waiters();
        self.idle.lock().clear();
    }

    /// Closes the connections that were unused for too long or that the worker has closed.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.idle
            .lock()
            .retain(|idle| !self.is_expired(idle, now) && idle.connection.is_quiet(Check::Notes));
    }

    fn is_expired(&self, idle: &Idle, now: Instant) -> bool {
        now.saturating_duration_since(idle.since) >= self.policy.idle_timeout
    }

    pub(super) fn take_idle(&self, check: Check) -> Option<Connection> {
        let now = Instant::now();
        loop {
            let idle = self.idle.lock().pop()?;
            if !self.is_expired(&idle, now) && idle.connection.is_quiet(check) {
                idle.connection.counted().mark_active();
                return Some(idle.connection);
            }
        }
    }

    pub(super) fn park(&self, connection: Connection, check: Check) {
        let mut idle = self.idle.lock();
        // Looked at under the lock, so that nothing is parked behind a `retire`.
        let keep = !self.retired.load(Ordering::SeqCst) && idle.len() < self.policy.max_idle;
        if keep && connection.is_quiet(check) {
            connection.counted().mark_idle();
            idle.push(Idle { connection, since: Instant::now() });
        } else {
            drop(idle);
            connection.close();
        }
    }

    /// Opens the connections that are to be there before the first request.
    pub async fn prewarm(self: Arc<Self>) {
        let wanted = self.policy.prewarm.min(self.policy.max_idle);
        for _ in 0..wanted {
            match self.connect(Some(CONNECT_AT_LEAST)).await {
                Ok(connection) => self.park(connection, Check::Notes),
                Err(error) => {
                    log::debug!("Not warmed up: address={} error={error}", self.address);
                    return;
                }
            }
        }
    }

    /// A new connection, within `deadline`.
    ///
    /// The attempt is not given up when the caller leaves: a connection that comes too late is parked for the next
    /// request, since one that is opened and dropped can cost a worker its listener (CPython gh-93821).
    ///
    /// # Errors
    /// [`ConnectError`]: nothing was sent to the worker.
    pub(super) async fn connect(
        self: &Arc<Self>,
        deadline: Option<Duration>,
    ) -> Result<Connection, ConnectError> {
        if self.is_marked(Mark::Deaf) {
            // Nobody listens; on Windows it would take seconds to be told so.
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        }
        let (sender, receiver) = oneshot::channel();
        let worker = Arc::clone(self);
        let limit = deadline.unwrap_or(Duration::MAX).max(CONNECT_AT_LEAST);
        tokio::spawn(async move {
            let connected = timeout(limit, worker.open()).await;
            let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            if let Err(Ok(stream)) = sender.send(connected) {
                worker.park(worker.connection(stream), Check::Notes);
            }
        });
        let answer = match deadline {
            Some(deadline) => {
                timeout(deadline, receiver).await.map_err(|_| ConnectError::TimedOut)?
            }
            None => receiver.await,
        };
        // The sender only goes without a word when the runtime shuts down.
        let connected = answer.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
        let stream = connected.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ConnectError::TimedOut,
            _ => ConnectError::Failed(error),
        })?;
        Ok(self.connection(stream))
    }

    async fn open(&self) -> io::Result<Stream> {
        // The semaphore is never closed.
        let _one_of_few = self.connecting.acquire().await.map_err(io::Error::other)?;
        let connected = Stream::connect(&self.address).await;
        if connected.as_ref().is_err_and(net::nobody_listens) {
            self.doubt();
        }
        connected
    }

    fn connection(&self, stream: Stream) -> Connection {
        Connection::new(stream, self.metrics.connection(), Arc::clone(&self.heard))
    }
}
