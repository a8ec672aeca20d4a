//! Keeps one worker: sees to it that a generation serves, and puts another in its place when there is a reason to.
//!
//! A keeper is a task that is always in one [`State`]. What a single generation goes through is in `lifecycle`.

use std::io;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep, sleep_until};

use super::WorkerId;
use super::board::Board;
use super::error::StartError;
use super::generation::{Farewell, Generation, NotUp, bring_up, stop_asked};
use super::launch::Shared;
use super::lifecycle::Event;
use super::reason::Reason;
use super::restarts::{Backoff, Failure};
use super::watch::{Verdict, Watch};
use crate::upstream::Mark;

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
    /// An operator took the worker out of rotation; that holds for each generation of it.
    drained: bool,
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

/// How a replacement went.
enum Replaced {
    By(State),
    /// It failed: the old one stays.
    Not(Incumbent),
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

    /// Whether its requests may still be answered, whatever it is replaced for.
    fn may_finish(&self, hung: bool) -> bool {
        // It may have spoken again since it was given up.
        !(hung && self.generation.worker.is_marked(Mark::Silent))
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
                Some(order) = self.orders.recv() => {
                    self.refuse_replacing(order, None, "it is being started already");
                }
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
            let happening = tokio::select! {
                () = stop_asked(&mut self.stop) => Happening::Stop,
                news = incumbent.news() => Happening::Of(news),
                Some(order) = self.orders.recv() => Happening::Order(order),
                _ = steady.tick() => Happening::Steady,
            };
            let (verdict, reply) = match happening {
                Happening::Stop => return self.stop(incumbent.generation),
                Happening::Of(News::Ended(ended)) => {
                    return self.ended(incumbent.generation, &ended).await;
                }
                Happening::Of(News::Due(verdict)) => (verdict, None),
                Happening::Steady => {
                    self.forgive();
                    continue;
                }
                Happening::Order(order) => match self.obey(order, Some(&incumbent.generation)) {
                    Some((verdict, reply)) => (verdict, Some(reply)),
                    None => continue,
                },
            };
            match self.replace(incumbent, verdict, reply).await {
                Replaced::By(state) => return state,
                Replaced::Not(kept) => incumbent = kept,
            }
        }
    }

    /// Brings another generation up while this one serves, then puts it in its place.
    async fn replace(
        &mut self,
        incumbent: Incumbent,
        verdict: Verdict,
        reply: Option<Reply>,
    ) -> Replaced {
        log::info!(
            "Replacing worker: upstream={} worker={} generation={} reason={} {:?}",
            self.shared.name(),
            self.id,
            incumbent.generation.id.generation,
            verdict.reason,
            verdict.detail
        );
        let _arrival = self.shared.pool.announce();
        let hurry = Arc::new(Notify::new());
        let pause = self.pause_before_replacing(&incumbent.generation, &verdict);
        let mut coming = self.successor(verdict.reason, pause, &hurry);
        let mut hung = verdict.reason == Reason::Hung;
        let mut old = Some(incumbent);
        let outcome = loop {
            tokio::select! {
                outcome = &mut coming => break outcome,
                news = news_of(old.as_mut()) => match news {
                    News::Ended(ended) => {
                        self.bury(old.take(), &ended).await;
                        hurry.notify_one();
                    }
                    News::Due(worse) => {
                        hung |= worse.reason == Reason::Hung;
                        if worse.reason.is_failure() && !verdict.reason.is_failure() {
                            hurry.notify_one();
                        }
                    }
                },
                Some(order) = self.orders.recv() => {
                    let generation = old.as_ref().map(|old| &*old.generation);
                    self.refuse_replacing(order, generation, "it is being replaced already");
                }
            }
        };
        match outcome {
            Ok(generation) => {
                let incumbent = self.join(generation, Some(verdict.reason));
                if let Some(old) = old {
                    self.see_off(old, &verdict, hung);
                }
                answer(reply, Ok(()));
                Replaced::By(State::Serving(incumbent))
            }
            Err(NotUp::Stopped) => {
                answer(reply, Err("asgate stops".to_owned()));
                Replaced::By(old.map_or(State::Stopped, |old| self.stop(old.generation)))
            }
            Err(NotUp::Failed(error)) => self.not_replaced(old, verdict.reason, error, reply),
        }
    }

    /// The next generation, after a pause and in its turn, or at once when there is a reason to hurry.
    fn successor(&mut self, reason: Reason, pause: Duration, hurry: &Arc<Notify>) -> Coming {
        let (shared, hurry) = (Arc::clone(&self.shared), Arc::clone(hurry));
        let mut stop = self.stop.clone();
        let starting = self.next_generation();
        Box::pin(async move {
            let unhurried = async {
                sleep(pause).await;
                // Memory and processors for one more process, not for one more of each worker.
                match reason.can_wait() {
                    true => shared.turn.acquire().await.ok(),
                    false => None,
                }
            };
            let _turn = tokio::select! {
                turn = unhurried => turn,
                () = hurry.notified() => None,
                // The start sees it too, and says so.
                () = stop_asked(&mut stop) => None,
            };
            starting.await
        })
    }

    /// No replacement became ready: the old one stays, if there still is one.
    fn not_replaced(
        &mut self,
        old: Option<Incumbent>,
        reason: Reason,
        error: StartError,
        reply: Option<Reply>,
    ) -> Replaced {
        let headline = error.headline();
        // Who asks for a roll hears of it; the workers that are there have not failed.
        let pause = match (&old, reason) {
            (Some(_), Reason::Restart | Reason::FileChange) => Duration::ZERO,
            _ => self.failed(Failure::OfStart),
        };
        self.report(error, pause);
        answer(reply, Err(headline.clone()));
        match old {
            Some(mut old) => {
                old.watch.wait(pause);
                Replaced::Not(old)
            }
            None => Replaced::By(State::Waiting(Reason::Exit, pause, headline)),
        }
    }

    /// A worker that was replaced a short while ago must not be replaced again and again without end.
    fn pause_before_replacing(&mut self, old: &Generation, verdict: &Verdict) -> Duration {
        let window = self.shared.app.restart.rapid_fail.window;
        match verdict.reason {
            Reason::Restart | Reason::FileChange => Duration::ZERO,
            _ if old.ready_since.elapsed() >= window => Duration::ZERO,
            reason if reason.is_failure() => self.failed(Failure::OfService),
            reason => {
                log::warn!(
                    "Worker is to be replaced soon after its start: upstream={} worker={} reason={reason} {:?}",
                    self.shared.name(),
                    self.id,
                    verdict.detail
                );
                self.backoff.pause(Failure::OfService, fastrand::f64())
            }
        }
    }

    fn see_off(&mut self, old: Incumbent, verdict: &Verdict, hung: bool) {
        let finish = old.may_finish(hung);
        let reason = format!("{}: {}", verdict.reason, verdict.detail);
        self.say_farewell(old.generation, Farewell { reason, finish });
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

    /// A generation ended by itself while its replacement is on its way.
    async fn bury(&mut self, old: Option<Incumbent>, ended: &io::Result<ExitStatus>) {
        let Some(old) = old else {
            return;
        };
        let how = old.generation.bury(&self.shared, ended).await;
        log::warn!(
            "Worker ended before its replacement was ready: upstream={} worker={} {how}",
            self.shared.name(),
            self.id
        );
    }

    async fn wait(&mut self, reason: Reason, pause: Duration, why: String) -> State {
        let _arrival = self.shared.pool.announce();
        let until = Instant::now() + pause;
        self.board.waiting(until, why);
        loop {
            let order = tokio::select! {
                () = stop_asked(&mut self.stop) => return State::Stopped,
                () = sleep_until(until) => return State::Due(Some(reason), None),
                Some(order) = self.orders.recv() => order,
            };
            if let Some((_, reply)) = self.obey(order, None) {
                return State::Due(Some(reason), Some(reply));
            }
        }
    }

    /// Carries out an order that needs no replacement; returns what is asked for otherwise.
    fn obey(&mut self, order: Order, generation: Option<&Generation>) -> Option<(Verdict, Reply)> {
        let (reply, outcome) = match order {
            Order::Replace { reason, detail, reply } => {
                return Some((Verdict { reason, detail }, reply));
            }
            Order::TakeOut(reply) if self.drained => {
                (reply, Err("it is out of rotation already".to_owned()))
            }
            Order::PutBack(reply) if !self.drained => {
                (reply, Err("it is in rotation already".to_owned()))
            }
            Order::TakeOut(reply) => {
                self.drained = true;
                generation.into_iter().for_each(take_out);
                (reply, Ok(()))
            }
            Order::PutBack(reply) => {
                self.drained = false;
                generation.into_iter().for_each(put_back);
                (reply, Ok(()))
            }
        };
        answer(Some(reply), outcome);
        None
    }

    /// Carries out an order while another generation is on its way already.
    fn refuse_replacing(&mut self, order: Order, generation: Option<&Generation>, why: &str) {
        if let Some((_, reply)) = self.obey(order, generation) {
            answer(Some(reply), Err(why.to_owned()));
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
            true => pause.max(restart.max_backoff.mul_f64(0.5 + fastrand::f64() / 2.0)),
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

/// Waits for news of a generation that may be gone already.
async fn news_of(incumbent: Option<&mut Incumbent>) -> News {
    match incumbent {
        Some(incumbent) => incumbent.news().await,
        None => std::future::pending().await,
    }
}

fn take_out(generation: &Generation) {
    generation.worker.mark(Mark::Drained, true);
    generation.happened(Event::TakenOut, "an operator took it out of rotation");
}

fn put_back(generation: &Generation) {
    generation.worker.mark(Mark::Drained, false);
    generation.happened(Event::PutBack, "an operator put it back");
}

fn answer(reply: Option<Reply>, outcome: Result<(), String>) {
    if let Some(reply) = reply {
        // Whoever asked may have gone.
        let _ = reply.send(outcome);
    }
}
