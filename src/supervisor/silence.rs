//! When a worker that says nothing is asked, doubted, and given up. Pure: times and counts in, the next step out.
//!
//! A worker may be silent for long with every right: a sync handler blocks its event loop, or there is just one request
//! that takes half an hour. So silence alone proves nothing; it is asked something that costs it next to nothing, and
//! only one that answers neither that nor anything else for the whole of `hang_timeout` is taken for hung.

use std::time::Duration;

use tokio::time::Instant;

/// Silence before a worker is asked, at most: as long as requests wait on it.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// How long one worker has said nothing.
#[derive(Debug)]
pub(super) struct Silence {
    hang_timeout: Duration,
    /// What `heard` was when it last changed, and since when it has not.
    heard: u64,
    since: Instant,
    /// When it was asked.
    asked: Option<Instant>,
    doubted: bool,
    /// Silence before it is asked again; grows while it answers when asked and says nothing otherwise.
    patience: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Ask it whether it is there.
    Ask,
    /// Let others go first: it did not answer.
    Doubt,
    /// It spoke again.
    Trust,
    /// It has been silent for `hang_timeout`.
    GiveUp,
}

impl Silence {
    pub(super) fn new(hang_timeout: Duration, heard: u64, now: Instant) -> Self {
        Self {
            hang_timeout,
            heard,
            since: now,
            asked: None,
            doubted: false,
            patience: shortest(hang_timeout),
        }
    }

    /// `heard` changes with everything that the worker says; `waiting` is whether requests wait on it.
    pub(super) fn look(&mut self, now: Instant, heard: u64, waiting: bool) -> Step {
        if heard != self.heard {
            return self.it_spoke(now, heard);
        }
        let silent = now.saturating_duration_since(self.since);
        let Some(asked) = self.asked else {
            if !waiting {
                self.since = now;
            } else if silent >= self.patience {
                self.asked = Some(now);
                return Step::Ask;
            }
            return Step::Nothing;
        };
        let unanswered = now.saturating_duration_since(asked);
        if unanswered < shortest(self.hang_timeout) {
            return Step::Nothing;
        }
        if !self.doubted {
            self.doubted = true;
            return Step::Doubt;
        }
        match silent >= self.hang_timeout {
            true => Step::GiveUp,
            false => Step::Nothing,
        }
    }

    fn it_spoke(&mut self, now: Instant, heard: u64) -> Step {
        self.patience = match self.asked.take() {
            // Perhaps only because it was asked: one long request is no reason to ask every few seconds.
            Some(_) => self.patience.saturating_mul(2).min(self.hang_timeout / 2),
            None => shortest(self.hang_timeout),
        };
        self.heard = heard;
        self.since = now;
        match std::mem::take(&mut self.doubted) {
            true => Step::Trust,
            false => Step::Nothing,
        }
    }
}

fn shortest(hang_timeout: Duration) -> Duration {
    ASK_AFTER.min(hang_timeout / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANG: Duration = Duration::from_secs(90);

    /// What happens second by second, without the seconds in which nothing does.
    fn steps(
        hang: Duration,
        seconds: u64,
        heard: fn(u64) -> u64,
        waiting: bool,
    ) -> Vec<(u64, Step)> {
        let start = Instant::now();
        let mut silence = Silence::new(hang, heard(0), start);
        (1..=seconds)
            .map(|at| (at, silence.look(start + Duration::from_secs(at), heard(at), waiting)))
            .filter(|(_, step)| *step != Step::Nothing)
            .collect()
    }

    #[test]
    fn a_worker_that_never_answers_is_given_up_after_hang_timeout() {
        let mut expected = vec![(1, Step::Ask), (2, Step::Doubt)];
        expected.extend([(90, Step::GiveUp), (91, Step::GiveUp)]);
        assert_eq!(steps(HANG, 91, |_| 7, true), expected, "asked, doubted, given up");
        let short = steps(Duration::from_secs(4), 4, |_| 7, true);
        assert_eq!(short, [(1, Step::Ask), (2, Step::Doubt), (4, Step::GiveUp)], "scaled down");
    }

    #[test]
    fn a_worker_that_nobody_waits_for_may_be_silent() {
        assert_eq!(steps(HANG, 600, |_| 7, false), [], "nothing to say");
    }

    #[test]
    fn a_worker_that_speaks_is_left_alone() {
        assert_eq!(steps(HANG, 600, |at| at, true), [], "something every second");
    }

    #[test]
    fn a_blocked_worker_is_doubted_and_trusted_again() {
        let blocked_for_60_s = steps(HANG, 61, |at| u64::from(at >= 60), true);
        let expected = [(1, Step::Ask), (2, Step::Doubt), (60, Step::Trust)];
        assert_eq!(blocked_for_60_s, expected, "a long sync handler costs nothing but its turn");
    }

    #[test]
    fn one_long_request_is_asked_about_less_and_less() {
        let start = Instant::now();
        let mut silence = Silence::new(HANG, 0, start);
        let (mut heard, mut asked) = (0, Vec::new());
        for at in 1..=200 {
            if silence.look(start + Duration::from_secs(at), heard, true) == Step::Ask {
                asked.push(at);
                heard += 1;
            }
        }
        assert_eq!(asked, [1, 4, 9, 18, 35, 68, 114, 160], "1, 2, 4 … 45 seconds of silence");
    }
}
