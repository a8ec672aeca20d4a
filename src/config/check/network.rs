//! Listeners, the admin address, trusted proxies and name servers.

use std::path::Path;

use ipnet::IpNet;

use super::super::checked::{Address, Listener, Resolver};
use super::super::model;
use super::super::place::Place;
use super::address::{self, Use};
use super::{Check, all};

/// Something that listens, and where the file says so.
type Listening<'p, T> = Option<(T, Place<'p>)>;

impl Check<'_> {
    pub(super) fn listeners<'p>(
        &mut self,
        listeners: &[model::Listener],
        place: &Place<'p>,
    ) -> Vec<Listening<'p, Listener>> {
        if self.not_empty(listeners, place, "at least one listener").is_none() {
            return vec![None];
        }
        let listeners = listeners.iter().enumerate();
        listeners.map(|(index, model)| self.listener(model, &place.item(index))).collect()
    }

    fn listener<'p>(
        &mut self,
        model: &model::Listener,
        place: &Place<'p>,
    ) -> Listening<'p, Listener> {
        let place = place.key("address");
        let address = self.address(model.address.as_deref()?, &place, Use::Listen)?;
        let listener = Listener {
            address,
            http2: model.http2,
            max_connections: usize::try_from(model.max_connections).unwrap_or(usize::MAX),
            header_timeout: model.header_timeout.0,
            idle_timeout: model.idle_timeout.0,
        };
        Some((listener, place))
    }

    pub(super) fn admin<'p>(
        &mut self,
        model: &model::Admin,
        place: &Place<'p>,
    ) -> Listening<'p, Address> {
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
    pub(super) fn no_overlap(
        &mut self,
        listeners: &[Listening<'_, Listener>],
        admin: Option<&(Address, Place<'_>)>,
    ) {
        let listeners = listeners.iter().flatten().map(|(listener, at)| (&listener.address, at));
        let listening: Vec<_> = listeners.chain(admin.map(|(address, at)| (address, at))).collect();
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

    pub(super) fn trusted_proxies(
        &mut self,
        proxies: &[String],
        place: &Place<'_>,
    ) -> Option<Vec<IpNet>> {
        let proxies = proxies.iter().enumerate().map(|(index, text)| {
            let parsed = address::network(text);
            self.parsed(parsed, &place.item(index))
        });
        all(proxies.collect())
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
