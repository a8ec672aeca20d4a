//! Whose turn it is: a slot at once, or a place in line.
//!
//! Which worker it is, is for `members` to say; how nobody is forgotten in line, for `queue`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Upstream;
use super::queue::{self, End, Turn, Wish as _};
use super::slot::Slot;
use super::wish::Wish;
use super::worker::Worker;

/// A request's place in an upstream's queue; given up when dropped.
pub type Waiting<'u> = queue::Waiting<'u, Wish, Result<Slot, NoWorker>>;

/// There is no worker, and none is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoWorker;

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// All slots are taken, or others wait for one already.
    Full,
    /// No worker would take the request.
    Nobody,
}

impl Upstream {
    /// A slot on the worker whose turn it is.
    ///
    /// # Errors
    /// [`Unavailable`]: whoever has the time may [`Self::wait`].
    pub fn acquire(self: &Arc<Self>, wish: &Wish) -> Result<Slot, Unavailable> {
        self.retries.deposit();
        if self.queue.is_barred() {
            return Err(Unavailable::Full);
        }
        self.acquire_again(wish)
    }

    /// As [`Self::acquire`], for a request whose turn it is whoever waits: another attempt, or the one that is served.
    ///
    /// # Errors
    /// As [`Self::acquire`].
    pub fn acquire_again(self: &Arc<Self>, wish: &Wish) -> Result<Slot, Unavailable> {
        loop {
            let members = self.members.load();
            // One that was retired since is not among the members any more, and one that is full since is not chosen
            // again.
            if let Some(slot) = members.choose(wish, self.in_flight())?.acquire(self) {
                return Ok(slot);
            }
        }
    }

    /// Whether a request may get a slot somewhere by and by.
    pub fn may_serve(&self, wish: &Wish) -> bool {
        let members = self.members.load();
        let has_nobody =
            || members.choose(wish, self.in_flight()).err() == Some(Unavailable::Nobody);
        self.is_hopeful() || !has_nobody()
    }

    /// Whether there is another worker for an attempt that follows one of `wish`.
    pub fn has_another(&self, wish: &Wish) -> bool {
        let members = self.members.load();
        members.choose(wish, self.in_flight()).is_ok()
    }

    /// Whether a request that finds no worker may wait for one.
    pub fn is_hopeful(&self) -> bool {
        self.expectation.is_set()
    }

    /// How long a request may wait.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Requests that wait now, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.size())
    }

    /// Gets in line for a slot; `None` when there is no place in it.
    pub fn wait(self: &Arc<Self>, wish: &Wish, end: End) -> Option<Waiting<'_>> {
        let waits_for_own = self.members.load().own(wish).is_some();
        let waiting = self.queue.enter(Wish { waits_for_own, ..wish.clone() }, end)?;
        // A slot may have become free since, or the worker have gone.
        if waits_for_own {
            self.pour();
        }
        self.queue.serve_at(wish.belongs_to.as_ref(), self.turns());
        Some(waiting)
    }

    /// Whoever waits with this takes any worker from now on, those too that were tried before.
    pub fn forgive(self: &Arc<Self>, waiting: &Waiting<'_>) {
        waiting.amend(|wish| wish.tried.clear());
        self.serve_queue();
    }

    /// Gives the slots that are free to those who wait, the first in line first.
    pub(super) fn serve_queue(self: &Arc<Self>) {
        if !self.queue.is_empty() {
            self.pour();
            self.queue.serve_all(self.turns());
        }
    }

    /// Lets those who wait for a worker that is not to be had take any.
    fn pour(&self) {
        let members = self.members.load();
        self.queue.pour(|name| !members.can_serve_its_own(name));
    }

    /// Whether those who come now have to get in line.
    pub fn is_barred(&self) -> bool {
        self.queue.is_barred()
    }

    /// What there is for each of those who wait, asked one after the other.
    fn turns(self: &Arc<Self>) -> impl FnMut(&Wish) -> Turn<Result<Slot, NoWorker>> {
        let mut only_choosy = false;
        move |wish| {
            if only_choosy && !wish.is_choosy() {
                return Turn::Skip;
            }
            match self.acquire_again(wish) {
                Ok(slot) => Turn::Serve(Ok(slot)),
                Err(Unavailable::Nobody) if !self.is_hopeful() => Turn::Serve(Err(NoWorker)),
                Err(_) if wish.is_choosy() => Turn::Skip,
                // Who may take any worker waits for the best of them. One behind it may have to be content with another.
                Err(_) if self.queue.has_choosy() && self.members.load().has_room() => {
                    only_choosy = true;
                    Turn::Skip
                }
                Err(_) => Turn::Stop,
            }
        }
    }

    /// Requests on all workers; 0 where choosing does not need that.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn note_begin(&self) {
        if let Some(count) = &self.in_flight {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request of `worker` has ended and given its slot back.
    pub(super) fn note_end(self: &Arc<Self>, worker: &Worker) {
        if let Some(count) = &self.in_flight {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.queue.is_empty() {
            self.queue.serve_at(Some(&worker.identity().name), self.turns());
        }
    }
}
