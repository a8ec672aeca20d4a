//! Keeps one worker: sees to it that a generation serves, and puts another in its place when there is a reason to.
//!
//! A keeper is a task that is always in one [`State`]. What a single generation goes through is in `lifecycle`.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::WorkerId;
use super::board::Board;
use super::error::StartError;
use super::generation::{Farewell, Generation, NotUp, bring_up, stop_asked};
use super::launch::Shared;
use super::lifecycle::Event;
use super::reason::Reason;
use super::restarts::Backoff;
use super::watch::{Verdict, Watch};
use crate::upstream::Mark;

/// A worker that ended in order after it served for this long has not failed, however often it does.
const SERVED_ENOUGH: Duration = Duration::from_secs(1);

/// What an operator asks of a keeper. The answer is an error for people.
#[derive(Debug)]
pub(super) enum Order {
    /// Put another generation in the place of this one, for `reason`.
    Replace { reason: Reason, detail: String, reply: Reply },
    /// Give it no more requests.
    TakeOut(Reply),
    /// Give it requests again.
    PutBack(Reply),
}

pub(super) type Reply = oneshot::Sender<Result<(), String>>;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    board: Arc<Board>,
    id: WorkerId,
    backoff: Backoff,
    /// Taken when the first start has succeeded or failed.
    first_start: Option<mpsc::UnboundedSender<Result<(), StartError>>>,
    orders: mpsc::Receiver<Order>,
    stop: watch::Receiver<bool>,
    /// Earlier generations that finish what they have.
    farewells: JoinSet<()>,
}

enum State {
    /// Nobody serves: start one now, in the place of one that went for this reason, and say how it went.
    Due(Option<Reason>, Option<Reply>),
    Serving(Box<Generation>),
    /// Nobody serves; to be started after a pause.
    Waiting(Reason, Duration, String),
    Stopped,
}

