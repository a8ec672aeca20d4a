//! What an upstream's hash is taken over, where it chooses workers by one.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use crate::client::Identity;
use crate::config::HashKey;
use crate::routing;

use super::cookies;
use super::request::Request;

/// The bytes that `kind` says; `None` when the request has none of that kind.
pub fn of(
    kind: &HashKey,
    request: &Request,
    headers: &HeaderMap,
    identity: &Identity,
) -> Option<Arc<[u8]>> {
    match kind {
        HashKey::ClientIp => identity.ip.map(|ip| match ip {
            IpAddr::V4(ip) => Arc::from(ip.octets()),
            IpAddr::V6(ip) => Arc::from(ip.octets()),
        }),
        HashKey::Path => Some(request.path.as_bytes().into()),
        HashKey::Header(name) => headers.get(name).map(|value| value.as_bytes().into()),
        HashKey::Cookie(name) => cookies::value(headers, name).map(|value| value.as_bytes().into()),
        HashKey::Query(name) => {
            let value = routing::parameter(request.query.as_deref(), name);
            value.map(|value| value.as_bytes().into())
        }
    }
}
