//! How slow a client may be on the whole: the average of what it sends or takes while it is waited for.
//!
//! A deadline between two reads lets a client live on a byte now and then, and hold its place with a worker for as long
//! as it likes. Only the time that was spent waiting for the client counts, so that a slow worker is not held against it.
//! Pure: time is measured by the caller.

use std::time::Duration;

/// Nothing is judged before so much time was spent waiting: a client may have a slow start.
const GRACE: Duration = Duration::from_secs(10);

/// The pace of one direction of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Bytes per second at least; `None`: as slow as it likes.
    rate: Option<u64>,
    waited: Duration,
}

impl Pace {
    /// At least `rate` bytes per second.
    pub fn new(rate: Option<u64>) -> Self {
        Self { rate, waited: Duration::ZERO }
    }

    /// The client was waited for so long.
    pub fn add(&mut self, waited: Duration) {
        self.waited = self.waited.saturating_add(waited);
    }

    /// How much longer it may be waited for when `bytes` have moved in all and no more do; `None`: for ever.
    pub fn left(&self, bytes: u64) -> Option<Duration> {
        let rate = self.rate?;
        let milliseconds = bytes.saturating_mul(1000).checked_div(rate)?;
        let earned = Duration::from_millis(milliseconds);
        Some(earned.max(GRACE).saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_wait_for_what_its_bytes_have_earned() {
        let second = Duration::from_secs(1);
        let cases = [
            // rate, waited, bytes, left
            (Some(100), 0, 0, Some(10), "the grace"),
            (Some(100), 9, 0, Some(1), "its end is near"),
            (Some(100), 10, 0, Some(0), "nothing in ten seconds"),
            (Some(100), 10, 999, Some(0), "a byte too few"),
            (Some(100), 10, 1_100, Some(1), "the pace, and a second more"),
            (Some(100), 3_600, 360_000, Some(0), "exactly the pace for an hour"),
            (Some(100), 20, 1_000_000, Some(9_980), "it was fast, and may rest"),
            (None, 1_000_000, 0, None, "off"),
        ];
        for (rate, waited, bytes, left, what) in cases {
            let mut pace = Pace::new(rate);
            pace.add(second * waited);
            assert_eq!(pace.left(bytes), left.map(|left| second * left), "{what}");
        }
    }

    #[test]
    fn numbers_do_not_run_over() {
        let mut pace = Pace::new(Some(1));
        pace.add(Duration::MAX);
        pace.add(Duration::MAX);
        assert_eq!(pace.left(u64::MAX), Some(Duration::ZERO), "waited for ever");
    }
}
