//! Supervised workers: starts the server processes of an upstream, sees to it that they answer, puts others in the
//! place of those that end, hang, go deaf or are worn out, and stops them so that nothing is left behind.
//!
//! A replacement is always ready before the one it replaces goes, and that one finishes what it has. Workers join and
//! leave their pool ([`crate::upstream::Upstream`]) here; which of them a request gets is the pool's business.
//!
//! Where to read on: `keeper` (the task that keeps one worker), `lifecycle` (the states of one generation of it),
//! `generation` (from its start to its end), `readiness` (when it counts as ready), `watch` (what is looked after
//! then), `restarts` (pauses after failures), `command` (what is executed), `event_loop` (the loop that is shipped for
//! it), `addresses` (where it listens), `process` (how it is started and killed), `output` (what becomes of its lines).
//! OS code lives in `unix` and `windows` only, behind the names that both export.

mod addresses;
mod board;
mod command;
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
use tokio::sync::{Semaphore, mpsc, oneshot, watch as signal};
use tokio::task::JoinSet;

pub use self::addresses::{AddressError, Ports};
pub use self::command::CommandError;
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
use self::files::Files;
use self::keeper::{Keeper, Order};
use self::launch::Shared;
use self::process::Spawner;
use self::restarts::RapidFailGuard;
use crate::config::{App, Health, Restart};
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;

/// Orders that wait for one keeper at most.
const ORDERS: usize = 16;

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

/// The workers of one upstream, as operators see and steer them.
pub struct Crew {
    name: Arc<str>,
    restart: Restart,
    guard: Arc<Mutex<RapidFailGuard>>,
    posts: Vec<Post>,
    /// Held while the workers are replaced one after the other.
    roll: tokio::sync::Mutex<()>,
}

/// One worker's place in the crew.
struct Post {
    board: Arc<Board>,
    orders: mpsc::Sender<Order>,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the workers are being replaced already")]
    Busy,
    #[error("there is no worker {0:?}")]
    NoSuchWorker(String),
    #[error("worker {worker}: {why}")]
    Failed { worker: u16, why: String },
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
        let guard = Arc::clone(&shared.guard);
        pool.raise_hope();
        let (stop, stop_asked) = signal::channel(false);
        let (report, first_starts) = mpsc::unbounded_channel();
        let mut keepers = JoinSet::new();
        let mut posts = Vec::new();
        for index in 1..=app.workers.get() {
            let board = Arc::new(Board::new(pool.name(), index));
            let (orders, incoming) = mpsc::channel(ORDERS);
            let (report, stop_asked) = (report.clone(), stop_asked.clone());
            let keeper = Keeper::new(&shared, &board, index, report, incoming, stop_asked);
            keepers.spawn(keeper.run());
            posts.push(Post { board, orders });
        }
        let crew = Arc::new(Crew {
            name: Arc::clone(pool.name()),
            restart: app.restart.clone(),
            guard,
            posts,
            roll: tokio::sync::Mutex::default(),
        });
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

impl Crew {
    /// The upstream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How all of them are doing.
    pub fn status(&self) -> SupervisorStatus {
        let restart = &self.restart;
        let trouble = self.guard.lock().is_tripped().then(|| {
            format!(
                "rapid_fail: {} failures within {}s; each worker is tried every {}s until one stays up",
                restart.rapid_fail.failures,
                restart.rapid_fail.window.as_secs_f64(),
                restart.max_backoff.as_secs_f64()
            )
        });
        let workers = self.posts.iter().map(|post| post.board.status()).collect();
        SupervisorStatus { trouble, workers }
    }

    /// Replaces all workers one after the other, or only this one. Returns how many were replaced, once the last new
    /// one is ready; those before may still be finishing their requests.
    ///
    /// # Errors
    /// A new worker did not become ready. The roll ends there: it and those after it stay as they are.
    pub async fn restart(&self, only: Option<&str>) -> Result<usize, Refusal> {
        let _roll = self.roll.try_lock().map_err(|_| Refusal::Busy)?;
        match only {
            Some(name) => {
                let (index, post) = self.find(name)?;
                self.replace(index, post, Reason::Restart, "asked for by an operator").await?;
                Ok(1)
            }
            None => self.replace_all(Reason::Restart, "asked for by an operator").await,
        }
    }

    /// Gives a worker no more requests, whatever process it is, until it is put back; those that it has it finishes.
    ///
    /// # Errors
    /// There is no such worker, or it is not in rotation.
    pub async fn drain(&self, worker: &str) -> Result<(), Refusal> {
        let (index, post) = self.find(worker)?;
        order(index, post, Order::TakeOut).await
    }

    /// Gives a drained worker requests again.
    ///
    /// # Errors
    /// There is no such worker, or it is in rotation.
    pub async fn enable(&self, worker: &str) -> Result<(), Refusal> {
        let (index, post) = self.find(worker)?;
        order(index, post, Order::PutBack).await
    }

    async fn replace_all(&self, reason: Reason, detail: &str) -> Result<usize, Refusal> {
        for (index, post) in (1..).zip(&self.posts) {
            self.replace(index, post, reason, detail).await?;
        }
        Ok(self.posts.len())
    }

    async fn replace(
        &self,
        index: u16,
        post: &Post,
        reason: Reason,
        detail: &str,
    ) -> Result<(), Refusal> {
        let detail = detail.to_owned();
        order(index, post, |reply| Order::Replace { reason, detail, reply }).await
    }

    fn find(&self, name: &str) -> Result<(u16, &Post), Refusal> {
        let mut posts = (1u16..).zip(&self.posts);
        posts
            .find(|(index, _)| index.to_string() == name)
            .ok_or_else(|| Refusal::NoSuchWorker(name.to_owned()))
    }
}

/// Gives a keeper an order and waits until it is carried out.
async fn order(
    worker: u16,
    post: &Post,
    order: impl FnOnce(keeper::Reply) -> Order,
) -> Result<(), Refusal> {
    let failed = |why| Refusal::Failed { worker, why };
    let gone = || failed("asgate stops".to_owned());
    let (reply, outcome) = oneshot::channel();
    post.orders.send(order(reply)).await.map_err(|_| gone())?;
    outcome.await.map_err(|_| gone())?.map_err(failed)
}

/// Replaces the workers whenever a watched file changed.
async fn roll_on_change(mut files: Files, crew: Arc<Crew>, mut stop: signal::Receiver<bool>) {
    loop {
        let path = tokio::select! {
            path = files.changed() => path,
            () = generation::stop_asked(&mut stop) => return,
        };
        let _roll = crew.roll.lock().await;
        let detail = format!("{} changed", path.display());
        if let Err(refusal) = crew.replace_all(Reason::FileChange, &detail).await {
            log::error!("Not all workers were replaced: upstream={} {refusal}", crew.name());
        }
    }
}
