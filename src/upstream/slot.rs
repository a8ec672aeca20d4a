//! One request's place on a worker.

use std::sync::Arc;
use std::time::Duration;

use super::Upstream;
use super::connection::{Check, Connection};
use super::idle::Keeping;
use super::worker::{ConnectError, Purpose, Worker};

/// A place for one request; given back when dropped, to the first in the queue if somebody waits there.
pub struct Slot {
    pool: Arc<Upstream>,
    worker: Arc<Worker>,
}

impl Slot {
    /// The place was counted already.
    pub(super) fn of(pool: Arc<Upstream>, worker: Arc<Worker>) -> Self {
        pool.note_begin();
        Self { pool, worker }
    }

    pub fn worker(&self) -> &Arc<Worker> {
        &self.worker
    }

    /// An unused connection that was kept for `keeping`, if there is one.
    pub fn reuse(&self, keeping: Keeping, check: Check) -> Option<Connection> {
        self.worker.take_idle(keeping, check)
    }

    /// A new connection, within `deadline`; see [`Worker::connect`].
    ///
    /// # Errors
    /// [`ConnectError`]: nothing was sent to the worker.
    pub async fn connect(&self, deadline: Option<Duration>) -> Result<Connection, ConnectError> {
        self.worker.connect(Purpose::Request, deadline).await
    }

    /// Gives a connection back for the next request of `keeping`: one whose exchange is complete, or has not begun. It is
    /// closed when `check` finds that something has arrived on it, or it may not be kept.
    pub fn park(&self, connection: Connection, keeping: Keeping, check: Check) {
        self.worker.park(connection, keeping, check);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Before the look at the queue: whoever enters it looks for a slot after it is counted there.
        self.worker.release();
        self.pool.note_end(&self.worker);
    }
}
