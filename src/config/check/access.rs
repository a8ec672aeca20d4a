//! Who gets in at a route, and how often.

use super::super::checked::{Access, RateKey, RateLimit};
use super::super::model;
use super::super::place::Place;
use super::Check;
use super::balance::{cookie, header};

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
