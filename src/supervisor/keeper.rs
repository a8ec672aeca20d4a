//! Keeps one worker: sees to it that a generation serves, and puts another in its place when there is a reason to.
//!
//! A keeper is a task that is always in one [`State`]. What a single generation goes through is in `lifecycle`; how
//! one takes the place of another, in `keeper::replace`; what operators ask of it, in `keeper::orders`.

mod orders;
mod replace;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, interval_at, sleep_until};

use super::WorkerId;
use super::board::Board;
use super::error::StartError;
use super::generation::{Farewell, Generation, NotUp, bring_up, stop_asked};
use super::launch::Shared;
use super::reason::Reason;
use super::restarts::{Backoff, Failure};
use super::watch::{Verdict, Watch};
pub(super) use orders::{Order, Reply};
use orders::{Wish, answer, take_out};
use replace::Replaced;

pub(super) struct Keeper {
    shared: Arc<Shared>,
    board: Arc<Board>,
    id: WorkerId,
    backoff: Backoff,
    /// An operator took the worker out of rotation; that holds for each generation of it.
    drained: bool,
    /// Taken when the first start has succeeded or failed.
    first_start: Option<mpsc::UnboundedSender<Result<(), StartError>>>,
    orders: mpsc::Receiver<Order>,
    /// Replacements that were asked for while another generation was on its way. That one was started before they were
    /// asked for, so it is not what they are about.
    deferred: VecDeque<Wish>,
    stop: watch::Receiver<bool>,
    /// Earlier generations that finish what they have.
    farewells: JoinSet<()>,
}

enum State {
    /// Nobody serves: start one now, in the place of one that went for this reason, and say how it went.
    Due(Option<Reason>, Option<Reply>),
    Serving(Incumbent),
    /// Nobody serves; to be started after a pause.
    Waiting(Reason, Duration, String),
    Stopped,
}

/// A generation that serves, and who looks after it.
struct Incumbent {
    generation: Box<Generation>,
    watch: Box<Watch>,
}

/// What becomes of an incumbent.
enum News {
    Ended(io::Result<ExitStatus>),
    /// It is to be replaced.
    Due(Verdict),
}

/// What ends the quiet of a worker that serves.
enum Happening {
    Stop,
    Of(News),
    Order(Order),
    /// It has served for one more window.
    Steady,
}

/// A generation on its way.
type Coming = Pin<Box<dyn Future<Output = Result<Box<Generation>, NotUp>> + Send>>;

// === impl Incumbent ===

