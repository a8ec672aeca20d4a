//! What an answer says of its worker, and whether the client gets it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::config::Reuse;
use crate::upstream::{Upstream, Wish, Worker};

use super::relay::Opening;
use super::retry::{self, Retries, Retry};

/// As how slow an answer a failure counts, where workers are chosen by how fast they answer: one that fails at once is not
/// a fast one.
const AS_SLOW_AS: Duration = Duration::from_secs(1);

/// A request failed on `worker`.
pub fn note_failure(pool: &Upstream, worker: &Arc<Worker>) {
    pool.failed(worker);
    worker.answered_after(AS_SLOW_AS);
}

/// Judges a worker by its answer, and decides whether that reaches the client.
pub struct Judge<'a> {
    pub wish: &'a Wish,
    pub retries: Retries<'a>,
    pub method: &'a Method,
    pub worker: &'a Arc<Worker>,
    pub attempts: u32,
}

impl Judge<'_> {
    /// Notes what the answer says of the worker.
    pub fn note(&self, opening: &Opening<'_>) {
        if self.pool().is_failure(opening.head.status.as_u16()) {
            note_failure(self.pool(), self.worker);
        } else {
            self.worker.answered_after(opening.waited);
        }
    }

    /// Whether the answer is not passed on because another worker is to be tried, and why.
    pub fn turns_down(&self, opening: &Opening<'_>) -> Option<Retry> {
        let status = opening.head.status.as_u16();
        let is_limit =
            status == 503 && self.may_be_limit() && retry::is_limit_of_uvicorn(opening.head);
        let retry = if is_limit && self.retries.policy.on.refused_503 {
            Retry::Refused
        } else if matches!(status, 502..=504) && self.method.is_idempotent() {
            Retry::Status(status)
        } else {
            return None;
        };
        let may_go_on = opening.upload.can_begin_again()
            && self.pool().has_another(&self.wish.after(self.worker));
        may_go_on.then(|| self.retries.grant(retry, self.attempts))?
    }

    /// Whether nothing but its limit makes the worker close a connection with a 503.
    fn may_be_limit(&self) -> bool {
        self.pool().policy().reuse != Reuse::Never && !self.worker.is_retired()
    }

    fn pool(&self) -> &Upstream {
        self.retries.pool
    }
}
