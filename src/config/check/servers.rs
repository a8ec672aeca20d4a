//! Workers that something else started: where they are, and TLS to them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::super::checked::{Address, Server, ServerAddress, UpstreamTls};
use super::super::model;
use super::super::place::Place;
use super::address::{self, SERVER};
use super::text::is_dns_name;
use super::{Check, all};

impl Check<'_> {
    pub(super) fn servers(
        &mut self,
        servers: &[model::Server],
        place: &Place<'_>,
    ) -> Option<Vec<Server>> {
        self.not_empty(servers, place, "at least one server")?;
        let mut seen = HashMap::new();
        let mut checked = Vec::with_capacity(servers.len());
        for (index, model) in servers.iter().enumerate() {
            let place = place.item(index).key("address");
            let text = model.address.as_deref();
            let address = text.and_then(|text| self.server_address(text, &place));
            if let Some(address) = &address
                && let Some(first) = seen.insert(without_case(address), index)
            {
                let what = format!("is the address of servers[{first}] again");
                self.report(place.problem(what, format!("another {SERVER}; or a weight there")));
            }
            checked.push(address.map(|address| Server { address, weight: model.weight }));
        }
        all(checked)
    }

    fn server_address(&mut self, text: &str, place: &Place<'_>) -> Option<ServerAddress> {
        let address = self.parsed(address::server(text, self.base), place)?;
        if let ServerAddress::Name { host, port } = &address
            && host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
        {
            let what = "may be ::1, where servers that listen on 127.0.0.1 are not";
            self.warn(place.problem(what, format!("127.0.0.1:{port}")));
        }
        Some(address)
    }

    /// `place` is that of the upstream.
    pub(super) fn tls(
        &mut self,
        model: &model::Tls,
        upstream: &model::Upstream,
        place: &Place<'_>,
    ) -> Option<UpstreamTls> {
        let Some(servers) = &upstream.servers else {
            if upstream.app.is_some() && !self.is_damaged(place) {
                let allowed = "this key with servers only: asgate starts workers without TLS";
                self.report(place.key("tls").problem("has no effect with app", allowed));
            }
            return None;
        };
        let is_reachable = self.no_unix_socket(servers, &place.key("servers"));
        let place = place.key("tls");
        let sni = match &model.sni {
            Some(sni) => self.sni(sni, &place.key("sni")).map(Some),
            None => Some(None),
        };
        let ca = match &model.ca {
            Some(ca) => self.ca(ca, model.verify, &place).map(Some),
            None => Some(None),
        };
        is_reachable?;
        Some(UpstreamTls { sni: sni?, ca: ca?, verify: model.verify })
    }

    fn no_unix_socket(&mut self, servers: &[model::Server], place: &Place<'_>) -> Option<()> {
        let mut is_fine = Some(());
        for (index, server) in servers.iter().enumerate() {
            if server.address.as_deref().is_some_and(|address| address.starts_with("unix:")) {
                let place = place.item(index).key("address");
                let what = "is a Unix socket, which is not spoken TLS to";
                self.report(place.problem(what, "ip:port, [v6]:port, name:port, or no tls"));
                is_fine = None;
            }
        }
        is_fine
    }

    fn sni(&mut self, text: &str, place: &Place<'_>) -> Option<String> {
        if is_dns_name(text) || text.parse::<IpAddr>().is_ok() {
            return Some(text.to_owned());
        }
        let allowed = "a name such as app.internal, or an IP address, without a port";
        self.report(place.problem("is not a name that a certificate is for", allowed));
        None
    }

    /// `place` is that of `tls`.
    fn ca(&mut self, ca: &str, verify: bool, place: &Place<'_>) -> Option<PathBuf> {
        let place_of_ca = place.key("ca");
        if verify {
            return self.authorities(ca, &place_of_ca);
        }
        let allowed = "verify: true, or no ca";
        self.report(place_of_ca.problem("is not looked at with verify: false", allowed));
        None
    }
}

/// The same for two that lead to the same place: letter case makes no difference in host names.
fn without_case(address: &ServerAddress) -> ServerAddress {
    match address {
        ServerAddress::Name { host, port } => {
            ServerAddress::Name { host: host.to_ascii_lowercase(), port: *port }
        }
        ServerAddress::Known(Address::Tcp(_) | Address::Unix(_)) => address.clone(),
    }
}
