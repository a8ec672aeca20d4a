//! What is made of an attempt that failed: whether its worker is to blame, and whether the request may be sent again.

use std::sync::Arc;
use std::time::Duration;

use crate::outcome::Cause;
use crate::upstream::{Mark, Worker};

use super::super::downstream::Downstream;
use super::super::exchange::Exchange;
use super::super::forward::{Errand, Forwarded};
use super::super::relay::Broken;
use super::super::retry::Retry;

/// A worker that closes a connection it has no use for does so without looking at what comes.
const STALE_WITHIN: Duration = Duration::from_millis(10);

/// An attempt that went wrong before the client got anything, and how to go on.
pub struct Failure {
    pub cause: Cause,
    pub retry: Option<Retry>,
    /// Whether it speaks against the worker.
    pub is_of_worker: bool,
}

impl Failure {
    /// Something that would happen with any worker.
    pub fn ours(cause: Cause) -> Self {
        Self { cause, retry: None, is_of_worker: false }
    }

    /// Something that is not to be tried again.
    pub fn of_worker(cause: Cause) -> Self {
        Self { cause, retry: None, is_of_worker: true }
    }

    /// Whether its worker is gone, so that another may be on its way; not merely slow.
    pub fn found_nobody(&self) -> bool {
        matches!(self.cause, Cause::UpstreamConnect | Cause::UpstreamClosed)
    }
}

impl Errand<'_> {
    /// There was no connection.
    pub(super) fn not_connected(
        &self,
        cause: Cause,
        worker: &Arc<Worker>,
        exchange: &Exchange,
    ) -> Failure {
        let retry = self.elsewhere(Retry::Connect, worker, exchange);
        Failure { cause, retry, is_of_worker: true }
    }

    /// Leave to try another worker, if there is one that may take it by and by.
    fn elsewhere(&self, retry: Retry, worker: &Arc<Worker>, exchange: &Exchange) -> Option<Retry> {
        let may_go_on = self.upstream.pool.may_serve(&self.wish.after(worker));
        may_go_on.then(|| self.retries.grant(retry, exchange.attempts))?
    }

    /// What to do about an exchange that went wrong: break the response off, or tell the client, or try again.
    pub(super) async fn broken(
        &mut self,
        broken: Broken,
        is_mute: bool,
        worker: &Arc<Worker>,
        client: Box<Downstream>,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Box<Downstream>, Failure)> {
        if let Some(error) = &broken.error {
            exchange.error = Some(error.to_string());
        }
        if exchange.sent_status.is_some() {
            return Ok(break_off(broken.cause, client, exchange).await);
        }
        let was_kept = exchange.connection_reused == Some(true);
        // A kept connection that ends as soon as it is used was merely stale.
        let is_sudden = was_kept && broken.after < STALE_WITHIN && !broken.is_reset();
        if broken.unanswered && !is_sudden {
            worker.settle().await;
        }
        let is_of_worker = match broken.cause {
            Cause::FirstByteTimeout => is_mute,
            Cause::UpstreamInvalid => true,
            // A kept connection ends when its worker has had enough of it.
            Cause::UpstreamClosed => broken.unanswered && !was_kept,
            _ => false,
        };
        let retry = match broken.turned_down {
            Some(retry) => Some(retry),
            None if broken.unanswered && self.upload.can_begin_again() => {
                self.again(&broken, worker, exchange).await
            }
            None => None,
        };
        Err((client, Failure { cause: broken.cause, retry, is_of_worker }))
    }

    /// Whether a request that nothing was answered to may be sent once more, and why.
    async fn again(
        &mut self,
        broken: &Broken,
        worker: &Arc<Worker>,
        exchange: &Exchange,
    ) -> Option<Retry> {
        let was_kept = exchange.connection_reused == Some(true);
        let retry = if was_kept { Retry::Stale } else { Retry::Closed };
        if broken.unsent {
            return self.retries.grant(retry, exchange.attempts);
        }
        if !self.forward.request.method.is_idempotent() {
            // A connection that its worker never accepted says nothing to it, whatever was written.
            let unaccepted = !was_kept && broken.is_reset() && worker.has_lost_its_listener().await;
            return unaccepted.then(|| self.elsewhere(Retry::Connect, worker, exchange))?;
        }
        if was_kept {
            // Of a worker that says nothing to anybody it is no accident.
            let is_accident = exchange.attempts == 1 || !worker.is_marked(Mark::Silent);
            return is_accident.then(|| self.retries.grant(retry, exchange.attempts))?;
        }
        // What ended two workers is what ends workers.
        self.deaths += 1;
        if self.deaths > 1 { None } else { self.elsewhere(retry, worker, exchange) }
    }
}

/// Ends a response that has begun and cannot be completed.
pub(super) async fn break_off(
    cause: Cause,
    client: Box<Downstream>,
    exchange: &mut Exchange,
) -> Forwarded {
    exchange.aborted(cause);
    client.abort().await;
    Forwarded::Gone
}
