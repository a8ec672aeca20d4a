//! What operators ask of a keeper, and what it does about that.

use tokio::sync::oneshot;

use super::Keeper;
use crate::supervisor::generation::Generation;
use crate::supervisor::lifecycle::Event;
use crate::supervisor::reason::Reason;
use crate::supervisor::watch::Verdict;
use crate::upstream::Mark;

/// What an operator asks of a keeper. The answer is an error for people.
#[derive(Debug)]
pub(in crate::supervisor) enum Order {
    /// Put another generation in the place of this one, for `reason`.
    Replace { reason: Reason, detail: String, reply: Reply },
    /// Give it no more requests.
    TakeOut(Reply),
    /// Give it requests again.
    PutBack(Reply),
}

pub(in crate::supervisor) type Reply = oneshot::Sender<Result<(), String>>;

/// A replacement that somebody asked for.
pub(super) type Wish = (Verdict, Reply);

impl Keeper {
    /// Carries out an order, or puts it off until the worker is free for it.
    pub(super) fn obey_or_defer(&mut self, order: Order, generation: Option<&Generation>) {
        let (reply, outcome) = match order {
            Order::Replace { reason, detail, reply } => {
                self.deferred.push_back((Verdict { reason, detail }, reply));
                return;
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
    }
}

pub(super) fn take_out(generation: &Generation) {
    generation.worker.mark(Mark::Drained, true);
    generation.happened(Event::TakenOut, "an operator took it out of rotation");
}

fn put_back(generation: &Generation) {
    generation.worker.mark(Mark::Drained, false);
    generation.happened(Event::PutBack, "an operator put it back");
}

pub(super) fn answer(reply: Option<Reply>, outcome: Result<(), String>) {
    if let Some(reply) = reply {
        // Whoever asked may have gone.
        let _ = reply.send(outcome);
    }
}
