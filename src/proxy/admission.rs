//! Whether a request may be served, and by which route: routing, limits, addresses, rates.

use std::time::Instant;

use http::HeaderMap;

use crate::access::{self, Key};
use crate::client::{Identity, Scheme};
use crate::config::{Limits, RateKey, RateLimit};
use crate::outcome::Cause;
use crate::telemetry::RateLimitMode;

use super::cookies;
use super::exchange::Exchange;
use super::request::{Body, Request};
use super::snapshot::ServedRoute;

/// What is done with a request that may be served.
pub enum Admission {
    /// What the route says; its index.
    Route(usize),
    /// It is to come back over TLS, at this port.
    Https(u16),
}

/// Finds the route of a request and holds it to the route's rules.
///
/// # Errors
/// The [`Cause`] to answer it with.
pub fn admit(
    request: &Request,
    headers: &HeaderMap,
    identity: &Identity,
    exchange: &mut Exchange,
) -> Result<Admission, Cause> {
    let snapshot = exchange.snapshot.clone();
    let index = snapshot.table.find(&request.for_routing(headers)).ok_or(Cause::NoRoute)?;
    exchange.route = Some(index);
    let route = snapshot.routes.get(index).ok_or(Cause::NoRoute)?;
    within(request, &route.config.limits)?;
    if !access::admits(&route.config.access, identity.ip) {
        return Err(Cause::Denied);
    }
    if let Some(port) =
        exchange.connection.listener.redirect_to_https.filter(|_| identity.scheme == Scheme::Http)
    {
        return Ok(Admission::Https(port));
    }
    spend(route, headers, identity, exchange)?;
    Ok(Admission::Route(index))
}

fn within(request: &Request, limits: &Limits) -> Result<(), Cause> {
    if request.target_size > limits.uri {
        return Err(Cause::UriTooLong);
    }
    if request.head_size > limits.header {
        return Err(Cause::HeaderTooLarge);
    }
    if request.lines > limits.headers {
        return Err(Cause::TooManyHeaders);
    }
    match (request.body, limits.body) {
        (Body::Length(length), Some(limit)) if length > limit => Err(Cause::BodyTooLarge),
        _ => Ok(()),
    }
}

/// Takes a token of the route's rate limit.
fn spend(
    route: &ServedRoute,
    headers: &HeaderMap,
    identity: &Identity,
    exchange: &mut Exchange,
) -> Result<(), Cause> {
    let (Some(served), Some(limit)) = (&route.limit, &route.config.rate_limit) else {
        return Ok(());
    };
    let verdict = served.limiter.take(key(limit, headers, identity), Instant::now());
    if limit.dry_run {
        if !verdict.admitted {
            route.metrics.rate_limited(RateLimitMode::DryRun);
            exchange.rate_limit_dry_run = true;
        }
        return Ok(());
    }
    exchange.rate = Some(verdict);
    if verdict.admitted {
        return Ok(());
    }
    route.metrics.rate_limited(RateLimitMode::Refused);
    Err(Cause::RateLimited)
}

fn key<'a>(limit: &RateLimit, headers: &'a HeaderMap, identity: &Identity) -> Key<'a> {
    match &limit.key {
        RateKey::ClientIp => Key::Address(identity.ip),
        RateKey::Route => Key::Route,
        RateKey::Header(name) => Key::Text(headers.get(name).map(http::HeaderValue::as_bytes)),
        RateKey::Cookie(name) => Key::Text(cookies::value(headers, name).map(str::as_bytes)),
    }
}
