//! The admin address, networks and name servers; no two things on one address.

use std::path::Path;

use ipnet::IpNet;

use super::super::checked::{Address, Resolver};
use super::super::model;
use super::super::place::Place;
use super::address::{self, Use};
use super::{Check, all};

/// An address to listen on, and where the file says so.
pub type Listening<'p> = (Address, Place<'p>);

impl Check<'_> {
    pub(super) fn admin<'p>(
        &mut self,
        model: &model::Admin,
        place: &Place<'p>,
    ) -> Option<Listening<'p>> {
        let place = place.key("address");
        let address = self.address(model.address.as_deref()?, &place, Use::Listen)?;
        if let Address::Tcp(tcp) = &address
            && !tcp.ip().is_loopback()
        {
            let allowed = "a loopback address or a Unix socket: others need a token, which is \
                           not implemented yet";
            self.report(place.problem("can be reached from other machines", allowed));
            return None;
        }
        Some((address, place))
    }

    /// No two listeners, the admin API included, on the same address.
    pub(super) fn no_overlap(&mut self, listening: &[Listening<'_>]) {
        for (index, (address, place)) in listening.iter().enumerate() {
            let earlier = listening.iter().take(index);
            let taken = earlier.into_iter().find(|(other, _)| address::overlap(address, other));
            if let Some((_, at)) = taken {
                let (path, position) = (at.path(), at.line_and_column());
                let what = format!("overlaps {path} at {position}");
                self.report(place.problem(what, "an address that nothing else listens on"));
            }
        }
    }

    pub(super) fn networks(&mut self, list: &[String], place: &Place<'_>) -> Option<Vec<IpNet>> {
        let networks = list.iter().enumerate().map(|(index, text)| {
            let parsed = address::network(text);
            self.parsed(parsed, &place.item(index))
        });
        all(networks.collect())
    }

    pub(super) fn resolver(
        &mut self,
        model: &model::Resolver,
        place: &Place<'_>,
    ) -> Option<Resolver> {
        let place = place.key("servers");
        let servers = model.servers.iter().enumerate().map(|(index, text)| {
            let parsed = address::name_server(text);
            self.parsed(parsed, &place.item(index))
        });
        Some(Resolver { servers: all(servers.collect())? })
    }

    /// An address, with its problem reported.
    pub(super) fn address(
        &mut self,
        text: &str,
        place: &Place<'_>,
        used_to: Use,
    ) -> Option<Address> {
        let base: &Path = self.base;
        self.parsed(address::parse(text, base, used_to), place)
    }

    /// A parsed value, or a report of what is wrong with it and what is allowed.
    pub(super) fn parsed<T>(
        &mut self,
        parsed: Result<T, (String, String)>,
        place: &Place<'_>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err((what, allowed)) => {
                self.report(place.problem(what, allowed));
                None
            }
        }
    }
}
