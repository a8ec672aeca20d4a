//! When a worker that failed is tried again: pauses that grow, and a guard for an upstream that fails all the time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{RapidFail, Restart};

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It never became ready.
    OfStart,
    /// It had been ready.
    OfService,
}

/// The pauses of one worker: each up to twice the one before.
#[derive(Debug)]
pub(super) struct Backoff {
    /// Nothing has failed since the beginning, or since the worker last proved itself.
    is_fresh: bool,
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new(settings: &Restart) -> Self {
        Self {
            is_fresh: true,
            next: settings.backoff,
            first: settings.backoff,
            longest: settings.max_backoff.max(settings.backoff),
        }
    }

    /// The pause before the next try after a failure; none after the first of a worker that had been ready. Between a
    /// half and the whole of what is due, so that workers that failed together do not come back together; `chance` is
    /// between 0 and 1.
    pub(super) fn pause(&mut self, failure: Failure, chance: f64) -> Duration {
        if std::mem::take(&mut self.is_fresh) && failure == Failure::OfService {
            return Duration::ZERO;
        }
        let due = self.next;
        self.next = due.saturating_mul(2).min(self.longest);
        jittered(due, chance)
    }

    /// The longest pause, jittered alike.
    pub(super) fn longest(&self, chance: f64) -> Duration {
        jittered(self.longest, chance)
    }

    /// The worker has proved itself: the next failure is its first again.
    pub(super) fn reset(&mut self) {
        self.is_fresh = true;
        self.next = self.first;
    }
}

/// Between a half and the whole of it.
fn jittered(pause: Duration, chance: f64) -> Duration {
    pause.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// The failures of all workers of one upstream.
#[derive(Debug)]
pub(super) struct RapidFailGuard {
    settings: RapidFail,
    /// When the last ones happened, oldest first; at most as many as trip the guard.
    failures: VecDeque<Instant>,
    tripped: bool,
}

impl RapidFailGuard {
    pub(super) fn new(settings: &RapidFail) -> Self {
        Self { settings: settings.clone(), failures: VecDeque::new(), tripped: false }
    }

    /// Notes a start that failed or a worker that ended unasked. Returns whether that trips the guard.
    pub(super) fn note(&mut self, now: Instant) -> bool {
        let most = usize::try_from(self.settings.failures.get()).unwrap_or(usize::MAX);
        let recent = |then: &Instant| now.saturating_duration_since(*then) <= self.settings.window;
        self.failures.push_back(now);
        self.failures.retain(recent);
        if self.failures.len() > most {
            self.failures.pop_front();
        }
        let trips = !self.tripped && self.failures.len() >= most;
        self.tripped |= trips;
        trips
    }

    /// Whether starts are tried only now and then.
    pub(super) fn is_tripped(&self) -> bool {
        self.tripped
    }

    /// A worker has been ready for a whole window. Ends the alarm when none has failed meanwhile; returns whether it did.
    pub(super) fn calm_down(&mut self, now: Instant) -> bool {
        let last = self.failures.back();
        let is_quiet =
            |last: &Instant| now.saturating_duration_since(*last) >= self.settings.window;
        if !last.is_none_or(is_quiet) {
            return false;
        }
        self.failures.clear();
        std::mem::take(&mut self.tripped)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let settings = Restart {
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(5),
            rapid_fail: RapidFail { failures: NonZeroU32::MIN, window: Duration::from_secs(60) },
        };
        let mut backoff = Backoff::new(&settings);
        let whole: Vec<_> =
            (0..5).map(|_| backoff.pause(Failure::OfStart, 1.0).as_secs()).collect();
        assert_eq!(whole, [1, 2, 4, 5, 5], "the whole pauses");
        assert_eq!(
            backoff.pause(Failure::OfService, 0.0),
            Duration::from_millis(2500),
            "half of it at least"
        );
        backoff.reset();
        let whole: Vec<_> =
            (0..3).map(|_| backoff.pause(Failure::OfService, 1.0).as_secs()).collect();
        assert_eq!(whole, [0, 1, 2], "the first failure of one that was ready is mended at once");
        backoff.reset();
        assert_eq!(
            backoff.pause(Failure::OfStart, 1.0),
            Duration::from_secs(1),
            "a start that failed waits"
        );
    }

    #[test]
    fn the_guard_trips_on_failures_within_the_window_only() {
        let window = Duration::from_secs(60);
        let failures = NonZeroU32::new(3).expect("not zero");
        let mut guard = RapidFailGuard::new(&RapidFail { failures, window });
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!guard.note(at(0)) && !guard.note(at(59)), "two are not enough");
        assert!(!guard.note(at(61)), "the first is too long ago");
        assert!(!guard.is_tripped(), "not yet");
        assert!(guard.note(at(62)), "the third within a minute");
        assert!(!guard.note(at(63)) && guard.is_tripped(), "it trips once, and stays so");
        assert!(!guard.calm_down(at(122)), "a worker that stayed up while others failed is no end");
        assert!(guard.calm_down(at(123)) && !guard.is_tripped(), "a window without failure is");
        assert!(!guard.calm_down(at(124)), "which is news only once");
        assert!(!guard.note(at(125)), "and the count begins anew");
    }
}
