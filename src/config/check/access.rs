//! Who gets in at a route, and how often.

use super::super::checked::{Access, RateKey, RateLimit};
use super::super::model;
use super::super::place::Place;
use super::Check;
use super::balance::{cookie, header};
use super::listeners::is_unix;

/// What makes clients known by address on a Unix socket.
const PROXY_PROTOCOL: &str = "proxy_protocol on the listeners";

/// What `rate_limit.key` looks like.
const KEY: &str = "client_ip, route, header:NAME or cookie:NAME";

impl Check<'_> {
    /// `place` is that of the route.
    pub(super) fn access(&mut self, model: &model::Route, place: &Place<'_>) -> Option<Access> {
        let place_of_allow = place.key("allow");
        let allow = match &model.allow {
            // It may be meant to let nobody in, or everybody.
            Some(list) => self
                .not_empty(list, &place_of_allow, "at least one, or no such key for every client")
                .and_then(|()| self.networks(list, &place_of_allow)),
            None => Some(Vec::new()),
        };
        let deny = self.networks(&model.deny, &place.key("deny"));
        Some(Access { allow: allow?, deny: deny? })
    }

    pub(super) fn rate_limit(
        &mut self,
        model: &model::RateLimit,
        place: &Place<'_>,
    ) -> Option<RateLimit> {
        let key = self.parsed(rate_key(&model.key), &place.key("key"));
        let requests = model.requests?;
        if requests.checked_add(model.burst).is_none() {
            let allowed = format!("at most {} beside requests", u32::MAX - requests.get());
            self.report(place.key("burst").problem("is out of range", allowed));
            return None;
        }
        Some(RateLimit {
            requests,
            per: model.per.0,
            burst: model.burst,
            key: key?,
            dry_run: model.dry_run,
        })
    }

    /// Warns of routes that go by the client's address where no client has one: where all listeners are Unix sockets
    /// before which nobody says, by the PROXY protocol, whom a connection is for.
    pub(super) fn clients_without_address(&mut self, file: &model::File, root: &Place<'_>) {
        let listeners = root.key("listeners");
        let mut each = file.listeners.iter().enumerate();
        let nameless = !file.listeners.is_empty()
            && !self.is_damaged(&listeners)
            && each.all(|(index, listener)| {
                let is_known = !self.is_damaged(&listeners.item(index));
                is_known && is_unix(listener) && !listener.proxy_protocol
            });
        if !nameless {
            return;
        }
        for (index, route) in file.routes.iter().enumerate() {
            self.route_by_address(route, &root.key("routes").item(index));
        }
    }

    fn route_by_address(&mut self, route: &model::Route, place: &Place<'_>) {
        // That an empty list lets nobody in has been said.
        if route.allow.as_ref().is_some_and(|list| !list.is_empty()) {
            let what = "lets nobody in: clients have no address on the Unix sockets of this file";
            self.warn(place.key("allow").problem(what, PROXY_PROTOCOL));
        }
        let place = place.key("rate_limit");
        let is_by_address =
            |limit: &model::RateLimit| rate_key(&limit.key) == Ok(RateKey::ClientIp);
        if route.rate_limit.as_ref().is_some_and(is_by_address) && !self.is_damaged(&place) {
            let what = "is one bucket for all clients: they have no address on the Unix sockets of this file";
            let advised = format!("{PROXY_PROTOCOL}, or another key");
            self.warn(place.key("key").problem(what, advised));
        }
    }
}

fn rate_key(text: &str) -> Result<RateKey, (String, String)> {
    match text.split_once(':') {
        None if text == "client_ip" => Ok(RateKey::ClientIp),
        None if text == "route" => Ok(RateKey::Route),
        Some(("header", name)) => header(name).map(RateKey::Header),
        Some(("cookie", name)) => cookie(name).map(RateKey::Cookie),
        _ => Err(("is nothing to tell requests apart by".to_owned(), KEY.to_owned())),
    }
}
