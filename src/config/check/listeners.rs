//! Listeners: their addresses, how many clients they take, and what comes before HTTP.

use std::net::SocketAddr;

use super::super::checked::{Address, Listener};
use super::super::model::{self, NumberOrOff};
use super::super::place::Place;
use super::address::Use;
use super::network::Listening;
use super::{Check, all};

/// Where `https` is, unless a listener says otherwise (RFC 9110 §4.2.2).
const HTTPS: u16 = 443;

/// What a listener has to know of the rest of the file.
#[derive(Clone, Copy)]
struct Surroundings {
    /// Where clients are sent that should have come over TLS.
    https: u16,
    /// There are no trusted proxies, and none was refused.
    nobody_is_trusted: bool,
}

impl Check<'_> {
    /// The listeners, and beside them where they listen, those included that something else is wrong with.
    pub(super) fn listeners<'p>(
        &mut self,
        file: &model::File,
        root: &Place<'p>,
    ) -> (Option<Vec<Listener>>, Vec<Listening<'p>>) {
        let place = root.key("listeners");
        if self.not_empty(&file.listeners, &place, "at least one listener").is_none() {
            return (None, Vec::new());
        }
        let nobody_is_trusted = file.trusted_proxies.is_empty()
            && !self.is_damaged(root)
            && !self.is_damaged(&root.key("trusted_proxies"));
        let surroundings = Surroundings { https: https_port(&file.listeners), nobody_is_trusted };
        let (mut checked, mut listening) = (Vec::new(), Vec::new());
        for (index, model) in file.listeners.iter().enumerate() {
            let place = place.item(index);
            let address = self.listener_address(model, &place.key("address"));
            checked.push(self.listener(model, address.clone(), &place, surroundings));
            listening.extend(address.map(|address| (address, place.key("address"))));
        }
        (all(checked), listening)
    }

    fn listener_address(&mut self, model: &model::Listener, place: &Place<'_>) -> Option<Address> {
        self.address(model.address.as_deref()?, place, Use::Listen)
    }

    fn listener(
        &mut self,
        model: &model::Listener,
        address: Option<Address>,
        place: &Place<'_>,
        surroundings: Surroundings,
    ) -> Option<Listener> {
        let redirect_to_https = self.redirect_to_https(model, place, surroundings.https);
        let proxy_protocol = self.proxy_protocol(model, place, surroundings.nobody_is_trusted);
        let max_connections_per_address = self.per_address(model, place);
        let tls = match &model.tls {
            Some(tls) => self.tls_of_listener(tls, model, place).map(Some),
            None => Some(None),
        };
        Some(Listener {
            address: address?,
            http2: model.http2.unwrap_or(model.tls.is_some()),
            max_connections: number(model.max_connections),
            max_connections_per_address,
            header_timeout: model.header_timeout.0,
            idle_timeout: model.idle_timeout.0,
            redirect_to_https: redirect_to_https?,
            proxy_protocol: proxy_protocol?,
            tls: tls?,
        })
    }

    fn redirect_to_https(
        &mut self,
        model: &model::Listener,
        place: &Place<'_>,
        https: u16,
    ) -> Option<Option<u16>> {
        if model.redirect_to_https && model.tls.is_some() {
            let allowed = "this key on a listener without tls";
            let place = place.key("redirect_to_https");
            self.report(place.problem("sends clients from TLS to TLS", allowed));
            return None;
        }
        Some(model.redirect_to_https.then_some(https))
    }

    fn proxy_protocol(
        &mut self,
        model: &model::Listener,
        place: &Place<'_>,
        nobody_is_trusted: bool,
    ) -> Option<bool> {
        if model.proxy_protocol && nobody_is_trusted && !is_unix(model) {
            let what = "lets nobody connect while there are no trusted_proxies";
            let allowed = "this key with trusted_proxies, or on a Unix socket";
            self.report(place.key("proxy_protocol").problem(what, allowed));
            return None;
        }
        Some(model.proxy_protocol)
    }

    /// What is allowed for one address; more than for all of them together has no effect.
    fn per_address(&mut self, model: &model::Listener, place: &Place<'_>) -> Option<usize> {
        let NumberOrOff::Number(most) = model.max_connections_per_address else {
            return None;
        };
        if most.get() > model.max_connections {
            let advised = format!("at most {}", model.max_connections);
            let place = place.key("max_connections_per_address");
            self.warn(place.problem("is more than max_connections", advised));
        }
        Some(number(most.get()))
    }
}

/// Whether it listens on a Unix socket, or would if that were not refused.
pub fn is_unix(listener: &model::Listener) -> bool {
    listener.address.as_deref().is_some_and(|address| address.starts_with("unix:"))
}

/// The port of the first listener with TLS, where that is known before it listens.
fn https_port(listeners: &[model::Listener]) -> u16 {
    let first = listeners.iter().find(|listener| listener.tls.is_some());
    let address = first.and_then(|listener| listener.address.as_deref()?.parse().ok());
    address.map(|address: SocketAddr| address.port()).filter(|port| *port != 0).unwrap_or(HTTPS)
}

/// Of connections or handshakes; there are never more than fit.
pub fn number(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
