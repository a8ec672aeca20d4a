//! One generation of one worker: its place in the pool, its unused connections, what is in flight on it.

use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::config::{Address, Connections};
use crate::net::Stream;
use crate::telemetry::WorkerMetrics;

use super::connection::{Check, Connection};

/// How long the system may take for a connection at least, whether or not somebody still waits for it.
const CONNECT_AT_LEAST: Duration = Duration::from_secs(30);

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
    in_flight: AtomicUsize,
    retired: AtomicBool,
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
            in_flight: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
        }
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
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Unused connections to it now.
    pub fn idle_connections(&self) -> usize {
        self.idle.lock().len()
    }

    /// Takes a place for one request on this worker.
    pub fn acquire(self: Arc<Self>) -> Slot {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Slot { worker: self }
    }

    /// Closes its unused connections and keeps no more of them.
    pub(super) fn retire(&self) {
        self.metrics.mark_down();
        self.retired.store(true, Ordering::Release);
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

    fn take_idle(&self, check: Check) -> Option<Connection> {
        let now = Instant::now();
        loop {
            let idle = self.idle.lock().pop()?;
            if !self.is_expired(&idle, now) && idle.connection.is_quiet(check) {
                idle.connection.counted().mark_active();
                return Some(idle.connection);
            }
        }
    }

    fn park(&self, connection: Connection, check: Check) {
        let mut idle = self.idle.lock();
        // Looked at under the lock, so that nothing is parked behind a `retire`.
        let keep = !self.retired.load(Ordering::Acquire) && idle.len() < self.policy.max_idle;
        if keep && connection.is_quiet(check) {
            connection.counted().mark_idle();
            idle.push(Idle { connection, since: Instant::now() });
        } else {
            drop(idle);
            connection.close();
        }
    }
}

/// One request's place on a worker; given back when dropped.
pub struct Slot {
    worker: Arc<Worker>,
}

impl Slot {
    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// An unused connection that was kept, if there is one.
    pub fn reuse(&self, check: Check) -> Option<Connection> {
        self.worker.take_idle(check)
    }

    /// A new connection, within `deadline`.
    ///
    /// The attempt is not given up when the caller leaves: a connection that comes too late is parked for the next
    /// request, since one that is opened and dropped can cost a worker its listener (CPython gh-93821).
    ///
    /// # Errors
    /// [`ConnectError`]: nothing was sent to the worker.
    pub async fn connect(&self, deadline: Option<Duration>) -> Result<Connection, ConnectError> {
        let (sender, receiver) = oneshot::channel();
        let worker = Arc::clone(&self.worker);
        let limit = deadline.unwrap_or(Duration::MAX).max(CONNECT_AT_LEAST);
        tokio::spawn(async move {
            let connected = timeout(limit, Stream::connect(&worker.address)).await;
            let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            if let Err(Ok(stream)) = sender.send(connected) {
                let connection = Connection::new(stream, worker.metrics.connection());
                worker.park(connection, Check::Notes);
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
        Ok(Connection::new(stream, self.worker.metrics.connection()))
    }

    /// Gives a connection back for the next request: one whose exchange is complete, or has not begun. It is closed
    /// when `check` finds that something has arrived on it.
    pub fn park(&self, connection: Connection, check: Check) {
        self.worker.park(connection, check);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.worker.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