impl Incumbent {
    /// Waits for what becomes of it. Cancel safe.
    async fn news(&mut self) -> News {
        tokio::select! {
            ended = self.generation.ended() => News::Ended(ended),
            verdict = self.watch.verdict() => News::Due(verdict),
        }
    }
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
            drained: false,
            first_start: Some(first_start),
            orders,
            deferred: VecDeque::new(),
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
                State::Serving(incumbent) => self.serve(incumbent).await,
                State::Waiting(reason, pause, why) => self.wait(reason, pause, why).await,
                State::Stopped => break,
            };
        }
        while self.farewells.join_next().await.is_some() {}
    }

    /// Starts a generation while none serves.
    async fn start(&mut self, reason: Option<Reason>, reply: Option<Reply>) -> State {
        let _arrival = self.shared.pool.announce();
        let mut coming = self.next_generation();
        let outcome = loop {
            tokio::select! {
                outcome = &mut coming => break outcome,
                Some(order) = self.orders.recv() => self.obey_or_defer(order, None),
            }
        };
        match outcome {
            Ok(generation) => {
                let incumbent = self.join(generation, reason);
                answer(reply, Ok(()));
                State::Serving(incumbent)
            }
            Err(NotUp::Stopped) => {
                answer(reply, Err("asgate stops".to_owned()));
                State::Stopped
            }
            Err(NotUp::Failed(error)) => {
                let headline = error.headline();
                let pause = self.failed(Failure::OfStart);
                self.report(error, pause);
                answer(reply, Err(headline.clone()));
                State::Waiting(reason.unwrap_or(Reason::Exit), pause, headline)
            }
        }
    }

    fn next_generation(&mut self) -> Coming {
        self.id.generation += 1;
        let (shared, board) = (Arc::clone(&self.shared), Arc::clone(&self.board));
        Box::pin(bring_up(shared, board, self.id, self.stop.clone()))
    }

    /// Puts a generation into rotation, in the place of the one before, unless an operator took the worker out.
    fn join(&mut self, generation: Box<Generation>, reason: Option<Reason>) -> Incumbent {
        if self.drained {
            take_out(&generation);
        }
        self.shared.pool.join(Arc::clone(&generation.worker));
        if let Some(reason) = reason {
            self.board.restarted(reason);
            self.shared.metrics.worker_restarted(reason.as_str());
        }
        if let Some(first_start) = self.first_start.take() {
            // Nobody may be waiting for it.
            let _ = first_start.send(Ok(()));
        }
        let watch = Box::new(Watch::new(&self.shared, &generation));
        Incumbent { generation, watch }
    }

    /// Looks after a generation until there is another, or none.
    async fn serve(&mut self, mut incumbent: Incumbent) -> State {
        let window = self.shared.app.restart.rapid_fail.window;
        let mut steady = interval_at(incumbent.generation.ready_since + window, window);
        loop {
            let (verdict, reply) = match self.deferred.pop_front() {
                Some((verdict, reply)) => (verdict, Some(reply)),
                None => match self.happening(&mut incumbent, &mut steady).await {
                    Happening::Stop => return self.stop(incumbent.generation),
                    Happening::Of(News::Ended(ended)) => {
                        return self.ended(incumbent.generation, &ended).await;
                    }
                    Happening::Of(News::Due(verdict)) => (verdict, None),
                    Happening::Steady => {
                        self.forgive();
                        continue;
                    }
                    Happening::Order(order) => {
                        self.obey_or_defer(order, Some(&incumbent.generation));
                        continue;
                    }
                },
            };
            match self.replace(incumbent, verdict, reply).await {
                Replaced::By(state) => return state,
                Replaced::Not(kept) => incumbent = kept,
            }
        }
    }

    /// Waits until something happens to a worker that serves.
    async fn happening(&mut self, incumbent: &mut Incumbent, steady: &mut Interval) -> Happening {
        tokio::select! {
            () = stop_asked(&mut self.stop) => Happening::Stop,
            news = incumbent.news() => Happening::Of(news),
            Some(order) = self.orders.recv() => Happening::Order(order),
            _ = steady.tick() => Happening::Steady,
        }
    }

    fn stop(&mut self, generation: Box<Generation>) -> State {
        let farewell = Farewell { reason: "asgate stops".to_owned(), finish: true };
        self.say_farewell(generation, farewell);
        State::Stopped
    }

    fn say_farewell(&mut self, generation: Box<Generation>, farewell: Farewell) {
        while self.farewells.try_join_next().is_some() {}
        // Not in the task: whoever asked for the replacement is told next, and may look at once.
        generation.leave(&self.shared, &farewell.reason);
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        self.farewells.spawn(generation.see_off(shared, farewell, stop));
    }

    /// A generation ended by itself.
    async fn ended(
        &mut self,
        generation: Box<Generation>,
        ended: &io::Result<ExitStatus>,
    ) -> State {
        let how = generation.bury(&self.shared, ended).await;
        log::warn!("Worker ended: upstream={} worker={} {how}", self.shared.name(), self.id);
        match self.failed(Failure::OfService) {
            Duration::ZERO => State::Due(Some(Reason::Exit), None),
            pause => State::Waiting(Reason::Exit, pause, how),
        }
    }

    async fn wait(&mut self, reason: Reason, pause: Duration, why: String) -> State {
        let _arrival = self.shared.pool.announce();
        let until = Instant::now() + pause;
        self.board.waiting(until, why);
        loop {
            if let Some((_, reply)) = self.deferred.pop_front() {
                return State::Due(Some(reason), Some(reply));
            }
            tokio::select! {
                () = stop_asked(&mut self.stop) => return State::Stopped,
                () = sleep_until(until) => return State::Due(Some(reason), None),
                Some(order) = self.orders.recv() => self.obey_or_defer(order, None),
            }
        }
    }

    /// Counts a failure. Returns the pause before the next try.
    fn failed(&mut self, failure: Failure) -> Duration {
        let mut guard = self.shared.guard.lock();
        let restart = &self.shared.app.restart;
        if guard.note(Instant::now()) {
            self.shared.pool.give_up_hope();
            log::error!(
                "Workers fail again and again, trying each only every {}s from now on: upstream={}",
                restart.max_backoff.as_secs_f64(),
                self.shared.name()
            );
        }
        let pause = self.backoff.pause(failure, fastrand::f64());
        match guard.is_tripped() {
            true => pause.max(self.backoff.longest(fastrand::f64())),
            false => pause,
        }
    }

    /// It has served for a window: earlier failures of its own are forgiven, and those of all when none has failed since.
    fn forgive(&mut self) {
        self.backoff.reset();
        if self.shared.guard.lock().calm_down(Instant::now()) {
            self.shared.pool.raise_hope();
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
