//! Upstreams: their names, their workers, and everything else that they have.

use std::collections::{BTreeMap, HashMap};

use super::super::checked::{Affinity, Ejection, Health, Upstream, UpstreamTls, Workers};
use super::super::model;
use super::super::place::Place;
use super::super::problem::quoted;
use super::pool::{Room, idle_timeout, queue};
use super::text::is_identifier;
use super::{Check, Names, all};

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

/// What an upstream may be without.
struct Extras {
    affinity: Option<Affinity>,
    health: Option<Health>,
    ejection: Option<Ejection>,
    tls: Option<UpstreamTls>,
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
        let affinities = upstreams.iter().filter_map(|named| {
            let affinity = named.model.affinity.as_ref()?;
            Some((named.name, affinity, named.place.key("affinity")))
        });
        self.no_shared_cookie(affinities);
        let checked = upstreams.iter().map(|named| self.upstream(named)).collect();
        all(checked)
    }

    fn upstream(&mut self, named: &Named<'_>) -> Option<Upstream> {
        let Named { name, place_of_name, model, place } = named;
        let name_is_fine = is_identifier(name);
        if !name_is_fine {
            let allowed = "1 to 64 letters, digits, - and _";
            self.report(place_of_name.problem_with("is not a name", quoted(name), allowed));
        }
        let room = Room::of(model);
        let connections = self.connections(model, room, place);
        let workers = self.workers(model, place);
        let balance = self.balance(model, place);
        let extras = self.extras(model, place);
        let slots = self.slots(model, room, place);
        let retry = self.retry(&model.retry, &place.key("retry"));
        let Extras { affinity, health, ejection, tls } = extras?;
        let upstream = Upstream {
            name: (*name).to_owned(),
            workers: workers?,
            balance: balance?,
            affinity,
            health,
            ejection,
            slow_start: model.slow_start.0.map(|span| span.0),
            connections: connections?,
            slots,
            max_connections: room.map(|room| room.connections),
            queue: queue(&model.queue),
            retry: retry?,
            tls,
        };
        name_is_fine.then_some(upstream)
    }

    fn extras(&mut self, model: &model::Upstream, place: &Place<'_>) -> Option<Extras> {
        let affinity = match &model.affinity {
            Some(affinity) => self.affinity(affinity, &place.key("affinity")).map(Some),
            None => Some(None),
        };
        let default = model::Passive::default();
        let (health, passive) = match &model.health {
            Some(health) => (self.health(health, &place.key("health")), &health.passive),
            None => (Some(None), &default),
        };
        let ejection = self.ejection(passive, &place.key("health").key("passive"));
        let tls = match &model.tls {
            Some(tls) => self.tls(tls, model, place).map(Some),
            None => Some(None),
        };
        Some(Extras { affinity: affinity?, health: health?, ejection: ejection?, tls: tls? })
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
}
