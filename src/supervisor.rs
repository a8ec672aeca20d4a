//! Supervised workers: starts the server processes of an upstream, sees to it that they answer, starts them again
//! when they end, and stops them so that nothing is left behind.
//!
//! Must not know what the workers are used for: no balancing, no proxying, no Pingora. It says what happened
//! through [`Change`] and hands on what the workers print through [`OutputSink`]; the floors above decide.
//!
//! One worker is one tokio task with the states of `worker::State`. Where to read on: `command` (what is
//! executed), `addresses` (where it listens), `readiness` (when it counts as ready), `process` (how it is
//! started and killed), `output` (what becomes of its lines). OS code lives in `unix` and `windows` only, behind
//! the names that both export.

mod addresses;
mod command;
mod error;
mod interpreter;
mod launch;
mod output;
mod process;
mod readiness;
#[cfg(test)]
#[cfg(unix)]
mod tests;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
mod worker;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use self::addresses::{AddressError, Ports};
pub use self::command::CommandError;
pub use self::error::{StartCause, StartError};
pub use self::interpreter::InterpreterError;
pub use self::output::{OutputLine, OutputSink, Stream};
pub use self::readiness::Silence;
#[cfg(unix)]
use self::unix as platform;
#[cfg(windows)]
use self::windows as platform;

use self::addresses::Addresses;
use self::command::Recipe;
use self::launch::Shared;
use self::process::Spawner;
use self::worker::Worker;
use crate::config::{Address, App};

/// One start of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId {
    /// The worker's identity within its upstream, counted from 1.
    pub index: u16,
    /// How often it was started, counted from 1. A new generation has a new process and a new address.
    pub generation: u64,
}

/// The worker's name, as it stands in logs, metrics and the admin API: its index.
impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.index.fmt(f)
    }
}

/// A worker that answered and may get requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    pub id: WorkerId,
    /// Where it listens; this generation's own.
    pub address: Address,
    /// The process that was started. Its children, if any, are not listed.
    pub pid: u32,
}

/// What happened to a worker. Every `Ready` is followed by exactly one `Gone` of the same id, unless the
/// [`Supervisor`] is dropped first; nothing else is said about a start that never became ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Ready(Ready),
    /// Takes no more requests: its process ended, or is about to be asked to stop.
    Gone {
        id: WorkerId,
        /// For people, e.g. `ended (exit status: 1)`.
        reason: String,
    },
}

/// The supervised workers of one upstream. Dropping it kills them; [`Supervisor::stop`] is the polite way.
#[derive(Debug)]
pub struct Supervisor {
    upstream: Arc<str>,
    workers: JoinSet<()>,
    stop: watch::Sender<bool>,
    /// How the first start of each worker went.
    first_starts: mpsc::UnboundedReceiver<Result<(), StartError>>,
    /// First starts that have not succeeded yet.
    outstanding: u16,
}

impl Supervisor {
    /// Begins to start every worker of `app` and returns at once. `ports` is shared by all supervisors of the
    /// process, so that no two of them choose the same port.
    ///
    /// # Errors
    /// What no restart can cure: no interpreter, a command without a place for the address, no private directory
    /// for the sockets; or the call came from outside a tokio runtime.
    pub fn start(
        upstream: &str,
        app: &App,
        ports: &Ports,
        changes: mpsc::UnboundedSender<Change>,
        output: Arc<dyn OutputSink>,
    ) -> Result<Self, StartError> {
        let fail = |cause| StartError::of_upstream(upstream, cause);
        let recipe = Recipe::new(app).map_err(|e| fail(StartCause::Command(e)))?;
        let addresses =
            Addresses::new(recipe.reach(), ports).map_err(|e| fail(StartCause::Address(e)))?;
        let spawner = Spawner::start().map_err(|e| fail(StartCause::Spawn(e)))?;
        let (stop, stop_asked) = watch::channel(false);
        let (report, first_starts) = mpsc::unbounded_channel();
        let upstream: Arc<str> = upstream.into();
        let shared = Arc::new(Shared {
            upstream: Arc::clone(&upstream),
            app: app.clone(),
            recipe,
            addresses,
            spawner,
            changes,
            output,
        });
        let mut workers = JoinSet::new();
        for index in 1..=app.workers.get() {
            let shared = Arc::clone(&shared);
            let worker = Worker::new(shared, index, report.clone(), stop_asked.clone());
            workers.spawn(worker.run());
        }
        Ok(Self { upstream, workers, stop, first_starts, outstanding: app.workers.get() })
    }

    /// Waits until every worker was ready once. Cancel safe; returns at once when that has been reached.
    ///
    /// # Errors
    /// The first start that failed. The workers go on being tried; whether that is wanted is the caller's
    /// decision, [`Supervisor::stop`] ends it.
    pub async fn ready(&mut self) -> Result<(), StartError> {
        while self.outstanding > 0 {
            match self.first_starts.recv().await {
                Some(first) => first?,
                None => {
                    return Err(StartError::of_upstream(&self.upstream, StartCause::Abandoned));
                }
            }
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        Ok(())
    }

    /// Stops all workers side by side: asks each to stop, gives it `stop_timeout` and a second, then kills what is
    /// left of its process group. Returns when every process is reaped and every socket removed.
    pub async fn stop(mut self) {
        // Nobody listening means that every worker task has ended already.
        let _ = self.stop.send(true);
        while let Some(ended) = self.workers.join_next().await {
            if let Err(error) = ended {
                log::error!("Worker task failed: upstream={} error={error}", self.upstream);
            }
        }
        log::info!("Workers stopped: upstream={}", self.upstream);
    }
}
