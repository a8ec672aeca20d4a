//! Routes: names, what they match, what they do.

use std::collections::HashMap;

use super::super::checked::{Limits, Match, Route, Timeouts};
use super::super::model;
use super::super::place::Place;
use super::super::units::{OrOff, Size, Span};
use super::text::is_display_name;
use super::{Check, Names, all};

/// The engine takes a header block of less than a mebibyte.
const LARGEST_HEADER: Size = Size((1 << 20) - 1);

/// The engine takes a request target of this size.
const LARGEST_URI: Size = Size(64 << 10);

impl Check<'_> {
    pub(super) fn routes(
        &mut self,
        routes: &[model::Route],
        place: &Place<'_>,
        upstreams: &Names<'_>,
    ) -> Option<Vec<Route>> {
        self.not_empty(routes, place, "at least one route")?;
        let names = self.route_names(routes, place);
        let mut matches = Vec::with_capacity(routes.len());
        for (index, model) in routes.iter().enumerate() {
            matches.push(self.matches(&model.matches, &place.item(index).key("match")));
        }
        self.each_is_reached(&matches, place);
        let mut checked = Vec::with_capacity(routes.len());
        let found = names.into_iter().zip(matches);
        for ((index, model), found) in routes.iter().enumerate().zip(found) {
            checked.push(self.route(model, found, &place.item(index), upstreams));
        }
        all(checked)
    }

    /// The name of each route; `None` for one that was refused. Only names of the file are
    /// complained of, those made up here give way in the message.
    fn route_names(&mut self, routes: &[model::Route], place: &Place<'_>) -> Vec<Option<String>> {
        let mut taken: HashMap<String, usize> = routes
            .iter()
            .enumerate()
            .filter(|(_, route)| route.name.is_none())
            .map(|(index, _)| (default_name(index), index))
            .collect();
        let mut names = Vec::with_capacity(routes.len());
        for (index, route) in routes.iter().enumerate() {
            let Some(name) = &route.name else {
                names.push(Some(default_name(index)));
                continue;
            };
            let place = place.item(index).key("name");
            let mut is_fine = is_display_name(name);
            if !is_fine {
                let allowed = "1 to 64 characters on one line, without space around them";
                self.report(place.problem("is not a name", allowed));
            } else if let Some(other) = taken.insert(name.clone(), index) {
                let what = format!("is the name of routes[{other}] too");
                self.report(place.problem(what, "a name of its own"));
                is_fine = false;
            }
            names.push(is_fine.then(|| name.clone()));
        }
        names
    }

    fn route(
        &mut self,
        model: &model::Route,
        (name, matches): (Option<String>, Option<Match>),
        place: &Place<'_>,
        upstreams: &Names<'_>,
    ) -> Option<Route> {
        let action = self.action(model, place, upstreams);
        let limits = self.limits(&model.limits, &place.key("limits"));
        let headers = self.header_rules(&model.headers, &place.key("headers"));
        let access = self.access(model, place);
        let rate_limit = match &model.rate_limit {
            Some(limit) => self.rate_limit(limit, &place.key("rate_limit")).map(Some),
            None => Some(None),
        };
        Some(Route {
            name: name?,
            matches: matches?,
            action: action?,
            timeouts: timeouts(&model.timeouts),
            limits: limits?,
            headers: headers?,
            access: access?,
            rate_limit: rate_limit?,
        })
    }

    fn limits(&mut self, model: &model::Limits, place: &Place<'_>) -> Option<Limits> {
        let header = self.size(model.header, LARGEST_HEADER, &place.key("header"));
        let uri = self.size(model.uri, LARGEST_URI, &place.key("uri"));
        let up = self.rate(model.min_request_rate, &place.key("min_request_rate"));
        let down = self.rate(model.min_response_rate, &place.key("min_response_rate"));
        Some(Limits {
            body: model.body.0.map(|size| size.0),
            header: header?,
            uri: uri?,
            headers: usize::from(model.headers),
            min_request_rate: up?,
            min_response_rate: down?,
        })
    }

    /// Bytes a second; `Some(None)` is `off`.
    fn rate(&mut self, rate: OrOff<Size>, place: &Place<'_>) -> Option<Option<u64>> {
        match rate.0 {
            Some(Size(0)) => {
                self.report(place.problem("is no rate", "1B or more, or off"));
                None
            }
            rate => Some(rate.map(|size| size.0)),
        }
    }

    /// A size that something can fit in and the engine can take.
    fn size(&mut self, size: Size, largest: Size, place: &Place<'_>) -> Option<usize> {
        if (1..=largest.0).contains(&size.0) {
            return usize::try_from(size.0).ok();
        }
        self.report(place.problem("is out of range", format!("1B to {largest}")));
        None
    }
}

fn default_name(index: usize) -> String {
    format!("route-{}", index + 1)
}

fn timeouts(model: &model::Timeouts) -> Timeouts {
    let span = |timeout: &OrOff<Span>| timeout.0.map(|span| span.0);
    Timeouts {
        connect: span(&model.connect),
        first_byte: span(&model.first_byte),
        idle: span(&model.idle),
        total: span(&model.total),
        websocket_idle: span(&model.websocket_idle),
        request_body: span(&model.request_body),
        client_write: span(&model.client_write),
    }
}
