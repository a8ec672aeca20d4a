//! Checks of workers by request, and ejection by what becomes of requests.

use std::ops::RangeInclusive;

use super::super::checked::{Ejection, Expect, Health};
use super::super::model;
use super::super::place::Place;
use super::super::status::StatusRange;
use super::{Check, all};

/// The first status that is a server's fault (RFC 9110 §15.6).
const FIRST_SERVER_ERROR: u16 = 500;

/// Keys that are about checks and nothing else.
const KEYS_OF_CHECKS: [&str; 5] =
    ["interval", "timeout", "healthy_after", "unhealthy_after", "expect"];

impl Check<'_> {
    /// The checks, if there are any.
    pub(super) fn health(
        &mut self,
        model: &model::Health,
        place: &Place<'_>,
    ) -> Option<Option<Health>> {
        match &model.path {
            Some(path) => self.checks(path, model, place).map(Some),
            None => self.no_checks(place).map(|()| None),
        }
    }

    /// Without a path, keys that would silently be ignored are refused: whoever gives one expects
    /// checks.
    fn no_checks(&mut self, place: &Place<'_>) -> Option<()> {
        if self.is_damaged(place) {
            return None;
        }
        let given = KEYS_OF_CHECKS.map(|key| place.key(key));
        let mut is_fine = Some(());
        for place in given.iter().filter(|place| place.node().is_some()) {
            self.report(place.problem("has no effect without path", "this key with path only"));
            is_fine = None;
        }
        is_fine
    }

    fn checks(&mut self, path: &str, model: &model::Health, place: &Place<'_>) -> Option<Health> {
        let path = self.target(path, &place.key("path"));
        let expect = self.expect(&model.expect, &place.key("expect"));
        Some(Health {
            path: path?,
            interval: model.interval.0,
            timeout: model.timeout.0,
            healthy_after: model.healthy_after,
            unhealthy_after: model.unhealthy_after,
            expect: expect?,
        })
    }

    fn expect(&mut self, model: &model::Expect, place: &Place<'_>) -> Option<Expect> {
        let allowed = "at least one, or no such key for 200-399";
        let status = self.not_empty(&model.status, &place.key("status"), allowed);
        if model.body_contains.as_ref().is_some_and(String::is_empty) {
            let allowed = "text, or no such key for any body";
            let what = "is in every body";
            self.report(place.key("body_contains").problem(what, allowed));
            return None;
        }
        status?;
        Some(Expect {
            status: model.status.iter().map(|range| range.0.clone()).collect(),
            body_contains: model.body_contains.clone(),
        })
    }
    /// Ejection, unless it is off.
    pub(super) fn ejection(
        &mut self,
        model: &model::Passive,
        place: &Place<'_>,
    ) -> Option<Option<Ejection>> {
        let model = match model {
            model::Passive::Off(_) => return Some(None),
            model::Passive::On(model) => model,
        };
        let place = place.key("status");
        let status = model.status.iter().enumerate();
        let status = status.map(|(index, range)| self.server_errors(range, &place.item(index)));
        Some(Some(Ejection {
            status: all(status.collect())?,
            failures: model.failures,
            window: model.window.0,
            eject_for: model.eject_for.0,
            max_ejected: model.max_ejected,
        }))
    }

    fn server_errors(
        &mut self,
        range: &StatusRange,
        place: &Place<'_>,
    ) -> Option<RangeInclusive<u16>> {
        if *range.0.start() >= FIRST_SERVER_ERROR {
            return Some(range.0.clone());
        }
        let what = "is not the fault of the worker";
        self.report(place.problem(what, "statuses and ranges of them from 500 to 599"));
        None
    }
}
