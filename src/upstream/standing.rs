//! What speaks against giving a worker requests, and how much.

use std::sync::atomic::{AtomicU8, Ordering};

/// Something that speaks against a worker. Several may do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// Its listener is gone while it serves the connections it has (CPython gh-93821): it can take no new connection.
    Deaf = 1,
    /// It has answered nothing for a while although it was asked.
    Silent = 1 << 1,
    /// Its health checks fail.
    Unhealthy = 1 << 2,
    /// An operator took it out of rotation.
    Drained = 1 << 3,
    /// Too many requests failed on it: it is left out for a while.
    Ejected = 1 << 4,
    /// Checks over new connections fail while those over kept ones pass.
    Shut = 1 << 5,
}

/// Who gets a request before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// Gets none.
    Never,
    /// Only when there is nobody else: it may still answer, and a refusal certainly does not.
    LastResort,
    /// On the connections that it has.
    Survivor,
    Full,
}

/// The marks of one worker. In one order with the queue, as slots are: who takes a mark away looks whether somebody waits
/// afterwards.
#[derive(Debug, Default)]
pub(super) struct Standing(AtomicU8);

impl Standing {
    /// Sets or takes away `mark`. Returns whether that changed anything.
    pub(super) fn set(&self, mark: Mark, on: bool) -> bool {
        let bit = mark as u8;
        let before = match on {
            true => self.0.fetch_or(bit, Ordering::SeqCst),
            false => self.0.fetch_and(!bit, Ordering::SeqCst),
        };
        (before & bit != 0) != on
    }

    pub(super) fn has(&self, mark: Mark) -> bool {
        self.0.load(Ordering::SeqCst) & mark as u8 != 0
    }

    /// `survivors`: whether there is a connection that needs no listener; asked only when that matters.
    pub(super) fn fitness(&self, survivors: impl FnOnce() -> bool) -> Fitness {
        if self.0.load(Ordering::SeqCst) == 0 {
            return Fitness::Full;
        }
        if self.has(Mark::Drained) {
            return Fitness::Never;
        }
        let any = |marks: &[Mark]| marks.iter().any(|&mark| self.has(mark));
        let takes_no_new = any(&[Mark::Deaf, Mark::Shut]);
        let is_doubtful = any(&[Mark::Silent, Mark::Unhealthy, Mark::Ejected]);
        match (takes_no_new, is_doubtful) {
            (true, _) if !survivors() => Fitness::Never,
            (true, false) => Fitness::Survivor,
            (_, true) => Fitness::LastResort,
            (false, false) => Fitness::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_decide_who_comes_first() {
        use Mark::{Deaf, Drained, Ejected, Shut, Silent, Unhealthy};
        let cases: &[(&[Mark], bool, Fitness)] = &[
            (&[], false, Fitness::Full),
            (&[Deaf], true, Fitness::Survivor),
            (&[Deaf], false, Fitness::Never),
            (&[Silent], false, Fitness::LastResort),
            (&[Unhealthy], true, Fitness::LastResort),
            (&[Deaf, Silent], true, Fitness::LastResort),
            (&[Ejected], true, Fitness::LastResort),
            (&[Shut], true, Fitness::Survivor),
            (&[Shut], false, Fitness::Never),
            (&[Drained], true, Fitness::Never),
            (&[Drained, Deaf, Silent], true, Fitness::Never),
        ];
        for (marks, survivors, expected) in cases {
            let standing = Standing::default();
            marks.iter().for_each(|&mark| assert!(standing.set(mark, true), "{mark:?} is news"));
            assert_eq!(standing.fitness(|| *survivors), *expected, "{marks:?} {survivors}");
        }
    }

    #[test]
    fn a_mark_that_is_there_is_no_news() {
        let standing = Standing::default();
        assert!(!standing.set(Mark::Deaf, false), "was not there");
        assert!(standing.set(Mark::Deaf, true) && !standing.set(Mark::Deaf, true), "once");
        assert!(standing.set(Mark::Deaf, false), "gone again");
        assert_eq!(standing.fitness(|| false), Fitness::Full, "nothing is left");
    }
}
