//! Behind a proxy that speaks the PROXY protocol, version 1 or 2, the client is who the proxy says, on every kind of listener;
//! and nobody but a trusted peer may say so.

mod headers;
mod proxies;
mod refused;

use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::stub::Stub;

const TRUSTED: &str = "trusted_proxies: [127.0.0.1]\ntrusted_headers: [X-Client-Cert-Subject]";

/// An edge before an echoing worker whose listener has these keys, beside `proxy_protocol`.
fn edge(stub: &Stub, listener: &str) -> Edge {
    let comma = if listener.is_empty() { "" } else { ", " };
    let listener = format!("proxy_protocol: true{comma}{listener}");
    Front { listeners: &[&listener], file: TRUSTED, ..Front::default() }.before(stub.address())
}

/// The values of a header in what an echoing worker got.
fn values<'a>(got: &'a str, name: &str) -> Vec<&'a str> {
    let lines = got.split("\r\n").filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}
