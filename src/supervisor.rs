//! Supervised workers: starts the server processes of an upstream, sees to it that they answer, puts others in the
//! place of those that end, hang, go deaf or are worn out, and stops them so that nothing is left behind.
//!
//! A replacement is always ready before the one it replaces goes, and that one finishes what it has. Workers join and
//! leave their pool ([`crate::upstream::Upstream`]) here; which of them a request gets is the pool's business.
//!
//! Where to read on: `keeper` (the task that keeps one worker), `lifecycle` (the states of one generation of it),
//! `generation` (from its start to its end), `readiness` (when it counts as ready), `watch` (what is looked after
//! then), `restarts` (pauses after failures), `crew` (all workers, as operators see and steer them), `command` (what is
//! executed), `event_loop` (the loop that is shipped for it), `addresses` (where it listens), `process` (how it is
//! started and killed), `output` (what becomes of its lines).
//! OS code lives in `unix` and `windows` only, behind the names that both export.

mod addresses;
mod board;
mod command;
mod crew;
mod error;
mod event_loop;
mod files;
mod generation;
mod interpreter;
mod keeper;
mod launch;
mod lifecycle;
mod listening;
mod output;
mod private_directory;
mod process;
mod readiness;
mod reason;
mod restarts;
mod silence;
mod status;
#[cfg(test)]
#[cfg(unix)]
mod tests;
#[cfg(unix)]
mod unix;
mod watch;
mod watch_listener;
#[cfg(windows)]
mod windows;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch as signal};
use tokio::task::JoinSet;

pub use self::addresses::{AddressError, Ports};
pub use self::command::CommandError;
pub use self::crew::{Crew, Refusal};
pub use self::error::{StartCause, StartError};
pub use self::event_loop::LoopError;
pub use self::interpreter::InterpreterError;
pub use self::lifecycle::{Event, State};
pub use self::output::{OutputLine, OutputSink, Stream};
pub use self::platform::{Guardian, guardian_main};
pub use self::private_directory::DirectoryError;
pub use self::readiness::Silence;
pub use self::reason::Reason;
pub use self::status::{GenerationStatus, SupervisorStatus, Waiting, WorkerStatus};
#[cfg(unix)]
use self::unix as platform;
#[cfg(windows)]
use self::windows as platform;
pub use watch_listener::watch_listener;

use self::addresses::Addresses;
use self::board::Board;
use self::command::Recipe;
use self::crew::{Post, roll_on_change};
use self::files::Files;
use self::keeper::Keeper;
use self::launch::Shared;
use self::process::Spawner;
use self::restarts::RapidFailGuard;
use crate::config::{App, Health};
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;

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

/// What the supervisors of one process have in common.
#[derive(Clone)]
pub struct Surroundings {
    /// One list, so that no two of them choose the same port.
    pub ports: Ports,
    /// Cleans up when asgate is killed.
    pub guardian: Guardian,
    pub telemetry: Arc<Telemetry>,
    /// Takes what workers print.
    pub output: Arc<dyn OutputSink>,
}

/// The supervised workers of one upstream. Dropping it kills them; [`Supervisor::stop`] is the polite way.
pub struct Supervisor {
    crew: Arc<Crew>,
    keepers: JoinSet<()>,
    stop: signal::Sender<bool>,
    /// How the first start of each worker went.
    first_starts: mpsc::UnboundedReceiver<Result<(), StartError>>,
    /// First starts that have not succeeded yet.
    outstanding: u16,
}

impl Supervisor {
    /// Begins to start every worker of `app` and returns at once. They join `pool` when they are ready.
    ///
    /// # Errors
    /// What no restart can cure: no interpreter, a command without a place for the address, no private directory
    /// for the sockets; or the call came from outside a tokio runtime.
    pub fn start(
        pool: &Arc<Upstream>,
        app: &App,
        health: Option<&Health>,
        surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let Surroundings { ports, guardian, telemetry, output } = surroundings;
        let fail = |cause| StartError::of_upstream(pool.name(), cause);
        let recipe = Recipe::new(app, pool.policy().idle_timeout, &guardian)
            .map_err(|e| fail(StartCause::Command(e)))?;
        let addresses = Addresses::new(recipe.reach(), &ports, &guardian)
            .map_err(|e| fail(StartCause::Address(e)))?;
        let spawner = Spawner::start(guardian).map_err(|e| fail(StartCause::Spawn(e)))?;
        let shared = Arc::new(Shared {
            pool: Arc::clone(pool),
            app: app.clone(),
            health: health.cloned(),
            recipe,
            addresses,
            spawner,
            metrics: telemetry.metrics().upstream(pool.name()),
            telemetry,
            output,
            turn: Semaphore::new(1),
            guard: Arc::new(Mutex::new(RapidFailGuard::new(&app.restart.rapid_fail))),
        });
        pool.raise_hope();
        let (stop, stop_asked) = signal::channel(false);
        let (report, first_starts) = mpsc::unbounded_channel();
        let mut keepers = JoinSet::new();
        let mut posts = Vec::new();
        for index in 1..=app.workers.get() {
            let board = Arc::new(Board::new(pool.name(), index));
            let (post, orders) = Post::new(&board);
            let (report, stop_asked) = (report.clone(), stop_asked.clone());
            let keeper = Keeper::new(&shared, &board, index, report, orders, stop_asked);
            keepers.spawn(keeper.run());
            posts.push(post);
        }
        let crew = Arc::new(Crew::new(pool.name(), &app.restart, &shared.guard, posts));
        if !app.recycle.on_file_change.is_empty() {
            let files = Files::new(&app.recycle.on_file_change);
            keepers.spawn(roll_on_change(files, Arc::clone(&crew), stop_asked));
        }
        Ok(Self { crew, keepers, stop, first_starts, outstanding: app.workers.get() })
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
                    let upstream = self.crew.name();
                    return Err(StartError::of_upstream(upstream, StartCause::Abandoned));
                }
            }
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        Ok(())
    }

    /// The workers, to be seen and steered by others. They are stopped here, whoever else holds this.
    pub fn crew(&self) -> Arc<Crew> {
        Arc::clone(&self.crew)
    }

    /// Stops all workers side by side: asks each to stop, gives it `stop_timeout` and a second, then kills what is
    /// left of its process group. Returns when every process is reaped and every socket removed.
    pub async fn stop(mut self) {
        // Nobody listening means that every worker task has ended already.
        let _ = self.stop.send(true);
        let upstream = self.crew.name();
        while let Some(ended) = self.keepers.join_next().await {
            if let Err(error) = ended {
                log::error!("Worker task failed: upstream={upstream} error={error}");
            }
        }
        log::info!("Workers stopped: upstream={upstream}");
    }
}
