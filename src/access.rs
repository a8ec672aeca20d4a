//! Who gets in, and how often.
//!
//! [`admits`] looks at a client's address, [`RateLimiter`] at how often somebody came. Both are asked with everything
//! they need, the time too. Pure: must not read a clock, answer anybody, or know what a route is. What a refusal
//! looks like is `outcome`'s, the texts that tell a client how it stands are [`policy_value`] and [`state_value`].

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config;

pub use rate_limit::{Key, RateLimiter, Verdict};
pub use rate_limit_headers::{policy_value, state_value};

mod rate_limit;
mod rate_limit_headers;

/// Whether a client gets in. `deny` wins over `allow`. An IPv4-mapped IPv6 address counts as IPv4.
///
/// A client without an address, at the end of a Unix socket, is in no network: it gets in unless `allow` asks for
/// one.
pub fn admits(access: &config::Access, client: Option<IpAddr>) -> bool {
    let client = client.map(|ip| ip.to_canonical());
    let is_in = |networks: &[IpNet]| {
        client.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip)))
    };
    !is_in(&access.deny) && (access.allow.is_empty() || is_in(&access.allow))
}

#[cfg(test)]
mod tests;
