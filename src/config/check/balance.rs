//! How a worker is chosen: balance, its key, and the cookie that goes before it.

use std::collections::HashMap;

use http::header::HeaderName;

use super::super::checked::{Affinity, Balance, HashKey, Secret};
use super::super::model;
use super::super::place::Place;
use super::super::problem::quoted;
use super::Check;
use super::text::{TOKEN, is_token};

/// What `hash_on` looks like.
const HASH_ON: &str = "client_ip, path, header:NAME, cookie:NAME or query:NAME";

impl Check<'_> {
    /// `place` is that of the upstream.
    pub(super) fn balance(
        &mut self,
        model: &model::Upstream,
        place: &Place<'_>,
    ) -> Option<Balance> {
        let place_of_key = place.key("hash_on");
        let balance = match (model.balance, &model.hash_on) {
            (model::Balance::Hash, Some(text)) => {
                return self.parsed(hash_key(text), &place_of_key).map(Balance::Hash);
            }
            (model::Balance::Hash, None) => {
                if !self.is_damaged(place) {
                    self.report(place_of_key.problem("is missing", HASH_ON));
                }
                return None;
            }
            (model::Balance::LeastRequests, _) => Balance::LeastRequests,
            (model::Balance::RoundRobin, _) => Balance::RoundRobin,
            (model::Balance::Random, _) => Balance::Random,
            (model::Balance::Latency, _) => Balance::Latency,
        };
        if model.hash_on.is_none() {
            return Some(balance);
        }
        // Unless the word for hash was misspelt.
        if !self.is_damaged(place) {
            let allowed = "this key with balance: hash only";
            self.report(place_of_key.problem("has no effect without balance: hash", allowed));
        }
        None
    }

    pub(super) fn affinity(
        &mut self,
        model: &model::Affinity,
        place: &Place<'_>,
    ) -> Option<Affinity> {
        let is_cookie = is_token(&model.cookie);
        if !is_cookie {
            self.report(place.key("cookie").problem("is not a cookie name", TOKEN));
        }
        let secret = match &model.secret {
            Some(secret) => self.secret(&secret.0, &place.key("secret").hidden()).map(Some),
            None => Some(None),
        };
        let secret = secret?;
        is_cookie.then(|| Affinity { cookie: model.cookie.clone(), secret })
    }

    fn secret(&mut self, text: &str, place: &Place<'_>) -> Option<Secret> {
        let secret = Secret::new(text.as_bytes());
        if secret.is_none() {
            let allowed = format!("at least {} bytes", Secret::SHORTEST);
            self.report(place.problem("is too short to be a secret", allowed));
        }
        secret
    }

    /// One upstream would overwrite the cookie of the other. Each comes with its upstream's name.
    pub(super) fn no_shared_cookie<'m>(
        &mut self,
        affinities: impl Iterator<Item = (&'m str, &'m model::Affinity, Place<'m>)>,
    ) {
        let mut owners = HashMap::new();
        for (upstream, model::Affinity { cookie, .. }, place) in affinities {
            // What was written there may not be what is known.
            if self.is_damaged(&place) {
                continue;
            }
            if let Some(owner) = owners.insert(cookie, upstream) {
                let what = format!("is the cookie of upstreams.{owner} too");
                let allowed = "a cookie of its own for each upstream";
                self.report(place.key("cookie").problem_with(what, quoted(cookie), allowed));
            }
        }
    }
}

fn hash_key(text: &str) -> Result<HashKey, (String, String)> {
    let wrong = |what: &str, allowed: &str| Err((what.to_owned(), allowed.to_owned()));
    match text.split_once(':') {
        None if text == "client_ip" => Ok(HashKey::ClientIp),
        None if text == "path" => Ok(HashKey::Path),
        Some(("header", name)) => header(name).map(HashKey::Header),
        Some(("cookie", name)) => cookie(name).map(HashKey::Cookie),
        Some(("query", name)) if !name.is_empty() => Ok(HashKey::Query(name.to_owned())),
        Some(("query", _)) => wrong("does not name a parameter", "query:NAME"),
        _ => wrong("is nothing to tell requests apart by", HASH_ON),
    }
}

/// What follows `header:`.
pub fn header(name: &str) -> Result<HeaderName, (String, String)> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| ("does not name a header".to_owned(), format!("header:NAME of {TOKEN}")))
}

/// What follows `cookie:`.
pub fn cookie(name: &str) -> Result<String, (String, String)> {
    match is_token(name) {
        true => Ok(name.to_owned()),
        false => Err(("does not name a cookie".to_owned(), format!("cookie:NAME of {TOKEN}"))),
    }
}
