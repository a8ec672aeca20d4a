//! One generation of a worker from its start to its end: brought up until it is ready, seen off when it is replaced.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::WorkerId;
use super::board::{Board, Entry};
use super::error::{StartCause, StartError};
use super::launch::{Running, Shared};
use super::lifecycle::Event;
use super::readiness::Newcomer;
use crate::upstream::Worker;

/// Added to `stop_timeout`: a worker that takes the whole of it still has to end by itself.
const STOP_MARGIN: Duration = Duration::from_secs(1);
/// At most this long is given to a worker that has no request to finish, because it never answered or does not any more.
const SILENT_STOP: Duration = Duration::from_secs(5);

/// One process that is a worker, and its place in the pool.
pub(super) struct Generation {
    pub(super) id: WorkerId,
    pub(super) worker: Arc<Worker>,
    pub(super) running: Running,
    pub(super) ready_since: Instant,
    pub(super) board: Arc<Board>,
}

/// Why there is no new generation.
pub(super) enum NotUp {
    /// It was told to stop before it was ready.
    Stopped,
    Failed(StartError),
}

/// Starts a generation and waits until it is ready. What does not become ready has ended when this returns.
pub(super) async fn bring_up(
    shared: Arc<Shared>,
    board: Arc<Board>,
    id: WorkerId,
    mut stop: watch::Receiver<bool>,
) -> Result<Box<Generation>, NotUp> {
    if *stop.borrow() {
        return Err(NotUp::Stopped);
    }
    let running = shared.launch(id).await.map_err(NotUp::Failed)?;
    let worker = Arc::new(shared.pool_worker(id, &running));
    board.started(Entry::starting(id, running.process.pid(), Arc::clone(&worker)), &running.tail);
    let ready_since = Instant::now();
    let mut generation = Box::new(Generation { id, worker, running, ready_since, board });
    let within = shared.app.startup_timeout;
    let group = generation.running.process.group();
    let newcomer = Newcomer {
        worker: &generation.worker,
        group: &group,
        health: shared.health.as_ref(),
        warmup: &shared.app.warmup,
    };
    let cause = tokio::select! {
        () = stop_asked(&mut stop) => None,
        ended = generation.running.process.wait() => {
            Some(ended.map_or_else(StartCause::Lost, StartCause::Exited))
        }
        ready = newcomer.until_ready(within) => match ready {
            Ok(()) => {
                generation.board.weigh(id.generation, &group).await;
                generation.ready_since = Instant::now();
                generation.happened(Event::Answered, "it listens and answered");
                return Ok(generation);
            }
            Err(silence) => Some(StartCause::NotReady { within, silence }),
        },
    };
    let patience = shared.patience().min(SILENT_STOP);
    let Some(cause) = cause else {
        generation.end(patience, "stopped during its start").await;
        return Err(NotUp::Stopped);
    };
    generation.end(patience, &cause.to_string()).await;
    Err(NotUp::Failed(generation.running.explain(shared.name(), id, cause)))
}

// === impl Generation ===

impl Generation {
    pub(super) fn happened(&self, event: Event, reason: &str) {
        self.board.happened(self.id.generation, event, reason);
    }

    /// Waits for the process to end. Cancel safe.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.running.process.wait().await
    }

    /// Takes a process whose end was seen off the books. Returns how it ended, for people.
    pub(super) async fn bury(mut self, shared: &Shared, how: &io::Result<ExitStatus>) -> String {
        let reason = reason_of_end(how);
        shared.pool.leave(&self.id.to_string(), self.id.generation);
        self.running.read_to_end().await;
        self.happened(Event::Ended, &reason);
        reason
    }

    /// Takes it out of rotation: it gets no more requests.
    pub(super) fn leave(&self, shared: &Shared, reason: &str) {
        shared.pool.leave(&self.id.to_string(), self.id.generation);
        self.happened(Event::Replaced, reason);
    }

    /// After [`Self::leave`]: its requests finished (where that is to be hoped for), asked to stop, killed if it does not.
    pub(super) async fn see_off(
        mut self,
        shared: Arc<Shared>,
        farewell: Farewell,
        mut stop: watch::Receiver<bool>,
    ) {
        if !farewell.finish {
            self.kill(&farewell.reason).await;
            return;
        }
        let worker = Arc::clone(&self.worker);
        let why = tokio::select! {
            () = worker.drained() => "its requests are done",
            () = sleep(shared.app.stop_timeout) => "stop_timeout is over",
            () = stop_asked(&mut stop) => "asgate stops",
            ended = self.ended() => {
                self.bury(&shared, &ended).await;
                return;
            }
        };
        self.end(shared.patience(), why).await;
    }

    /// Asks the process to stop, kills it when it takes longer than `patience`, and waits for its end and its last lines.
    async fn end(&mut self, patience: Duration, reason: &str) {
        self.stop_process(patience, reason).await;
        self.running.read_to_end().await;
    }

    /// Ends a process that would not hear that it is to stop; its requests find another worker the sooner.
    async fn kill(mut self, reason: &str) {
        self.happened(Event::ToldToStop, reason);
        self.running.process.kill();
        let ended = self.ended().await;
        self.happened(Event::Ended, &reason_of_end(&ended));
        self.running.read_to_end().await;
    }

    async fn stop_process(&mut self, patience: Duration, reason: &str) {
        self.happened(Event::ToldToStop, reason);
        let asked = self.running.process.ask_to_stop();
        let patience = match &asked {
            Ok(()) => patience,
            Err(_) => Duration::ZERO,
        };
        let mut killed = "";
        let ended = match timeout(patience, self.ended()).await {
            Ok(ended) => ended,
            Err(_elapsed) => {
                match asked {
                    Ok(()) => self.warn("Worker does not stop in time, killing it", "stop_timeout"),
                    Err(error) => self.warn("Cannot ask worker to stop", &error.to_string()),
                }
                killed = ", killed";
                self.running.process.kill();
                self.ended().await
            }
        };
        self.happened(Event::Ended, &format!("{}{killed}", reason_of_end(&ended)));
    }

    fn warn(&self, what: &str, error: &str) {
        log::warn!(
            "{what}: worker={} generation={} pid={} {error}",
            self.id,
            self.id.generation,
            self.running.process.pid()
        );
    }
}

/// How to see a generation off.
pub(super) struct Farewell {
    /// For people.
    pub(super) reason: String,
    /// Whether its requests may finish first.
    pub(super) finish: bool,
}

// === impl Shared ===

impl Shared {
    /// How long a worker may take to stop once asked.
    fn patience(&self) -> Duration {
        self.app.stop_timeout.saturating_add(STOP_MARGIN)
    }
}

/// Returns when the worker is to stop, or when there is no supervisor any more.
pub(super) async fn stop_asked(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|asked| *asked).await;
}

fn reason_of_end(ended: &io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("ended ({status})"),
        Err(error) => format!("cannot be waited for ({error})"),
    }
}
