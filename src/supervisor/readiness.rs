//! When a worker counts as ready: a process of its own listens at its address, it answered an HTTP request there, its
//! health check passes where there is one, and its warm-up requests were answered.
//!
//! Without a health check the question is `HEAD /` with `User-Agent: asgate-readiness`, and any status is an answer:
//! HEAD, because its answer has no body to wait for and RFC 9110 section 9.3.2 makes it safe.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use thiserror::Error;
use tokio::time::{sleep, timeout};

use super::platform::{Group, Listening};
use crate::config::{Address, Health};
use crate::upstream::health::{self, Failure};
use crate::upstream::{Answer, Probe, ProbeError, Way, Worker};

/// Between two looks at a worker that does not listen yet.
const POLL: Duration = Duration::from_millis(50);
/// Between two questions to an app that does not answer as it should yet.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A warm-up request that is answered with this or more has not warmed anything up.
const SERVER_ERROR: u16 = 500;

/// What was missing last.
#[derive(Debug, Error)]
pub enum Silence {
    #[error("it does not accept connections: nobody listens at {0}")]
    NotListening(Address),
    #[error("another process listens at {0}")]
    Foreign(Address),
    #[error("{0}")]
    Probe(#[from] ProbeError),
    #[error("health check {path}: {failure}")]
    Unhealthy { path: String, failure: Failure },
    #[error("warm-up request {path}: {what}")]
    Cold { path: String, what: String },
}

/// A worker that is starting.
pub(super) struct Newcomer<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) group: &'a Arc<Group>,
    pub(super) health: Option<&'a Health>,
    /// Paths to be requested before it gets traffic.
    pub(super) warmup: &'a [String],
}

impl Newcomer<'_> {
    /// Returns once the worker is ready.
    ///
    /// # Errors
    /// It was not `within` that time: what was missing last.
    pub(super) async fn until_ready(&self, within: Duration) -> Result<(), Silence> {
        let mut missing = Silence::NotListening(self.worker.address().clone());
        let ready = timeout(within, self.steps(&mut missing)).await;
        ready.map_err(|_elapsed| missing)
    }

    async fn steps(&self, missing: &mut Silence) {
        self.until_listening(missing).await;
        while let Err(reason) = self.answers(missing).await {
            *missing = reason;
            sleep(POLL).await;
        }
        for path in self.warmup {
            while let Err(what) = self.warms_up(path).await {
                *missing = Silence::Cold { path: path.clone(), what };
                sleep(ASK_AGAIN).await;
            }
        }
        Arc::clone(self.worker).prewarm().await;
    }

    /// Nothing is connected to before: a connection that another process takes is a request that the wrong app gets.
    async fn until_listening(&self, missing: &mut Silence) {
        loop {
            let (group, address) = (Arc::clone(self.group), self.worker.address().clone());
            let listening = tokio::task::spawn_blocking(move || group.listening(&address)).await;
            let address = self.worker.address().clone();
            *missing = match listening {
                Ok(Listening::Absent) => Silence::NotListening(address),
                Ok(Listening::Foreign) => Silence::Foreign(address),
                // Where the system does not tell, the answer has to do.
                Ok(Listening::Ours | Listening::Unknown) | Err(_) => return,
            };
            sleep(POLL).await;
        }
    }

    async fn answers(&self, missing: &mut Silence) -> Result<(), Silence> {
        let Some(health) = self.health else {
            self.ask(&Probe::new(Method::HEAD, "/", "readiness"), missing).await?;
            return Ok(());
        };
        let answer = self.ask(&health::probe(health), missing).await?;
        if let Err(failure) = health::judge(&answer, &health.expect) {
            sleep(ASK_AGAIN).await;
            return Err(Silence::Unhealthy { path: health.path.clone(), failure });
        }
        Ok(())
    }

    async fn warms_up(&self, path: &str) -> Result<(), String> {
        let probe = Probe::new(Method::GET, path, "warmup");
        let asked = self.worker.ask(&probe, Way::Kept).await;
        let answer =
            asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        match answer.status.as_u16() {
            SERVER_ERROR.. => Err(format!("status {}", answer.status.as_u16())),
            _ => Ok(()),
        }
    }

    /// An app that accepts and says nothing is waited for: see [`crate::upstream::Worker::ask`].
    async fn ask(&self, probe: &Probe, missing: &mut Silence) -> Result<Answer, Silence> {
        *missing = Silence::Probe(ProbeError::Mute);
        let asked = self.worker.ask(probe, Way::Kept).await;
        Ok(asked.map_err(|_shutting_down| ProbeError::Closed)??)
    }
}
