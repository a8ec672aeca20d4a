//! The life of one worker: a task that is always in one [`State`].
//!
//! ```text
//! Due ─→ Starting ─→ Ready          stop: Starting, Ready ─→ Stopping ─→ Stopped
//!  ↑        │          │                  Due, Resting ──────────────→ Stopped
//!  └─ Resting ←────────┘ (also from Stopping, when it never answered)
//! ```

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::error::{StartCause, StartError};
use super::launch::{Running, Shared};
use super::{Change, Ready, WorkerId, readiness};

/// The pause before the first restart; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that was ready for this long has earned the first pause again.
const STEADY: Duration = Duration::from_secs(60);
/// Added to `stop_timeout`: a worker that takes the whole of it still has to end by itself.
const STOP_MARGIN: Duration = Duration::from_secs(1);
/// At most this long is given to a worker that never answered: it has no request to finish.
const UNREADY_STOP: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    shared: Arc<Shared>,
    id: WorkerId,
    pause: Duration,
    /// Taken when the first start has succeeded or failed.
    first_start: Option<mpsc::UnboundedSender<Result<(), StartError>>>,
    stop: watch::Receiver<bool>,
}

enum State {
    /// No process; to be started now.
    Due,
    /// Running, has not answered yet.
    Starting(Running),
    /// Has answered; since when.
    Ready(Running, Instant),
    /// Running, to be asked to stop now, to be killed when it takes longer than this.
    Stopping(Running, Duration),
    /// No process; to be started after a pause.
    Resting,
    /// No process, and none to come.
    Stopped,
}

// === impl Worker ===

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        index: u16,
        first_start: mpsc::UnboundedSender<Result<(), StartError>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let id = WorkerId { index, generation: 0 };
        Self { shared, id, pause: FIRST_PAUSE, first_start: Some(first_start), stop }
    }

    /// Returns when the worker is stopped.
    pub(super) async fn run(mut self) {
        let mut state = State::Due;
        loop {
            state = match state {
                State::Due => self.start().await,
                State::Starting(running) => self.wait_for_answer(running).await,
                State::Ready(running, since) => self.watch(running, since).await,
                State::Stopping(running, patience) => self.end(running, patience).await,
                State::Resting => self.rest().await,
                State::Stopped => return,
            };
        }
    }

    async fn start(&mut self) -> State {
        if *self.stop.borrow() {
            return State::Stopped;
        }
        self.id.generation += 1;
        match self.shared.launch(self.id).await {
            Ok(running) => State::Starting(running),
            Err(error) => self.start_failed(error),
        }
    }

    async fn wait_for_answer(&mut self, mut running: Running) -> State {
        let within = self.shared.app.startup_timeout;
        tokio::select! {
            () = stop_asked(&mut self.stop) => self.stopping_unready(running),
            ended = running.process.wait() => {
                running.read_to_end().await;
                let cause = ended.map_or_else(StartCause::Lost, StartCause::Exited);
                self.start_failed(running.explain(&self.shared.upstream, self.id, cause))
            }
            answer = readiness::until_answered(running.lease.address(), within) => match answer {
                Ok(()) => self.answered(running),
                Err(silence) => {
                    let cause = StartCause::NoAnswer { within, silence };
                    self.start_failed(running.explain(&self.shared.upstream, self.id, cause));
                    self.stopping_unready(running)
                }
            },
        }
    }

    fn answered(&mut self, running: Running) -> State {
        let (id, pid, address) = (self.id, running.process.pid(), running.lease.address().clone());
        log::info!(
            "Worker is ready: upstream={} worker={id} generation={} pid={pid} address={address}",
            self.shared.upstream,
            id.generation
        );
        self.shared.tell(Change::Ready(Ready { id, address, pid }));
        if let Some(first_start) = self.first_start.take() {
            // Nobody may be waiting for it.
            let _ = first_start.send(Ok(()));
        }
        State::Ready(running, Instant::now())
    }

    async fn watch(&mut self, mut running: Running, since: Instant) -> State {
        tokio::select! {
            () = stop_asked(&mut self.stop) => {
                self.gone("asked to stop".to_owned());
                State::Stopping(running, self.patience())
            }
            ended = running.process.wait() => {
                let pid = running.process.pid();
                let reason = reason_of_end(&ended);
                log::warn!(
                    "Worker ended: upstream={} worker={} generation={} pid={pid} reason={reason:?}",
                    self.shared.upstream, self.id, self.id.generation
                );
                self.gone(reason);
                running.read_to_end().await;
                if since.elapsed() >= STEADY {
                    self.pause = FIRST_PAUSE;
                }
                State::Resting
            }
        }
    }

    async fn end(&mut self, mut running: Running, patience: Duration) -> State {
        let (upstream, id, pid) = (&self.shared.upstream, self.id, running.process.pid());
        let patience = match running.process.ask_to_stop() {
            Ok(()) => patience,
            Err(error) => {
                log::warn!(
                    "Cannot ask worker to stop: upstream={upstream} worker={id} pid={pid} error={error}"
                );
                Duration::ZERO
            }
        };
        let ended = match timeout(patience, running.process.wait()).await {
            Ok(ended) => ended,
            Err(_elapsed) => {
                log::warn!(
                    "Worker did not stop in time, killing it: upstream={upstream} worker={id} pid={pid}"
                );
                running.process.kill();
                running.process.wait().await
            }
        };
        log::info!(
            "Worker stopped: upstream={upstream} worker={id} pid={pid} {}",
            reason_of_end(&ended)
        );
        running.read_to_end().await;
        match *self.stop.borrow() {
            true => State::Stopped,
            false => State::Resting,
        }
    }

    async fn rest(&mut self) -> State {
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        tokio::select! {
            () = stop_asked(&mut self.stop) => State::Stopped,
            () = sleep(pause) => State::Due,
        }
    }

    /// The first failure is handed to whoever waits for [`super::Supervisor::ready`]; later ones are logged.
    fn start_failed(&mut self, error: StartError) -> State {
        match self.first_start.take() {
            // Nobody may be waiting for it.
            Some(first_start) => drop(first_start.send(Err(error))),
            None => log::error!(
                "Worker did not start, trying again in {}s: {}",
                self.pause.as_secs(),
                error.headline()
            ),
        }
        State::Resting
    }

    /// How long this worker may take to stop.
    fn patience(&self) -> Duration {
        self.shared.app.stop_timeout.saturating_add(STOP_MARGIN)
    }

    fn stopping_unready(&self, running: Running) -> State {
        State::Stopping(running, self.patience().min(UNREADY_STOP))
    }

    fn gone(&self, reason: String) {
        self.shared.tell(Change::Gone { id: self.id, reason });
    }
}

/// Returns when the worker is to stop, or when there is no supervisor any more.
async fn stop_asked(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|asked| *asked).await;
}

fn reason_of_end(ended: &io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("ended ({status})"),
        Err(error) => format!("cannot be waited for ({error})"),
    }
}