/// What ends the quiet of a generation that serves.
enum Happening {
    Stop,
    Ended(io::Result<ExitStatus>),
    Due(Verdict),
    Order(Order),
    /// It has served for so long that earlier failures are forgiven.
    Proved,
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(
        shared: &Arc<Shared>,
        board: &Arc<Board>,
        index: u16,
        first_start: mpsc::UnboundedSender<Result<(), StartError>>,
        orders: mpsc::Receiver<Order>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            backoff: Backoff::new(&shared.app.restart),
            shared: Arc::clone(shared),
            board: Arc::clone(board),
            id: WorkerId { index, generation: 0 },
            first_start: Some(first_start),
            orders,
            stop,
            farewells: JoinSet::new(),
        }
    }

    /// Returns when the worker is stopped and no process of it is left.
    pub(super) async fn run(mut self) {
        let mut state = State::Due(None, None);
        loop {
            state = match state {
                State::Due(reason, reply) => self.start(reason, reply).await,
                State::Serving(generation) => self.serve(generation).await,
                State::Waiting(reason, pause, why) => self.wait(reason, pause, why).await,
                State::Stopped => break,
            };
        }
        while self.farewells.join_next().await.is_some() {}
    }

    /// Starts a generation while none serves.
    async fn start(&mut self, reason: Option<Reason>, reply: Option<Reply>) -> State {
        match self.bring_up().await {
            Ok(generation) => {
                self.join(&generation, reason);
                answer(reply, Ok(()));
                State::Serving(generation)
            }
            Err(NotUp::Stopped) => {
                answer(reply, Err("asgate stops".to_owned()));
                State::Stopped
            }
            Err(NotUp::Failed(error)) => {
                let headline = error.headline();
                let pause = self.failed(false);
                self.report(error, pause);
                answer(reply, Err(headline.clone()));
                State::Waiting(reason.unwrap_or(Reason::Exit), pause, headline)
            }
        }
    }

    fn bring_up(&mut self) -> impl Future<Output = Result<Box<Generation>, NotUp>> + use<> {
        self.id.generation += 1;
        bring_up(Arc::clone(&self.shared), Arc::clone(&self.board), self.id, self.stop.clone())
    }

    /// Puts a generation into rotation, in the place of the one before.
    fn join(&mut self, generation: &Generation, reason: Option<Reason>) {
        self.shared.pool.join(Arc::clone(&generation.worker));
        if let Some(reason) = reason {
            self.board.restarted(reason);
            self.shared.metrics.worker_restarted(reason.as_str());
        }
        if let Some(first_start) = self.first_start.take() {
            // Nobody may be waiting for it.
            let _ = first_start.send(Ok(()));
        }
    }

    /// Watches a generation until there is another, or none.
    async fn serve(&mut self, mut generation: Box<Generation>) -> State {
        let mut watch = Watch::new(&self.shared, &generation);
        let proved_at = generation.ready_since + self.shared.app.restart.rapid_fail.window;
        let mut proved = false;
        loop {
            let happening = tokio::select! {
                () = stop_asked(&mut self.stop) => Happening::Stop,
                ended = generation.ended() => Happening::Ended(ended),
                verdict = watch.verdict() => Happening::Due(verdict),
                Some(order) = self.orders.recv() => Happening::Order(order),
                () = sleep_until(proved_at), if !proved => Happening::Proved,
            };
            let (verdict, reply) = match happening {
                Happening::Stop => return self.stop(generation),
                Happening::Ended(ended) => return self.ended(generation, &ended).await,
                Happening::Proved => {
                    proved = true;
                    self.forgive();
                    continue;
                }
                Happening::Due(verdict) => (verdict, None),
                Happening::Order(Order::Replace { reason, detail, reply }) => {
                    (Verdict { reason, detail }, Some(reply))
                }
                Happening::Order(Order::TakeOut(reply)) => {
                    let _ = reply.send(take_out(&generation));
                    continue;
                }
                Happening::Order(Order::PutBack(reply)) => {
                    let _ = reply.send(put_back(&generation));
                    continue;
                }
            };
            match self.replace(generation, &verdict, reply).await {
                Err((kept, pause)) => {
                    generation = kept;
                    watch.wait(pause);
                }
                Ok(state) => return state,
            }
        }
    }

    /// Brings another generation up while this one serves, then puts it in its place. When that fails this one comes
    /// back, with the pause before the next try.
    async fn replace(
        &mut self,
        old: Box<Generation>,
        verdict: &Verdict,
        reply: Option<Reply>,
    ) -> Result<State, (Box<Generation>, Duration)> {
        let Verdict { reason, detail } = verdict;
        log::info!(
            "Replacing worker: upstream={} worker={} generation={} reason={reason} {detail:?}",
            self.shared.name(),
            self.id,
            old.id.generation
        );
        let pause = self.pause_before_replacing(&old, *reason);
        let turns = Arc::clone(&self.shared);
        let starting = self.bring_up();
        let mut stop = self.stop.clone();
        let mut coming = pin!(async move {
            tokio::select! {
                () = sleep(pause) => {}
                // The start sees it too, and says so.
                () = stop_asked(&mut stop) => {}
            }
            // Memory and processors for one more process, not for one more of each worker.
            let _turn = match reason.can_wait() {
                true => turns.turn.acquire().await.ok(),
                false => None,
            };
            starting.await
        });
        let mut old = Some(old);
        let outcome = loop {
            tokio::select! {
                outcome = &mut coming => break outcome,
                ended = ended(old.as_mut()) => {
                    if let Some(gone) = old.take() {
                        let how = gone.bury(&self.shared, &ended).await;
                        log::warn!("Worker ended before its replacement was ready: {how}");
                    }
                }
            }
        };
        match (outcome, old) {
            (Ok(generation), old) => {
                self.join(&generation, Some(*reason));
                if let Some(old) = old {
                    self.see_off(old, *reason, detail);
                }
                answer(reply, Ok(()));
                Ok(State::Serving(generation))
            }
            (Err(NotUp::Stopped), old) => {
                answer(reply, Err("asgate stops".to_owned()));
                Ok(old.map_or(State::Stopped, |old| self.stop(old)))
            }
            (Err(NotUp::Failed(error)), old) => {
                let headline = error.headline();
                let pause = self.failed(false);
                self.report(error, pause);
                answer(reply, Err(headline.clone()));
                match old {
                    Some(old) => Err((old, pause)),
                    None => Ok(State::Waiting(Reason::Exit, pause, headline)),
                }
            }
        }
    }

    /// A worker that fails again and again although its replacements became ready must not be replaced without end.
    fn pause_before_replacing(&mut self, old: &Generation, reason: Reason) -> Duration {
        let window = self.shared.app.restart.rapid_fail.window;
        if !reason.is_failure() || old.ready_since.elapsed() >= window {
            return Duration::ZERO;
        }
        self.failed(true)
    }

    fn see_off(&mut self, old: Box<Generation>, reason: Reason, detail: &str) {
        let farewell = Farewell {
            reason: format!("{reason}: {detail}"),
            finish: reason.lets_requests_finish(),
        };
        while self.farewells.try_join_next().is_some() {}
        // Not in the task: whoever asked for the replacement is told next, and may look at once.
        old.leave(&self.shared, &farewell.reason);
        self.farewells.spawn(old.see_off(Arc::clone(&self.shared), farewell, self.stop.clone()));
    }

    fn stop(&mut self, generation: Box<Generation>) -> State {
        let farewell = Farewell { reason: "asgate stops".to_owned(), finish: true };
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        generation.leave(&shared, &farewell.reason);
        self.farewells.spawn(generation.see_off(shared, farewell, stop));
        State::Stopped
    }

    /// A generation ended by itself.
    async fn ended(
        &mut self,
        generation: Box<Generation>,
        ended: &io::Result<ExitStatus>,
    ) -> State {
        let served = generation.ready_since.elapsed();
        let how = generation.bury(&self.shared, ended).await;
        log::warn!("Worker ended: upstream={} worker={} {how}", self.shared.name(), self.id);
        // Uvicorn ends with 0 when it was told to by somebody else, or has had its `limit_max_requests`.
        if ended.as_ref().is_ok_and(ExitStatus::success) && served >= SERVED_ENOUGH {
            return State::Due(Some(Reason::Exit), None);
        }
        match self.failed(true) {
            Duration::ZERO => State::Due(Some(Reason::Exit), None),
            pause => State::Waiting(Reason::Exit, pause, how),
        }
    }

    async fn wait(&mut self, reason: Reason, pause: Duration, why: String) -> State {
        let until = Instant::now() + pause;
        self.board.waiting(until, why);
        loop {
            let order = tokio::select! {
                () = stop_asked(&mut self.stop) => return State::Stopped,
                () = sleep_until(until) => return State::Due(Some(reason), None),
                Some(order) = self.orders.recv() => order,
            };
            match order {
                Order::Replace { reply, .. } => return State::Due(Some(reason), Some(reply)),
                Order::TakeOut(reply) | Order::PutBack(reply) => {
                    let _ = reply.send(Err("it has no process at the moment".to_owned()));
                }
            }
        }
    }

    /// Counts a failure of a worker that had been ready, or never was. Returns the pause before the next try.
    fn failed(&mut self, was_ready: bool) -> Duration {
        let mut guard = self.shared.guard.lock();
        if guard.note(Instant::now()) {
            self.shared.pool.expect_workers(false);
            log::error!(
                "Workers fail again and again, trying only every {}s from now on: upstream={}",
                self.shared.app.restart.max_backoff.as_secs_f64(),
                self.shared.name()
            );
        }
        let pause = self.backoff.pause(was_ready, fastrand::f64());
        match guard.is_tripped() {
            true => self.shared.app.restart.max_backoff,
            false => pause,
        }
    }

    /// Earlier failures are forgiven: it has served for long enough.
    fn forgive(&mut self) {
        self.backoff.reset();
        if self.shared.guard.lock().reset() {
            self.shared.pool.expect_workers(true);
            log::info!("Workers stay up again: upstream={}", self.shared.name());
        }
    }

    /// The first failure is handed to whoever waits for [`super::Supervisor::ready`]; later ones are logged.
    fn report(&mut self, error: StartError, pause: Duration) {
        match self.first_start.take() {
            // Nobody may be waiting for it.
            Some(first_start) => drop(first_start.send(Err(error))),
            None => log::error!(
                "Worker did not start, next try in {:.1}s: {error}",
                pause.as_secs_f64()
            ),
        }
    }
}

/// Waits for the end of a generation that may be gone already.
async fn ended(generation: Option<&mut Box<Generation>>) -> io::Result<ExitStatus> {
    match generation {
        Some(generation) => generation.ended().await,
        None => std::future::pending().await,
    }
}

fn take_out(generation: &Generation) -> Result<(), String> {
    if !generation.worker.mark(Mark::Drained, true) {
        return Err("it is out of rotation already".to_owned());
    }
    generation.happened(Event::TakenOut, "an operator took it out of rotation");
    Ok(())
}

fn put_back(generation: &Generation) -> Result<(), String> {
    if !generation.worker.mark(Mark::Drained, false) {
        return Err("it is in rotation already".to_owned());
    }
    generation.happened(Event::PutBack, "an operator put it back");
    Ok(())
}

fn answer(reply: Option<Reply>, outcome: Result<(), String>) {
    if let Some(reply) = reply {
        // Whoever asked may have gone.
        let _ = reply.send(outcome);
    }
}
