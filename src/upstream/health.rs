//! Active health checks: one worker asked again and again, and taken out of rotation while it fails.
//!
//! A check is a request on a kept connection, and now and then on a new one, since a worker that lost its listener
//! still answers on the connections it has. It never overtakes itself: an answer that is late is a failure whatever it
//! says, and no second question is asked before it came.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use memchr::memmem;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::{Expect, Health};

use super::probe::{Answer, Probe, ProbeError, Way};
use super::standing::Mark;
use super::worker::Worker;

/// Every how many checks one goes over a new connection.
const FRESH_EVERY: u32 = 4;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("no answer within {}s", .0.as_secs_f64())]
    Late(Duration),
    #[error("{0}")]
    Broken(#[from] ProbeError),
    #[error("status {0}")]
    Status(u16),
    #[error("the body does not contain what is expected")]
    Body,
}

/// The question of `health.path`.
pub fn probe(health: &Health) -> Probe {
    Probe::new(Method::GET, &health.path, "health")
}

/// Whether this is the answer of a healthy worker.
///
/// # Errors
/// In what it differs.
pub fn judge(answer: &Answer, expect: &Expect) -> Result<(), Failure> {
    let status = answer.status.as_u16();
    if !expect.status.iter().any(|range| range.contains(&status)) {
        return Err(Failure::Status(status));
    }
    let contained = expect
        .body_contains
        .as_ref()
        .is_none_or(|text| memmem::find(&answer.body, text.as_bytes()).is_some());
    if contained { Ok(()) } else { Err(Failure::Body) }
}

/// Checks `worker` until dropped, and marks it [`Mark::Unhealthy`] while it fails. `changed` hears of every change.
pub async fn watch(worker: Arc<Worker>, health: &Health, changed: impl Fn(Result<(), &Failure>)) {
    let mut checks = Checks { probe: probe(health), asked: 0, late: None };
    let mut streak = Streak::default();
    loop {
        sleep(jittered(health.interval)).await;
        let outcome = checks.check(&worker, health).await;
        let turned = streak.note(outcome.is_ok(), health);
        if turned && worker.mark(Mark::Unhealthy, outcome.is_err()) {
            changed(outcome.as_ref().copied());
        }
    }
}

/// The checks of one worker, one at a time.
struct Checks {
    probe: Probe,
    asked: u32,
    /// A question that was not answered in time.
    late: Option<JoinHandle<Result<Answer, ProbeError>>>,
}

impl Checks {
    /// Waits for a late answer first, for as long as for any. What that says is no matter: its check has failed.
    async fn check(&mut self, worker: &Arc<Worker>, health: &Health) -> Result<(), Failure> {
        if let Some(question) = &mut self.late {
            if timeout(health.timeout, question).await.is_err() {
                return Err(Failure::Late(health.timeout));
            }
            self.late = None;
        }
        self.asked = self.asked.wrapping_add(1);
        let way = if self.asked.is_multiple_of(FRESH_EVERY) { Way::Fresh } else { Way::Kept };
        let mut question = worker.ask(&self.probe, way);
        match timeout(health.timeout, &mut question).await {
            Ok(Ok(answered)) => judge(&answered?, &health.expect),
            // The runtime is shutting down.
            Ok(Err(_cancelled)) => Err(ProbeError::Closed.into()),
            Err(_elapsed) => {
                self.late = Some(question);
                Err(Failure::Late(health.timeout))
            }
        }
    }
}

/// How many checks went the same way in a row.
#[derive(Debug, Default)]
struct Streak {
    succeeded: u32,
    failed: u32,
}

impl Streak {
    /// Whether the number that decides has been reached.
    fn note(&mut self, success: bool, health: &Health) -> bool {
        match success {
            true => (self.succeeded, self.failed) = (self.succeeded.saturating_add(1), 0),
            false => (self.succeeded, self.failed) = (0, self.failed.saturating_add(1)),
        }
        self.succeeded >= health.healthy_after.get() || self.failed >= health.unhealthy_after.get()
    }
}

/// Up to a tenth shorter, so that the checks of many workers do not fall together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests;
