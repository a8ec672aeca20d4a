//! Slow start: a worker that joins others, or comes back to them, gets a growing share of its turns, so that its first
//! requests find caches and connection pools that have had time to fill.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A full share. Turns taken are counted in parts of it.
pub(super) const WHOLE: u32 = 100;
/// The share at the very beginning: enough to warm anything up.
const LEAST: u32 = 10;

/// The rise of one worker.
#[derive(Debug)]
pub(super) struct SlowStart {
    length: Duration,
    begun: Mutex<Option<Instant>>,
    /// Whether it may still go on, to be seen without the lock and the clock.
    rising: AtomicBool,
    /// Adds up the share of each turn; a turn is taken when a whole is full.
    credit: AtomicU32,
}

impl SlowStart {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            begun: Mutex::default(),
            rising: AtomicBool::new(false),
            credit: AtomicU32::new(WHOLE - LEAST),
        }
    }

    /// It begins at `now`, perhaps once more.
    pub(super) fn begin(&self, now: Instant) {
        *self.begun.lock() = Some(now);
        self.rising.store(true, Ordering::Relaxed);
    }

    /// Whether the share is still growing, as far as the last [`Self::look`] knew.
    pub(super) fn is_rising(&self) -> bool {
        self.rising.load(Ordering::Relaxed)
    }

    /// Notices that it is over.
    pub(super) fn look(&self, now: Instant) {
        let begun = self.begun.lock();
        if begun.is_none_or(|begun| now.saturating_duration_since(begun) >= self.length) {
            self.rising.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the worker takes this turn, or leaves it to another.
    pub(super) fn takes_turn(&self, now: Instant) -> bool {
        let share = self.share(now);
        let before = self.credit.fetch_add(share, Ordering::Relaxed);
        before / WHOLE != before.wrapping_add(share) / WHOLE
    }

    /// Parts of [`WHOLE`], growing evenly.
    pub(super) fn share(&self, now: Instant) -> u32 {
        let Some(begun) = *self.begun.lock() else {
            return WHOLE;
        };
        let age = now.saturating_duration_since(begun).as_secs_f64();
        let risen = (age / self.length.as_secs_f64()).clamp(0.0, 1.0) * f64::from(WHOLE - LEAST);
        // Between 0 and 90, so nothing is cut off but the fraction.
        LEAST + risen as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_of_100(start: &SlowStart, at: Instant) -> usize {
        (0..100).filter(|_| start.takes_turn(at)).count()
    }

    #[test]
    fn the_share_grows_evenly() {
        let start = SlowStart::new(Duration::from_secs(10));
        let since = Instant::now();
        assert!(!start.is_rising(), "it has not begun");
        assert_eq!(start.share(since), WHOLE, "and takes nothing away");
        start.begin(since);
        assert!(start.takes_turn(since), "the first turn is taken");
        for (seconds, expected) in [(0, 10), (5, 55), (10, 100), (60, 100)] {
            let at = since + Duration::from_secs(seconds);
            assert_eq!(taken_of_100(&start, at), expected, "after {seconds} s");
        }
        start.look(since + Duration::from_secs(9));
        assert!(start.is_rising(), "on its way");
        start.look(since + Duration::from_secs(10));
        assert!(!start.is_rising(), "there");
    }
}
