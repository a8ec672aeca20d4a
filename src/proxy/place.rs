//! A place on a worker for a request, and the wait for one that is on its way.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::outcome::Cause;
use crate::upstream::{Slot, Upstream, Worker};

use super::downstream::Downstream;
use super::relay::Bounds;

/// How long a request waits for a worker that is being started.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take until it is noticed that a worker is gone, and another one started.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// What a request asks for.
pub struct Wanted<'a> {
    pub pool: &'a Upstream,
    /// Workers that are not to be tried again.
    pub tried: &'a [Arc<Worker>],
    /// One that is only tried again when there is no other.
    pub avoided: Option<&'a Arc<Worker>>,
    pub bounds: &'a Bounds<'a>,
    /// Whether what the client sends next can only be its leave.
    pub watch_client: bool,
    /// Whether it waits while workers are to be expected, or takes what is there.
    pub may_wait: bool,
}

impl Wanted<'_> {
    /// The place, and how long it was waited for.
    ///
    /// # Errors
    /// [`Cause::NoWorker`] when there is none and none is to be expected; otherwise what ended the wait.
    pub async fn place(&self, client: &mut Downstream) -> Result<(Slot, Duration), Cause> {
        match self.look() {
            Some(slot) => Ok((slot, Duration::ZERO)),
            None if self.may_wait && self.pool.is_hopeful() => self.wait(client).await,
            None => Err(Cause::NoWorker),
        }
    }

    fn look(&self) -> Option<Slot> {
        let another = self.avoided.and_then(|avoided| {
            let others: Vec<_> = self.tried.iter().chain([avoided]).cloned().collect();
            self.pool.acquire(&others)
        });
        another.or_else(|| self.pool.acquire(self.tried))
    }

    async fn wait(&self, client: &mut Downstream) -> Result<(Slot, Duration), Cause> {
        let waiting = self.pool.wait().ok_or(Cause::QueueFull)?;
        let begun = Instant::now();
        let (until, late) = match self.bounds.total {
            Some(total) if total < begun + PATIENCE => (total, Cause::TotalTimeout),
            _ => (begun + PATIENCE, Cause::QueueTimeout),
        };
        loop {
            tokio::select! {
                () = waiting.news() => {}
                () = sleep_until(until) => return Err(late),
                cause = client.left(), if self.watch_client => return Err(cause),
                () = self.bounds.cut.cancelled() => return Err(Cause::Stopping),
            }
            if let Some(slot) = self.look() {
                return Ok((slot, begun.elapsed()));
            }
            if !self.pool.is_hopeful() {
                return Err(Cause::NoWorker);
            }
            // Nobody comes: those that were tried must be well after all, or there is nobody.
            if begun.elapsed() >= NOTICED_WITHIN && !self.pool.is_worker_coming() {
                let again = self.pool.acquire(&[]).ok_or(Cause::NoWorker)?;
                return Ok((again, begun.elapsed()));
            }
        }
    }
}
