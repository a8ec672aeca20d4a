//! Passive ejection: a worker that fails request after request is left out for a while.
//!
//! It is never more than a guess from a few requests, so it ends by itself, takes only a part of an upstream out, and even
//! those that are out are tried when there is nobody else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Upstream;
use super::standing::Mark;
use super::worker::Worker;
use crate::config::Ejection;

/// Workers that were ejected together come back up to this much later, one by one.
const JITTER: f64 = 0.1;

/// The failures of one worker.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Record>);

#[derive(Debug, Default)]
struct Record {
    /// When it failed within the window, oldest first; never more than lead to an ejection.
    recent: VecDeque<Instant>,
    out_until: Option<Instant>,
}

impl Failures {
    /// Counts one. Returns whether there were too many.
    pub(super) fn note(&self, policy: &Ejection, now: Instant) -> bool {
        let mut record = self.0.lock();
        record.recent.retain(|at| now.saturating_duration_since(*at) < policy.window);
        record.recent.push_back(now);
        let too_many = record.recent.len() >= usize::try_from(policy.failures.get()).unwrap_or(1);
        if too_many {
            record.recent.clear();
        }
        too_many
    }

    /// The worker is out from now on. Returns for how long.
    pub(super) fn begin_ejection(&self, policy: &Ejection, now: Instant) -> Duration {
        let length = policy.eject_for.mul_f64(1.0 + JITTER * fastrand::f64());
        self.0.lock().out_until = now.checked_add(length);
        length
    }

    /// Whether an ejection is over now; says so once.
    pub(super) fn ends_ejection(&self, now: Instant) -> bool {
        self.0.lock().out_until.take_if(|until| *until <= now).is_some()
    }
}

impl Upstream {
    /// Whether an answer with `status` counts as a failure of its worker.
    pub fn is_failure(&self, status: u16) -> bool {
        let policy = self.ejection.as_ref();
        policy.is_some_and(|policy| policy.status.iter().any(|range| range.contains(&status)))
    }

    /// A request failed on `worker`. After too many in a short time the worker is ejected.
    pub fn failed(&self, worker: &Arc<Worker>) {
        let Some(policy) = &self.ejection else {
            return;
        };
        let now = Instant::now();
        if !worker.failures().note(policy, now) || worker.is_retired() {
            return;
        }
        let _only_one = self.changing.lock();
        let workers = self.workers();
        let out = workers.iter().filter(|worker| worker.is_marked(Mark::Ejected)).count();
        if worker.is_marked(Mark::Ejected) || out >= most_ejected(policy, workers.len()) {
            return;
        }
        // In this order: a sweep between the two ends nothing.
        worker.mark(Mark::Ejected, true);
        let length = worker.failures().begin_ejection(policy, now);
        worker.metrics().ejected();
        log::warn!(
            "Worker is ejected: upstream={} worker={} failures={} within={}s for={:.1}s",
            self.name,
            worker.identity().name,
            policy.failures,
            policy.window.as_secs_f64(),
            length.as_secs_f64()
        );
    }
}

/// How many of `workers` may be out at a time; one always stays.
fn most_ejected(policy: &Ejection, workers: usize) -> usize {
    (workers * usize::from(policy.max_ejected.get()) / 100).min(workers.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::Percent;

    fn policy(failures: u32, max_ejected: u8) -> Ejection {
        Ejection {
            failures: NonZeroU32::new(failures).expect("some"),
            window: Duration::from_secs(10),
            eject_for: Duration::from_secs(30),
            max_ejected: Percent::saturating(max_ejected),
            status: Vec::new(),
        }
    }

    #[test]
    fn so_many_failures_within_the_window_are_too_many() {
        let (policy, failures) = (policy(3, 50), Failures::default());
        let begin = Instant::now();
        let seen: Vec<bool> = [0, 1, 10, 12, 13, 14, 15]
            .map(|seconds| failures.note(&policy, begin + Duration::from_secs(seconds)))
            .to_vec();
        // At 10 s the first has left the window, at 12 s the second; at 13 s there are three, and the count begins anew.
        assert_eq!(seen, [false, false, false, false, true, false, false]);
    }

    #[test]
    fn an_ejection_ends_by_itself_and_once() {
        let (policy, failures) = (policy(1, 50), Failures::default());
        let begin = Instant::now();
        assert!(!failures.ends_ejection(begin), "there is none");
        let length = failures.begin_ejection(&policy, begin);
        assert!(
            length >= policy.eject_for && length <= policy.eject_for.mul_f64(1.1),
            "{length:?}"
        );
        assert!(!failures.ends_ejection(begin + length / 2), "not yet");
        assert!(failures.ends_ejection(begin + length), "over");
        assert!(!failures.ends_ejection(begin + length), "said already");
    }

    #[test]
    fn a_part_of_them_may_be_out_and_never_the_last() {
        let cases =
            [(50, 1, 0), (50, 2, 1), (50, 3, 1), (50, 10, 5), (100, 1, 0), (100, 3, 2), (0, 9, 0)];
        for (percent, workers, most) in cases {
            let allowed = most_ejected(&policy(1, percent), workers);
            assert_eq!(allowed, most, "{percent} % of {workers}");
        }
        assert_eq!(most_ejected(&policy(1, 50), 0), 0, "of nobody");
    }
}
