//! Requests: what they ask for, where they wait, how they end.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;

use crate::upstream::{Check, End, NoWorker, Slot, Unavailable, Upstream, Wish};

use super::super::events::{Asked, NAMES, Then};
use super::super::model::{self, Offer};
use super::{Look, Member, Request, World, draw, poll_now};

impl<'u> World<'u> {
    /// What `asked` means among the workers that there are: to the upstream and to the model.
    fn wishes(&self, asked: &Asked) -> (Wish, model::Wish) {
        let drawn = |index: &Index| self.draw_worker(index);
        let wish = model::Wish {
            key: asked.key,
            belongs_to: asked.belongs_to.as_ref().map(|name| NAMES[name.index(NAMES.len())]),
            tried: asked.tried.iter().filter_map(drawn).collect(),
            avoided: asked.avoided.as_ref().and_then(drawn),
        };
        let worker = |&worker: &usize| Arc::clone(&self.workers[worker].worker);
        let same = Wish {
            key: wish.key.map(|key| [key].into()),
            belongs_to: wish.belongs_to.map(Arc::from),
            tried: wish.tried.iter().map(worker).collect(),
            avoided: wish.avoided.as_ref().map(worker),
            ..Wish::default()
        };
        (same, wish)
    }

    pub(super) fn acquire(&mut self, asked: &Asked) -> TestCaseResult {
        let (wish, same) = self.wishes(asked);
        let offer = if self.model.is_barred() { Offer::Full } else { self.model.offer(&same) };
        let found = self.upstream.acquire(&wish);
        self.check(found, &offer)
    }

    pub(super) fn acquire_again(&mut self, asked: &Asked) -> TestCaseResult {
        let (wish, same) = self.wishes(asked);
        let offer = self.model.offer(&same);
        let has_another = matches!(offer, Offer::AnyOf(_));
        prop_assert_eq!(self.upstream.has_another(&wish), has_another, "another: {:?}", offer);
        let found = self.upstream.acquire_again(&wish);
        self.check(found, &offer)
    }

    fn check(&mut self, found: Result<Slot, Unavailable>, offer: &Offer) -> TestCaseResult {
        match (found, offer) {
            (Ok(slot), offer) => self.begin(slot, offer)?,
            (Err(Unavailable::Full), Offer::Full) | (Err(Unavailable::Nobody), Offer::Nobody) => {}
            (Err(other), offer) => prop_assert!(false, "{:?} for {:?}", other, offer),
        }
        Ok(())
    }

    /// A request has got `slot`, which is to be one that was offered.
    fn begin(&mut self, slot: Slot, offer: &Offer) -> TestCaseResult {
        let is_its = |member: &Member| Arc::ptr_eq(&member.worker, slot.worker());
        let worker = self.workers.iter().position(is_its).expect("one of them");
        let is_offered = matches!(offer, Offer::AnyOf(workers) if workers.contains(&worker));
        prop_assert!(is_offered, "a slot on worker {} for {:?}", worker, offer);
        self.model.workers[worker].taken += 1;
        self.served.push(Request { slot, worker, connection: None });
        Ok(())
    }

    pub(super) fn wait(&mut self, asked: &Asked, end: End) -> TestCaseResult {
        let (wish, same) = self.wishes(asked);
        let upstream: &'u Arc<Upstream> = self.upstream;
        let waiting = upstream.wait(&wish, end);
        self.waited += 1;
        let has_place = self.model.wait(self.waited, same, end);
        prop_assert_eq!(waiting.is_some(), has_place, "whether there is a place in line");
        let Some(waiting) = waiting else { return Ok(()) };
        self.waiting.push((self.waited, waiting));
        self.serve(Look::There)
    }

    pub(super) fn give_up(&mut self, waiter: &Index) -> TestCaseResult {
        let Some(waiter) = draw(waiter, self.waiting.len()) else { return Ok(()) };
        // Gone at the end of this line.
        let (number, _) = self.waiting.swap_remove(waiter);
        self.model.leave_line(number);
        Ok(())
    }

    pub(super) fn forgive(&mut self, waiter: &Index) -> TestCaseResult {
        let Some(waiter) = draw(waiter, self.waiting.len()) else { return Ok(()) };
        let (number, waiting) = &self.waiting[waiter];
        self.model.forgive(*number);
        self.upstream.forgive(waiting);
        self.serve(Look::Everywhere)
    }

    pub(super) fn finish(&mut self, request: usize, then: Then, check: Check) -> TestCaseResult {
        let Request { slot, worker, connection } = self.served.swap_remove(request);
        if let Some((connection, number)) = connection {
            self.put_away(&slot, connection, number, then, check);
        }
        drop(slot);
        self.model.workers[worker].taken -= 1;
        self.serve(Look::There)
    }

    /// The slot goes to one that leaves without a look at it, and from there to the next.
    pub(super) fn finish_unseen(&mut self, request: &Index) -> TestCaseResult {
        let Some(request) = draw(request, self.served.len()) else { return Ok(()) };
        let first = self.model.line.first().map(|(number, _)| *number);
        let leaver = self.waiting.iter().position(|(number, _)| Some(*number) == first);
        // Otherwise there may be more than this slot to be had, and no telling which one is not seen.
        let (Some(leaver), true) = (leaver, self.is_settled) else { return Ok(()) };
        let Request { slot, worker, connection } = self.served.swap_remove(request);
        if let Some((connection, number)) = connection {
            self.put_away(&slot, connection, number, Then::Close, Check::Notes);
        }
        drop(slot);
        self.model.workers[worker].taken -= 1;
        let (number, _) = self.waiting.swap_remove(leaver);
        self.model.leave_line(number);
        self.serve(Look::There)
    }

    /// The upstream has looked at those who wait: in their order they have what there is, and
    /// nobody is left to wait for it.
    pub(super) fn serve(&mut self, look: Look) -> TestCaseResult {
        self.is_settled |= look == Look::Everywhere;
        // One that finds nobody may be told so late, when another before it waits for any worker.
        let mut may_be_late = self.model.hope;
        for (number, wish) in self.model.line.clone() {
            let place = self.waiting.iter().position(|(other, _)| *other == number);
            let place = place.expect("it waits");
            let answer = poll_now(std::pin::pin!(self.waiting[place].1.answer()));
            match (answer.flatten(), self.model.offer(&wish)) {
                (Some(Ok(slot)), offer) => self.begin(slot, &offer)?,
                (Some(Err(NoWorker)), Offer::Nobody) if !self.model.hope => {}
                (None, Offer::Nobody) if may_be_late => continue,
                (None, Offer::Full) => {
                    may_be_late |= !wish.is_choosy();
                    continue;
                }
                (None, _) if !self.is_settled => continue,
                (Some(Err(NoWorker)), offer) => {
                    prop_assert!(false, "request {} was sent away: {:?}", number, offer);
                }
                (None, offer) => {
                    prop_assert!(false, "request {} waits beside {:?}: {:?}", number, offer, wish);
                }
            }
            self.waiting.swap_remove(place);
            self.model.leave_line(number);
        }
        Ok(())
    }
}
