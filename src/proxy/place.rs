//! A slot on a worker for a request: at once where there is one, else after its time in the upstream's queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::outcome::Cause;
use crate::telemetry::UpstreamMetrics;
use crate::upstream::{End, NoWorker, Slot, Unavailable, Upstream, Waiting, Wish};

use super::downstream::Downstream;
use super::relay::Bounds;

/// How long it may take until it is noticed that a worker is gone, and another one started.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// What a request asks for.
pub struct Wanted<'a> {
    pub pool: &'a Arc<Upstream>,
    pub metrics: &'a UpstreamMetrics,
    pub wish: &'a Wish,
    pub bounds: &'a Bounds<'a>,
    /// Whether it had a slot before, and so goes before those who had none.
    pub end: End,
    /// Whether it waits for workers that are to be expected, or takes what is there.
    pub may_hope: bool,
}

impl Wanted<'_> {
    /// The slot. How long it was waited for goes into `queue`, which says how long it was before.
    ///
    /// # Errors
    /// [`Cause::NoWorker`] when there is no worker and none is to be expected; otherwise what ended the wait.
    pub async fn place(
        &self,
        client: &mut Downstream,
        queue: &mut Duration,
    ) -> Result<Slot, Cause> {
        let found = match self.end {
            End::Back => self.pool.acquire(self.wish),
            End::Front => self.pool.acquire_again(self.wish),
        };
        match found {
            Ok(slot) => Ok(slot),
            Err(Unavailable::Nobody) if !(self.may_hope && self.pool.is_hopeful()) => {
                Err(Cause::NoWorker)
            }
            Err(_) => self.wait(client, queue).await,
        }
    }

    async fn wait(&self, client: &mut Downstream, queue: &mut Duration) -> Result<Slot, Cause> {
        let Some(mut waiting) = self.pool.wait(self.wish, self.end) else {
            // Those in line may all wait for a worker that this request does not need.
            let passes = !self.pool.is_barred();
            let slot = passes.then(|| self.pool.acquire_again(self.wish).ok()).flatten();
            return slot.ok_or(Cause::QueueFull);
        };
        let _counted = self.metrics.queued();
        let begun = Instant::now();
        let (until, late) = self.deadline(begun, *queue);
        let served = self.served(&mut waiting, until, late, client).await;
        self.metrics.waited(begun.elapsed());
        *queue += begun.elapsed();
        served
    }

    async fn served(
        &self,
        waiting: &mut Waiting<'_>,
        until: Instant,
        late: Cause,
        client: &mut Downstream,
    ) -> Result<Slot, Cause> {
        let mut looks_again = Some(Instant::now() + NOTICED_WITHIN);
        loop {
            tokio::select! {
                biased;
                answer = waiting.answer() => return match answer {
                    Some(Ok(slot)) => Ok(slot),
                    Some(Err(NoWorker)) | None => Err(Cause::NoWorker),
                },
                () = sleep_until(until) => return Err(late),
                cause = client.left() => return Err(cause),
                () = self.bounds.cut.cancelled() => return Err(Cause::Stopping),
                () = sleep_until(looks_again.unwrap_or(until)), if looks_again.is_some() => {
                    // Nobody comes: those that were tried must be well after all, or there is nobody.
                    if self.pool.is_worker_coming() {
                        looks_again = Some(Instant::now() + NOTICED_WITHIN);
                    } else {
                        looks_again = None;
                        self.pool.forgive(waiting);
                    }
                }
            }
        }
    }

    /// Until when to wait, and what it means when that is over.
    fn deadline(&self, begun: Instant, waited: Duration) -> (Instant, Cause) {
        let patience = begun + self.pool.patience().saturating_sub(waited);
        match self.bounds.total {
            Some(total) if total < patience => (total, Cause::TotalTimeout),
            _ => (patience, Cause::QueueTimeout),
        }
    }
}
