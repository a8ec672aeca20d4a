//! Looks after one ready generation: is its listener there, does it answer, what does it occupy, how old is it.
//!
//! Everything here is seen without opening a connection, but for the question to a worker that is silent.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use super::board::Board;
use super::generation::Generation;
use super::launch::Shared;
use super::lifecycle::Event;
use super::platform::{self, Group};
use super::reason::Reason;
use super::silence::{Silence, Step};
use crate::upstream::{Answer, Mark, Probe, ProbeError, Way, Worker, health};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the memory: each is a pass over all processes of the system.
const WEIGH_EVERY: Duration = Duration::from_secs(5);
/// A listener that is gone is looked for again before that is believed: its process may be about to end.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A limit on age is taken up to this much earlier, so that workers that were started together do not go together.
const AGE_JITTER: f64 = 0.1;

/// Whether something spoke against the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    Raised,
}

/// Why a generation is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reason: Reason,
    /// For people.
    pub(super) detail: String,
}

/// A question that may still be out.
type Question = JoinHandle<Result<Answer, ProbeError>>;

/// What is watched of one generation.
pub(super) struct Watch {
    shared: Arc<Shared>,
    board: Arc<Board>,
    generation: u64,
    worker: Arc<Worker>,
    group: Arc<Group>,
    accept_failed: Arc<Notify>,
    doubts: watch::Receiver<u64>,
    looks: Interval,
    weighed: Instant,
    oldest: Option<Instant>,
    silence: Option<Silence>,
    /// Questions that are out, one for each way.
    questions: [(Way, Option<Question>); 2],
    health: Health,
    /// Looks in a row that found too much memory.
    too_large: u32,
    /// No verdict before: a replacement has just failed.
    patient_until: Instant,
}

/// The news of the health checks.
struct Health {
    news: mpsc::UnboundedReceiver<Result<(), String>>,
    failure: Option<String>,
    checks: Option<AbortHandle>,
}

impl Drop for Health {
    fn drop(&mut self) {
        if let Some(checks) = &self.checks {
            checks.abort();
        }
    }
}

