//! Upstreams: where their workers come from.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::checked::{Connections, Server, Upstream, Workers};
use super::super::model;
use super::super::place::Place;
use super::super::problem::quoted;
use super::address::{ALLOWED, Use};
use super::text::is_identifier;
use super::{Check, Names, all};

/// Uvicorn closes an unused connection after 5 s, and other servers' defaults are near it: stay
/// below.
const IDLE_FIXED: Duration = Duration::from_secs(4);

/// Supervised Uvicorn workers are started with a longer keep-alive than this.
const IDLE_SUPERVISED: Duration = Duration::from_secs(60);

/// A supervised worker's listener is there for asgate alone: its first request need not wait for a
/// connection. What a fixed one makes of connections without a request is not known.
const PREWARM_SUPERVISED: u32 = 1;
const PREWARM_FIXED: u32 = 0;

/// An upstream, its name, and where each stands.
pub struct Named<'m> {
    name: &'m str,
    place_of_name: Place<'m>,
    model: &'m model::Upstream,
    place: Place<'m>,
}

/// The upstreams in the order of the file; by name when no file holds them.
pub fn in_order<'m>(
    upstreams: &'m BTreeMap<String, model::Upstream>,
    place: &Place<'m>,
) -> Vec<Named<'m>> {
    if place.node().is_none() {
        let named = |(name, model): (&'m String, _)| {
            let place = place.key(name);
            Named { name, place_of_name: place.clone(), model, place }
        };
        return upstreams.iter().map(named).collect();
    }
    let named = |(name, place_of_name, place)| {
        Some(Named { name, place_of_name, model: upstreams.get(name)?, place })
    };
    place.entries().filter_map(named).collect()
}

impl Check<'_> {
    pub(super) fn names<'m>(&self, upstreams: &[Named<'m>], root: &Place<'_>) -> Names<'m> {
        let list: Vec<&str> = upstreams.iter().map(|named| named.name).collect();
        let index = list.iter().enumerate().map(|(index, name)| (*name, index));
        // The section as a whole may be misspelt or no mapping.
        let complete = !(list.is_empty() && self.is_damaged(root));
        Names { index: index.collect::<HashMap<_, _>>(), list, complete }
    }

    pub(super) fn upstreams(&mut self, upstreams: &[Named<'_>]) -> Option<Vec<Upstream>> {
        let upstreams = upstreams.iter().map(|named| self.upstream(named));
        all(upstreams.collect())
    }

    fn upstream(&mut self, named: &Named<'_>) -> Option<Upstream> {
        let Named { name, place_of_name, model, place } = named;
        let name_is_fine = is_identifier(name);
        if !name_is_fine {
            let allowed = "1 to 64 letters, digits, - and _";
            self.report(place_of_name.problem_with("is not a name", quoted(name), allowed));
        }
        let connections = self.connections(model, &place.key("connections"));
        let workers = self.workers(model, place);
        let health = match &model.health {
            Some(health) => self.health(health, &place.key("health")).map(Some),
            None => Some(None),
        };
        // One way so far; the next variant of the model has to be carried to `checked` here.
        let model::Balance::RoundRobin = model.balance;
        let upstream = Upstream {
            name: (*name).to_owned(),
            workers: workers?,
            health: health?,
            slow_start: model.slow_start.0.map(|span| span.0),
            connections: connections?,
        };
        name_is_fine.then_some(upstream)
    }

    fn connections(
        &mut self,
        upstream: &model::Upstream,
        place: &Place<'_>,
    ) -> Option<Connections> {
        let model = &upstream.connections;
        let default = match upstream.app {
            Some(_) => PREWARM_SUPERVISED,
            None => PREWARM_FIXED,
        };
        let prewarm = model.prewarm.unwrap_or(default.min(model.max_idle));
        if prewarm > model.max_idle && !self.is_damaged(place) {
            let allowed = format!("at most max_idle ({})", model.max_idle);
            let what = "is more than is kept";
            self.report(place.key("prewarm").problem(what, allowed));
            return None;
        }
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Some(Connections {
            idle_timeout: idle_timeout(upstream),
            max_idle: count(model.max_idle),
            prewarm: count(prewarm),
        })
    }

    /// Exactly one of `app` and `servers`.
    fn workers(&mut self, model: &model::Upstream, place: &Place<'_>) -> Option<Workers> {
        // Unless what was written there is not known.
        let is_known = !self.is_damaged(&place.key("connections"));
        let idle_timeout = is_known.then(|| idle_timeout(model));
        match (&model.app, &model.servers) {
            (Some(app), None) => {
                self.app(app, idle_timeout, &place.key("app")).map(Workers::Supervised)
            }
            (None, Some(servers)) => {
                self.servers(servers, &place.key("servers")).map(Workers::Fixed)
            }
            (app, servers) => {
                if let (Some(app), Some(servers)) = (app, servers) {
                    let allowed = "one of app and servers";
                    let what = "has two sources of workers";
                    self.report(place.problem_with(what, "app and servers", allowed));
                    self.app(app, idle_timeout, &place.key("app"));
                    self.servers(servers, &place.key("servers"));
                } else if !self.is_damaged(place) {
                    self.report(place.problem_with("has no workers", "neither", "app or servers"));
                }
                None
            }
        }
    }

    fn servers(&mut self, servers: &[model::Server], place: &Place<'_>) -> Option<Vec<Server>> {
        self.not_empty(servers, place, "at least one server")?;
        let mut seen = HashMap::new();
        let mut checked = Vec::with_capacity(servers.len());
        for (index, model) in servers.iter().enumerate() {
            let place = place.item(index).key("address");
            let address = model.address.as_deref();
            let address = address.and_then(|text| self.address(text, &place, Use::Connect));
            if let Some(address) = &address
                && let Some(first) = seen.insert(address.clone(), index)
            {
                let what = format!("is the address of servers[{first}] again");
                self.report(place.problem(what, format!("another {ALLOWED}; or a weight there")));
            }
            checked.push(address.map(|address| Server { address, weight: model.weight }));
        }
        all(checked)
    }
}

/// How long an unused connection is kept.
fn idle_timeout(upstream: &model::Upstream) -> Duration {
    let default = match upstream.app {
        Some(_) => IDLE_SUPERVISED,
        None => IDLE_FIXED,
    };
    upstream.connections.idle_timeout.map_or(default, |span| span.0)
}
