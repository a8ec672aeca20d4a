//! The life of supervised workers: warm-up, planned replacement, starting again.

use std::time::Duration;

use super::super::checked::{RapidFail, Recycle, Restart};
use super::super::model;
use super::super::place::Place;
use super::super::units::{Size, Span};
use super::text::{TARGET, is_target};
use super::{Check, all};

/// A worker that is replaced more often than this does nothing but start.
const SHORTEST_AGE: Duration = Duration::from_secs(1);

/// No process runs in less, so that a smaller limit would replace workers without end.
const LEAST_MEMORY: u64 = 1 << 20;

impl Check<'_> {
    pub(super) fn warmup(&mut self, paths: &[String], place: &Place<'_>) -> Option<Vec<String>> {
        let paths = paths.iter().enumerate();
        all(paths.map(|(index, path)| self.target(path, &place.item(index))).collect())
    }

    /// What a request can ask for.
    pub(super) fn target(&mut self, text: &str, place: &Place<'_>) -> Option<String> {
        if is_target(text) {
            return Some(text.to_owned());
        }
        self.report(place.problem("is not a path", TARGET));
        None
    }

    pub(super) fn recycle(&mut self, model: &model::Recycle, place: &Place<'_>) -> Option<Recycle> {
        let max_age = model.max_age.0.map(|span| span.0);
        let is_too_young = max_age.is_some_and(|age| age < SHORTEST_AGE);
        if is_too_young {
            let allowed = format!("at least {}, or off", Span(SHORTEST_AGE));
            self.report(place.key("max_age").problem("is shorter than a start takes", allowed));
        }
        let max_memory = model.max_memory.0.map(|size| size.0);
        let is_too_small = max_memory.is_some_and(|memory| memory < LEAST_MEMORY);
        if is_too_small {
            let allowed = format!("at least {}, or off", Size(LEAST_MEMORY));
            self.report(place.key("max_memory").problem("is less than any process has", allowed));
        }
        let files = model.on_file_change.iter().enumerate().map(|(index, path)| {
            let place = place.key("on_file_change").item(index);
            self.absolute(path, &place)
        });
        let on_file_change = all(files.collect());
        if is_too_young || is_too_small {
            return None;
        }
        Some(Recycle {
            max_requests: model.max_requests,
            max_age,
            max_memory,
            on_file_change: on_file_change?,
        })
    }

    pub(super) fn restart(&mut self, model: &model::Restart, place: &Place<'_>) -> Option<Restart> {
        let (backoff, max_backoff) = (model.backoff, model.max_backoff);
        if backoff.0 <= max_backoff.0 || self.is_damaged(place) {
            return Some(restart(model));
        }
        // At the one of the two that the file has, and at the upper limit when it has both.
        let longest = place.key("max_backoff");
        self.report(match longest.node() {
            Some(_) => longest.problem("is less than backoff", format!("at least {backoff}")),
            None => {
                let allowed = format!("at most {max_backoff}, or a longer max_backoff");
                place.key("backoff").problem("is more than max_backoff", allowed)
            }
        });
        None
    }
}

/// Every combination of these values but `backoff` above `max_backoff` is fine.
pub fn restart(model: &model::Restart) -> Restart {
    Restart {
        backoff: model.backoff.0,
        max_backoff: model.max_backoff.0,
        rapid_fail: RapidFail {
            failures: model.rapid_fail.failures,
            window: model.rapid_fail.window.0,
        },
    }
}
