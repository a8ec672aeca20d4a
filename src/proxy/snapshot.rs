//! What a request is served by: routes and upstreams of one configuration, swapped as a whole.

use std::sync::Arc;

use crate::client::TrustedProxies;
use crate::config::{Config, Retry, Route};
use crate::routing::Table;
use crate::telemetry::{Metrics, RouteMetrics, UpstreamMetrics};
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
        let routes = config.routes.iter().map(|route| ServedRoute {
            metrics: metrics.route(&route.name),
            config: route.clone(),
        });
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
            trusted: TrustedProxies::new(&config.trusted_proxies),
        }
    }
}
