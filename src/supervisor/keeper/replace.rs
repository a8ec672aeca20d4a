//! One generation in the place of another, which serves until then and is looked after meanwhile.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::orders::{Reply, answer};
use super::{Coming, Incumbent, Keeper, News, State};
use crate::supervisor::error::StartError;
use crate::supervisor::generation::{Farewell, Generation, NotUp, stop_asked};
use crate::supervisor::reason::Reason;
use crate::supervisor::restarts::Failure;
use crate::supervisor::watch::Verdict;
use crate::upstream::Mark;

/// How a replacement went.
pub(super) enum Replaced {
    By(State),
    /// It failed: the old one stays.
    Not(Incumbent),
}

impl Incumbent {
    /// Whether its requests may still be answered, whatever it is replaced for.
    fn may_finish(&self, hung: bool) -> bool {
        // It may have spoken again since it was given up.
        !(hung && self.generation.worker.is_marked(Mark::Silent))
    }
}

impl Keeper {
    /// Brings another generation up while this one serves, then puts it in its place.
    pub(super) async fn replace(
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
                    self.obey_or_defer(order, generation);
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
}

/// Waits for news of a generation that may be gone already.
async fn news_of(incumbent: Option<&mut Incumbent>) -> News {
    match incumbent {
        Some(incumbent) => incumbent.news().await,
        None => std::future::pending().await,
    }
}
