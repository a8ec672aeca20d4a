//! The slots of one worker: so many requests at a time, counted without a lock.
//!
//! Two promises are kept by the order in which things are counted and looked at. Nobody slips past a drain: a request
//! takes its slot and then looks whether the slots were closed, whoever drains closes them and then looks whether any is
//! taken. And nobody waits beside a free slot; for that see [`super::queue`]. `tests/model` tries many orders.

use super::sync::{AtomicBool, AtomicUsize, Ordering};

/// The slots of one worker.
#[derive(Debug)]
pub struct Slots {
    most: usize,
    taken: AtomicUsize,
    closed: AtomicBool,
}

/// What became of an attempt to take a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is to be given back.
    Slot,
    /// All are taken.
    Full,
    /// There are none any more.
    Closed,
}

/// What is left after a slot was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Some,
    /// They are closed, and this was the last that was taken.
    Empty,
}

impl Slots {
    /// As many as `most`.
    pub fn new(most: usize) -> Self {
        Self { most, taken: AtomicUsize::new(0), closed: AtomicBool::new(false) }
    }

    /// Takes one. After [`Taken::Closed`] nobody may be left, as after [`Self::give_back`].
    pub fn take(&self) -> Taken {
        let room = |taken| (taken < self.most).then_some(taken + 1);
        if self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).is_err() {
            return Taken::Full;
        }
        if self.is_closed() {
            self.taken.fetch_sub(1, Ordering::SeqCst);
            return Taken::Closed;
        }
        Taken::Slot
    }

    /// Gives one back that was taken.
    pub fn give_back(&self) -> Left {
        let before = self.taken.fetch_sub(1, Ordering::SeqCst);
        if before == 1 && self.is_closed() { Left::Empty } else { Left::Some }
    }

    /// From now on none is given out.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether one could be taken now.
    pub fn has_room(&self) -> bool {
        self.taken() < self.most
    }
}