impl Watch {
    pub(super) fn new(shared: &Arc<Shared>, generation: &Generation) -> Self {
        let worker = Arc::clone(&generation.worker);
        let hang_timeout = shared.app.hang_timeout;
        let every = hang_timeout.map_or(LOOK_EVERY, |hang| LOOK_EVERY.min(hang / 8));
        let mut looks = interval(every.max(Duration::from_millis(50)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self {
            board: Arc::clone(&generation.board),
            generation: generation.id.generation,
            group: generation.running.process.group(),
            accept_failed: generation.running.tail.accept_failed(),
            doubts: worker.doubts(),
            looks,
            weighed: now,
            oldest: oldest(shared.app.recycle.max_age, now),
            silence: hang_timeout.map(|hang| Silence::new(hang, worker.heard(), now)),
            questions: [(Way::Kept, None), (Way::Fresh, None)],
            health: Health::check(shared, &worker),
            too_large: 0,
            patient_until: now,
            shared: Arc::clone(shared),
            worker,
        }
    }

    /// Keeps verdicts back for a while: a replacement has just failed.
    pub(super) fn wait(&mut self, pause: Duration) {
        self.patient_until = Instant::now() + pause;
    }

    /// Waits until the generation is to be replaced. Says so again and again as long as it is not. Cancel safe.
    pub(super) async fn verdict(&mut self) -> Verdict {
        loop {
            let verdict = tokio::select! {
                _ = self.looks.tick() => self.look().await,
                () = self.accept_failed.notified() => self.is_deaf(Doubt::Raised).await,
                Ok(()) = self.doubts.changed() => self.is_deaf(Doubt::Raised).await,
                Some(news) = self.health.news.recv() => {
                    self.health_changed(news);
                    None
                }
            };
            if let Some(verdict) = verdict.filter(|_| Instant::now() >= self.patient_until) {
                return verdict;
            }
        }
    }

    async fn look(&mut self) -> Option<Verdict> {
        let deaf = self.is_deaf(Doubt::None).await;
        self.weigh().await;
        let silent = self.look_at_silence();
        deaf.or(silent).or_else(|| self.unhealthy()).or_else(|| self.worn_out())
    }

    /// Whether nobody listens at its address any more.
    async fn is_deaf(&self, doubt: Doubt) -> Option<Verdict> {
        let verdict = || Verdict {
            reason: Reason::Deaf,
            detail: "its listener is gone, its process lives (CPython gh-93821)".to_owned(),
        };
        if self.worker.is_marked(Mark::Deaf) {
            return Some(verdict());
        }
        if self.is_listed(doubt).await {
            return None;
        }
        sleep(LOOK_AGAIN).await;
        if self.is_listed(doubt).await {
            return None;
        }
        self.worker.mark(Mark::Deaf, true);
        self.happened(Event::Deafened, &verdict().detail);
        Some(verdict())
    }

    /// The doubt decides where the system does not tell.
    async fn is_listed(&self, doubt: Doubt) -> bool {
        let address = self.worker.address().clone();
        let listed = tokio::task::spawn_blocking(move || platform::is_listed(&address)).await;
        listed.ok().flatten().unwrap_or(doubt == Doubt::None)
    }

    async fn weigh(&mut self) {
        if self.weighed.elapsed() < WEIGH_EVERY {
            return;
        }
        self.weighed = Instant::now();
        let bytes = self.board.weigh(self.generation, &self.group).await;
        let limit = self.shared.app.recycle.max_memory;
        let is_large = bytes.zip(limit).is_some_and(|(bytes, limit)| bytes > limit);
        self.too_large = if is_large { self.too_large.saturating_add(1) } else { 0 };
    }

    fn look_at_silence(&mut self) -> Option<Verdict> {
        let waiting = self.worker.in_flight() > 0;
        let heard = self.worker.heard();
        match self.silence.as_mut()?.look(Instant::now(), heard, waiting) {
            Step::Nothing => None,
            Step::Ask => {
                self.ask();
                None
            }
            Step::Doubt => {
                self.worker.mark(Mark::Silent, true);
                self.happened(Event::Doubted, "it does not answer");
                None
            }
            Step::Trust => {
                self.worker.mark(Mark::Silent, false);
                if !self.worker.is_marked(Mark::Unhealthy) {
                    self.happened(Event::Recovered, "it answers again");
                }
                None
            }
            Step::GiveUp => {
                let hang = self.shared.app.hang_timeout.unwrap_or_default();
                let detail = format!("nothing from it for {}s (hang_timeout)", hang.as_secs_f64());
                self.happened(Event::GivenUp, &detail);
                Some(Verdict { reason: Reason::Hung, detail })
            }
        }
    }

    /// Asks on both ways whether anybody is there. `OPTIONS *` is HTTP's no-op (RFC 9110 section 9.3.7): no route of
    /// the app takes it, so no handler and no thread of its pool has to.
    fn ask(&mut self) {
        let probe = Probe::new(Method::OPTIONS, "*", "hang-check");
        for (way, question) in &mut self.questions {
            // One that is still out is as good as a new one.
            if question.as_ref().is_none_or(JoinHandle::is_finished) {
                *question = Some(self.worker.ask(&probe, *way));
            }
        }
    }

    fn health_changed(&mut self, news: Result<(), String>) {
        match &news {
            Err(failure) => self.happened(Event::Doubted, &format!("health check: {failure}")),
            Ok(()) if !self.worker.is_marked(Mark::Silent) => {
                self.happened(Event::Recovered, "its health checks pass");
            }
            Ok(()) => {}
        }
        self.health.failure = news.err();
    }

    fn unhealthy(&self) -> Option<Verdict> {
        let failure = self.health.failure.as_ref()?;
        Some(Verdict { reason: Reason::Unhealthy, detail: format!("health check: {failure}") })
    }

    fn happened(&self, event: Event, reason: &str) {
        self.board.happened(self.generation, event, reason);
    }

    /// Whether a limit of `recycle` is reached.
    fn worn_out(&self) -> Option<Verdict> {
        let recycle = &self.shared.app.recycle;
        let worn = |reason, detail| Some(Verdict { reason, detail });
        if self.too_large >= 2
            && let Some(limit) = recycle.max_memory
        {
            return worn(Reason::Memory, format!("it occupies more than {limit} bytes"));
        }
        if let Some(limit) = recycle.max_requests
            && self.worker.requests() >= limit.get()
        {
            return worn(Reason::Requests, format!("it has had {limit} requests"));
        }
        if self.oldest.is_some_and(|oldest| Instant::now() >= oldest) {
            return worn(Reason::Age, "it has reached max_age".to_owned());
        }
        None
    }
}

impl Health {
    fn check(shared: &Arc<Shared>, worker: &Arc<Worker>) -> Self {
        let (teller, news) = mpsc::unbounded_channel();
        let checks = shared.health.clone().map(|settings| {
            let worker = Arc::clone(worker);
            let checks = async move {
                let tell = |news: Result<(), &health::Failure>| {
                    // Nobody listens any more: the generation is on its way out.
                    let _ = teller.send(news.map_err(ToString::to_string));
                };
                health::watch(worker, &settings, tell).await;
            };
            tokio::spawn(checks).abort_handle()
        });
        Self { news, failure: None, checks }
    }
}

fn oldest(max_age: Option<Duration>, now: Instant) -> Option<Instant> {
    let age = max_age?.mul_f64(1.0 - AGE_JITTER * fastrand::f64());
    now.checked_add(age)
}
