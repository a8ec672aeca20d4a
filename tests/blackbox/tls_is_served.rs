//! HTTPS as every client knows it: versions, names, key types, resumption, and all that works without TLS works with it.

mod clients;
mod endings;
mod handshakes;
mod names;
mod traffic;

use std::net::SocketAddr;

use crate::support::certificates::{Authority, Certificate};
use crate::support::edge::Edge;
use crate::support::front::Front;

/// What a client calls the site.
const SITE: &str = "site.test";

/// The certificate of [`SITE`] and of its address.
fn certificate(authority: &Authority) -> Certificate {
    authority.sign("site", &[SITE, "127.0.0.1"])
}

/// An edge with one TLS listener for [`SITE`], with these further keys of `tls` and of the listener.
fn site(authority: &Authority, worker: SocketAddr, tls: &str, listener: &str) -> Edge {
    let items = certificate(authority).item();
    Front { listeners: &[&secured(&items, tls, listener)], ..Front::default() }.before(worker)
}

/// The keys of a TLS listener with these certificates.
fn secured(certificates: &str, tls: &str, listener: &str) -> String {
    let more = |keys: &str| if keys.is_empty() { String::new() } else { format!(", {keys}") };
    format!("tls: {{ certificates: [{certificates}]{} }}{}", more(tls), more(listener))
}

/// How many handshakes ended with this result.
fn handshakes(result: &str) -> String {
    format!("asgate_tls_handshakes_total{{listener=\"127.0.0.1:0\",result=\"{result}\"}}")
}
