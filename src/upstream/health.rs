//! Active health checks: one worker asked again and again, and taken out of rotation while it fails.
//!
//! A check is a request, mostly on a kept connection and now and then on a new one, and the two are judged apart: a worker
//! that lost its listener answers on the connections it has, and so does one process of several that share a listener
//! when another hangs. An answer that is late is a failure whatever it says, and no second question is asked on the same
//! way before it came or was given up: a worker that has no time gets no second thing to do.
//!
//! | kept connection | new connection | so the worker |
//! |---|---|---|
//! | passes | passes | is healthy |
//! | passes | fails | gets requests on the connections that it has; a supervised one is replaced |
//! | fails | either | comes after all others |

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use memchr::memmem;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::{Expect, Health};
use crate::telemetry::CheckResult;

use super::probe::{Answer, Probe, ProbeError, Way};
use super::standing::Mark;
use super::worker::Worker;

/// Every how many checks one more goes over a new connection, while such checks pass.
const FRESH_EVERY: u32 = 4;

/// How many times as long as a check may take its question is left with the worker: an answer that comes late frees the
/// connection for the next, one that never comes must not hold up the checks for ever.
const LEFT_FOR: u32 = 4;

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
    #[error("over a new connection: {0}")]
    Fresh(Box<Self>),
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

/// Checks `worker` until dropped, and marks it by what the checks say. `changed` hears of every change.
pub async fn watch(worker: Arc<Worker>, health: &Health, changed: impl Fn(Result<(), &Failure>)) {
    let mut checks = Checks::new(health);
    loop {
        sleep(jittered(health.interval)).await;
        let outcome = checks.round(&worker, health).await;
        let result = if outcome.is_ok() { CheckResult::Passed } else { CheckResult::Failed };
        worker.metrics().checked(result);
        let message = outcome.as_ref().map_or_else(ToString::to_string, |()| "passed".to_owned());
        worker.note_check(outcome.is_ok(), message);
        let before = is_suspect(&worker);
        checks.mark(&worker);
        match &outcome {
            Ok(()) if before && !is_suspect(&worker) => changed(Ok(())),
            Err(failure) if !before && is_suspect(&worker) => changed(Err(failure)),
            Ok(()) | Err(_) => {}
        }
    }
}

fn is_suspect(worker: &Worker) -> bool {
    worker.is_marked(Mark::Unhealthy) || worker.is_marked(Mark::Shut)
}

/// The checks of one worker over both ways.
struct Checks {
    kept: Line,
    fresh: Line,
    rounds: u32,
}

/// The checks over one way, one at a time.
struct Line {
    way: Way,
    probe: Probe,
    /// A question that was not answered in time.
    late: Option<JoinHandle<Result<Answer, ProbeError>>>,
    streak: Streak,
}

impl Checks {
    fn new(health: &Health) -> Self {
        let probe = probe(health).left_for(health.timeout.saturating_mul(LEFT_FOR));
        let line = |way| Line { way, probe: probe.clone(), late: None, streak: Streak::default() };
        Self { kept: line(Way::Kept), fresh: line(Way::Fresh), rounds: 0 }
    }

    /// One check, or two when it is the turn of the new connections or they are in doubt.
    async fn round(&mut self, worker: &Arc<Worker>, health: &Health) -> Result<(), Failure> {
        self.rounds = self.rounds.wrapping_add(1);
        let kept = self.kept.check(worker, health).await;
        let in_doubt = self.fresh.streak.is_failing() || self.fresh.streak.is_wavering();
        if !in_doubt && !self.rounds.is_multiple_of(FRESH_EVERY) {
            return kept;
        }
        let fresh = self.fresh.check(worker, health).await;
        kept.and(fresh.map_err(|failure| Failure::Fresh(Box::new(failure))))
    }

    fn mark(&self, worker: &Worker) {
        let (kept, fresh) = (self.kept.streak.is_failing(), self.fresh.streak.is_failing());
        // Somebody replaces a supervised one; the other goes on as it can.
        let replaceable = worker.is_supervised();
        worker.mark(Mark::Unhealthy, kept || (fresh && replaceable));
        worker.mark(Mark::Shut, fresh && !kept && !replaceable);
    }
}

impl Line {
    /// Waits for a late answer first, for as long as for any. What that says is no matter: its check has failed.
    async fn check(&mut self, worker: &Arc<Worker>, health: &Health) -> Result<(), Failure> {
        let outcome = self.ask(worker, health).await;
        self.streak.note(outcome.is_ok(), health);
        outcome
    }

    async fn ask(&mut self, worker: &Arc<Worker>, health: &Health) -> Result<(), Failure> {
        if let Some(question) = &mut self.late {
            if timeout(health.timeout, question).await.is_err() {
                return Err(Failure::Late(health.timeout));
            }
            self.late = None;
        }
        let mut question = worker.ask(&self.probe, self.way);
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

/// How many checks went the same way in a row, and what that has come to.
#[derive(Debug, Default)]
struct Streak {
    succeeded: u32,
    failed: u32,
    failing: bool,
}

impl Streak {
    fn note(&mut self, success: bool, health: &Health) {
        match success {
            true => (self.succeeded, self.failed) = (self.succeeded.saturating_add(1), 0),
            false => (self.succeeded, self.failed) = (0, self.failed.saturating_add(1)),
        }
        if self.succeeded >= health.healthy_after.get() {
            self.failing = false;
        }
        if self.failed >= health.unhealthy_after.get() {
            self.failing = true;
        }
    }

    /// Whether enough checks failed, and not enough have passed since.
    fn is_failing(&self) -> bool {
        self.failing
    }

    /// Whether the last check failed.
    fn is_wavering(&self) -> bool {
        self.failed > 0
    }
}

/// Up to a tenth shorter, so that the checks of many workers do not fall together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests;
