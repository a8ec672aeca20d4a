//! How long a worker takes to answer: an average that believes bad news at once and good news slowly.
//!
//! The peak-sensitive moving average of Finagle's `PeakEwma` balancer. A worker that becomes slow is avoided after one
//! answer, not after several; and since what is known of it fades and is forgotten, one that was slow is tried again
//! although nothing was heard from it since. Must not know what is measured, or read the clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// After this time what was measured counts 1/e.
const DECAY_SECS: f64 = 10.0;
/// Milliseconds after which nothing is known any more.
const FORGOTTEN: u32 = 30_000;
/// The least that counts as measured, in seconds.
const LEAST: f64 = 1e-6;
/// Milliseconds by which one thread may be late with a sample that another has overtaken. More means that the stamp has
/// gone round, after 49 days, which costs no more than that an old estimate counts as fresh.
const LATE: u32 = 60_000;

/// Peak-sensitive, exponentially weighted moving average of a time.
///
/// One word, so that a sample is one atomic exchange: the seconds as `f32` above the milliseconds since `epoch` as
/// `u32`. No seconds at all: unmeasured.
#[derive(Debug)]
pub struct PeakEwma {
    epoch: Instant,
    state: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    seconds: f32,
    stamp: u32,
}

impl PeakEwma {
    /// Unmeasured. No sample may be older than `epoch`.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, state: AtomicU64::new(0) }
    }

    /// Counts in that something took `time`, which was over at `now`.
    pub fn observe(&self, time: Duration, now: Instant) {
        let stamp = self.stamp(now);
        let mut before = self.state.load(Ordering::Relaxed);
        loop {
            let after = Estimate::unpack(before).with(time, stamp).pack();
            let exchanged = self.state.compare_exchange_weak(
                before,
                after,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match exchanged {
                Ok(_) => return,
                Err(newer) => before = newer,
            }
        }
    }

    /// Seconds to be expected at `now`; above zero. `None` when nothing was measured, or too long ago.
    pub fn get(&self, now: Instant) -> Option<f64> {
        Estimate::unpack(self.state.load(Ordering::Relaxed)).at(self.stamp(now))
    }

    fn stamp(&self, now: Instant) -> u32 {
        // Goes round on purpose.
        now.saturating_duration_since(self.epoch).as_millis() as u32
    }
}

impl Estimate {
    fn unpack(state: u64) -> Self {
        // The upper and the lower half.
        Self { seconds: f32::from_bits((state >> 32) as u32), stamp: state as u32 }
    }

    fn pack(self) -> u64 {
        u64::from(self.seconds.to_bits()) << 32 | u64::from(self.stamp)
    }

    fn is_unmeasured(self) -> bool {
        self.seconds == 0.0
    }

    fn with(self, time: Duration, stamp: u32) -> Self {
        let (sample, average) = (time.as_secs_f64().max(LEAST), f64::from(self.seconds));
        if self.is_unmeasured() {
            return Self { seconds: sample as f32, stamp };
        }
        let kept = self.kept_until(stamp);
        let seconds =
            if sample > average { sample } else { average * kept + sample * (1.0 - kept) };
        let is_late = self.age(stamp) == 0;
        Self { seconds: seconds as f32, stamp: if is_late { self.stamp } else { stamp } }
    }

    /// Milliseconds; none for a sample that comes late.
    fn age(self, stamp: u32) -> u32 {
        let age = stamp.wrapping_sub(self.stamp);
        if age > u32::MAX - LATE { 0 } else { age }
    }

    /// The part of what was measured that still counts.
    fn kept_until(self, stamp: u32) -> f64 {
        (-f64::from(self.age(stamp)) / (DECAY_SECS * 1000.0)).exp()
    }

    /// Seconds to be expected at `stamp`.
    fn at(self, stamp: u32) -> Option<f64> {
        let is_known = !self.is_unmeasured() && self.age(stamp) < FORGOTTEN;
        is_known.then(|| f64::from(self.seconds) * self.kept_until(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No seconds.
    const NOTHING: f64 = 0.0;

    #[test]
    fn bad_news_is_believed_at_once_and_good_news_slowly() {
        // What is heard when (in seconds), and what is expected right after it.
        type Heard = (f64, Option<f64>, f64);
        let cases: &[(&str, &[Heard])] = &[
            ("nothing is known", &[(0.0, None, NOTHING), (100.0, None, NOTHING)]),
            ("the first is all that is known", &[(1.0, Some(0.0002), 0.0002)]),
            ("a peak replaces the average", &[(1.0, Some(0.010), 0.010), (1.0, Some(2.0), 2.0)]),
            ("one at the same time is no news", &[(1.0, Some(2.0), 2.0), (1.0, Some(0.1), 2.0)]),
            ("better weighs by its time", &[(0.0, Some(1.001), 1.001), (10.0, Some(0.1), 0.432)]),
            ("fades to a third", &[(0.0, Some(1.001), 1.001), (10.0, None, 0.369)]),
            (
                "and is forgotten",
                &[(0.0, Some(60.0), 60.0), (29.9, None, 3.02), (30.0, None, NOTHING)],
            ),
            ("an endless one stays finite", &[(1.0, Some(1e15), 1e15), (2.0, Some(1.0), 9e14)]),
            ("one in no time is measured", &[(1.0, Some(0.0), 1e-6)]),
            ("a late one turns no clock back", &[(9.0, Some(1.0), 1.0), (8.0, Some(0.1), 1.0)]),
        ];
        let epoch = Instant::now();
        for (name, heard) in cases {
            let ewma = PeakEwma::new(epoch);
            for &(at, sample, expected) in *heard {
                let at = epoch + Duration::from_secs_f64(at);
                if let Some(seconds) = sample {
                    ewma.observe(Duration::from_secs_f64(seconds), at);
                }
                let seconds = ewma.get(at);
                let is_right = match seconds {
                    Some(seconds) => (seconds / expected - 1.0).abs() < 0.02,
                    None => expected == NOTHING,
                };
                assert!(is_right, "{name}: {seconds:?} s, not {expected} s, after {sample:?}");
            }
        }
    }

    #[test]
    fn a_stamp_that_goes_round_is_no_harm() {
        let epoch = Instant::now();
        let ewma = PeakEwma::new(epoch);
        let round = Duration::from_millis(1 << 32);
        ewma.observe(Duration::from_secs(1), epoch + round - Duration::from_secs(5));
        let after = ewma.get(epoch + round + Duration::from_secs(5));
        let is_right = after.is_some_and(|after| (after - 0.368).abs() < 0.002);
        assert!(is_right, "ten seconds are ten seconds: {after:?}");
    }

    #[test]
    fn no_peak_is_lost_between_threads() {
        let epoch = Instant::now();
        let ewma = PeakEwma::new(epoch);
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let ewma = &ewma;
                scope.spawn(move || {
                    for sample in 1..=1000 {
                        ewma.observe(Duration::from_millis(sample * thread), epoch);
                    }
                });
            }
        });
        assert_eq!(ewma.get(epoch), Some(4.0), "the highest of all");
    }
}
