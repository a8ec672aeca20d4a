//! What a request is served by: routes and upstreams of one configuration, swapped as a whole.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use crate::access::{self, RateLimiter};
use crate::client::TrustedProxies;
use crate::config::{Config, Retry, Route};
use crate::routing::Table;
use crate::telemetry::{Metrics, RateLimitMode, RouteMetrics, UpstreamMetrics};
use crate::upstream::Upstream;

/// One configuration, ready to serve.
pub struct Snapshot {
    pub table: Table,
    pub routes: Vec<ServedRoute>,
    pub upstreams: Vec<ServedUpstream>,
    pub trusted: TrustedProxies,
}

/// A route and what counts its requests.
pub struct ServedRoute {
    pub config: Route,
    pub metrics: RouteMetrics,
    /// Of its `rate_limit`.
    pub limit: Option<ServedLimit>,
}

/// A route's rate limit and what clients are told of it.
pub struct ServedLimit {
    pub limiter: RateLimiter,
    /// `RateLimit-Policy`, the same for every response.
    pub policy: HeaderValue,
}

/// An upstream and what counts its requests.
pub struct ServedUpstream {
    pub pool: Arc<Upstream>,
    pub metrics: Arc<UpstreamMetrics>,
    pub retry: Retry,
}

impl Snapshot {
    /// Compiles `config` over `upstreams`, which are in its order.
    pub fn new(config: &Config, upstreams: &[Arc<Upstream>], metrics: &Metrics) -> Self {
        let routes = config.routes.iter().map(|route| ServedRoute::new(route, metrics));
        let upstreams =
            upstreams.iter().zip(&config.upstreams).map(|(pool, settings)| ServedUpstream {
                metrics: metrics.upstream(pool.name()),
                pool: Arc::clone(pool),
                retry: settings.retry.clone(),
            });
        Self {
            table: Table::compile(&config.routes),
            routes: routes.collect(),
            upstreams: upstreams.collect(),
            trusted: TrustedProxies::new(&config.trusted_proxies)
                .with_headers(&config.trusted_headers),
        }
    }
}

impl ServedRoute {
    fn new(route: &Route, metrics: &Metrics) -> Self {
        let metrics = metrics.route(&route.name);
        let limit = route.rate_limit.as_ref().map(|limit| {
            let mode = if limit.dry_run { RateLimitMode::DryRun } else { RateLimitMode::Refused };
            metrics.expect_rate_limit(mode);
            ServedLimit {
                limiter: RateLimiter::new(limit, Instant::now()),
                policy: access::policy_value(limit),
            }
        });
        Self { config: route.clone(), metrics, limit }
    }
}
