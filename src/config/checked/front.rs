//! What a route does at the front door: who gets in, how often, and which headers change.

use std::num::NonZeroU32;
use std::time::Duration;

use http::header::HeaderName;
use ipnet::IpNet;

use super::Template;

/// Who gets in, by client address. IPv4 networks stand for IPv4-mapped IPv6 addresses too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The client must be in one of them; empty: every client gets in.
    pub allow: Vec<IpNet>,
    /// Whoever is in one of them does not get in, whatever `allow` says.
    pub deny: Vec<IpNet>,
}

/// A token bucket for each value of `key`. It holds `requests + burst`, which fits a `u32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Come back in each `per`.
    pub requests: NonZeroU32,
    /// At least a millisecond.
    pub per: Duration,
    pub burst: u32,
    pub key: RateKey,
    /// Nobody is refused; it is only counted and logged.
    pub dry_run: bool,
}

/// What has a bucket of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateKey {
    ClientIp,
    /// All requests of the route share one.
    Route,
    Header(HeaderName),
    /// Name of a cookie: a token (RFC 6265 §4.1.1).
    Cookie(String),
}

/// Changes of headers on the way to the worker and on the way back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// Empty unless the action is [`Proxy`](super::Action::Proxy).
    pub request: HeaderChanges,
    pub response: HeaderChanges,
}

/// To be applied in this order: `remove`, `set`, `add`. No name is in `remove` and in another list, and
/// none is that of a header which frames a message or which asgate writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Each name once; all lines with it give way to the one.
    pub set: Vec<(HeaderName, Template)>,
    /// Each name once; comes beside the lines with it.
    pub add: Vec<(HeaderName, Template)>,
    /// All lines with the name go.
    pub remove: Vec<HeaderName>,
}

impl HeaderChanges {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}
