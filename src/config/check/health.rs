//! Checks of workers by request.

use super::super::checked::{Expect, Health};
use super::super::model;
use super::super::place::Place;
use super::Check;

impl Check<'_> {
    pub(super) fn health(&mut self, model: &model::Health, place: &Place<'_>) -> Option<Health> {
        // That it is missing has been reported.
        let path = model.path.as_deref().map(|path| self.target(path, &place.key("path")));
        let expect = self.expect(&model.expect, &place.key("expect"));
        Some(Health {
            path: path??,
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
}
