//! How slow a client may be on the whole: what it sends or takes earns it time to be waited for.
//!
//! A deadline between two reads lets a client live on a byte now and then, and hold its place with a worker for as long
//! as it likes. Only the time that was spent waiting for the client counts, so that a slow worker is not held against it.
//! Pure: time is measured by the caller.

use std::time::Duration;

/// What it can save up: much at once is no leave to do nothing for hours.
const MOST: Duration = Duration::from_secs(60);

/// The pace of one direction of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Bytes per second at least; `None`: as slow as it likes.
    rate: Option<u64>,
    left: Duration,
}

impl Pace {
    /// At least `rate` bytes per second, from now on. `grace`: what the client may be waited for before it has earned
    /// anything.
    pub fn new(rate: Option<u64>, grace: Duration) -> Self {
        Self { rate, left: grace }
    }

    /// So many bytes were sent, or taken.
    pub fn earn(&mut self, bytes: u64) {
        let nanoseconds = |rate| (u128::from(bytes) * 1_000_000_000).checked_div(u128::from(rate));
        let earned = self.rate.and_then(nanoseconds).unwrap_or_default();
        let earned = Duration::from_nanos(u64::try_from(earned).unwrap_or(u64::MAX));
        self.left = self.left.saturating_add(earned).min(MOST);
    }

    /// The client was waited for so long.
    pub fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    /// How much longer it may be waited for if nothing comes; `None`: for ever.
    pub fn left(&self) -> Option<Duration> {
        self.rate.map(|_| self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    /// A client that is waited for `seconds` seconds, and moves so many bytes in each: how long it lasts.
    fn lasts(rate: Option<u64>, first: u64, each: u64, seconds: u64) -> u64 {
        let mut pace = Pace::new(rate, GRACE);
        pace.earn(first);
        for second in 1..seconds {
            pace.spend(Duration::from_secs(1));
            if pace.left() == Some(Duration::ZERO) {
                return second;
            }
            pace.earn(each);
        }
        seconds
    }

    #[test]
    fn a_client_is_waited_for_as_long_as_its_bytes_allow() {
        let cases = [
            (Some(100), 0, 0, 10, "nothing: the grace"),
            (Some(100), 0, 1, 11, "a byte now and then earns next to nothing"),
            (Some(100), 0, 90, 91, "a little too slow: for a while"),
            (Some(100), 0, 100, 3_600, "the pace, for ever"),
            (Some(100), 0, 101, 3_600, "faster"),
            (Some(100), 1_000, 0, 20, "what it sent before"),
            (Some(100), 1_000_000_000, 0, 60, "of which no more than a minute counts"),
            (None, 0, 0, 3_600, "off"),
        ];
        for (rate, first, each, expected, what) in cases {
            assert_eq!(lasts(rate, first, each, 3_600), expected, "{what}");
        }
    }

    #[test]
    fn small_pieces_earn_their_part() {
        let mut pace = Pace::new(Some(2_000_000), GRACE);
        pace.spend(GRACE);
        (0..1_000).for_each(|_| pace.earn(1_400));
        assert_eq!(pace.left(), Some(Duration::from_millis(700)), "1.4 MB at 2 MB a second");
    }

    #[test]
    fn numbers_do_not_run_over() {
        let mut pace = Pace::new(Some(1), GRACE);
        pace.earn(u64::MAX);
        pace.earn(u64::MAX);
        assert_eq!(pace.left(), Some(MOST), "the most");
        pace.spend(Duration::MAX);
        assert_eq!(pace.left(), Some(Duration::ZERO), "nothing is left");
    }
}
