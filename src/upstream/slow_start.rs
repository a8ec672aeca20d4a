//! Slow start: a worker that joins others gets a growing share of its turns, so that its first requests find caches and
//! connection pools that have had time to fill.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A full share. Turns taken are counted in parts of it.
const WHOLE: u32 = 100;
/// The share at the very beginning: enough to warm anything up.
const LEAST: u32 = 10;

/// The rise of one worker.
#[derive(Debug)]
pub(super) struct SlowStart {
    /// Set when the worker joins.
    since: OnceLock<Instant>,
    length: Duration,
    /// Adds up the share of each turn; a turn is taken when a whole is full.
    credit: AtomicU32,
}

impl SlowStart {
    pub(super) fn new(length: Duration) -> Self {
        Self { since: OnceLock::new(), length, credit: AtomicU32::new(WHOLE - LEAST) }
    }

    /// The worker joins now.
    pub(super) fn begin(&self) {
        self.since.get_or_init(Instant::now);
    }

    fn age(&self, now: Instant) -> Duration {
        self.since.get().map_or(Duration::ZERO, |since| now.saturating_duration_since(*since))
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.age(now) >= self.length
    }

    /// Whether the worker takes this turn, or leaves it to another.
    pub(super) fn takes_turn(&self, now: Instant) -> bool {
        let share = self.share(now);
        let before = self.credit.fetch_add(share, Ordering::Relaxed);
        before / WHOLE != before.wrapping_add(share) / WHOLE
    }

    /// Parts of [`WHOLE`], growing evenly.
    fn share(&self, now: Instant) -> u32 {
        let age = self.age(now).as_secs_f64();
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
        let long_before = Instant::now();
        assert!(!start.is_over(long_before + Duration::from_secs(60)), "it has not begun");
        start.begin();
        let since = *start.since.get().expect("it has begun");
        assert!(start.takes_turn(since), "the first turn is taken");
        for (seconds, expected) in [(0, 10), (5, 55), (10, 100), (60, 100)] {
            let at = since + Duration::from_secs(seconds);
            assert_eq!(taken_of_100(&start, at), expected, "after {seconds} s");
        }
        assert!(!start.is_over(since + Duration::from_secs(9)), "on its way");
        assert!(start.is_over(since + Duration::from_secs(10)), "there");
    }
}
