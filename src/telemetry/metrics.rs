//! Metrics in the Prometheus text format, under the names of the project's contract.
//!
//! Whoever makes a route, upstream, worker or listener gets a handle once and counts through
//! it: a few atomic additions, no lookup by label. The labels are configured names or words of
//! fixed sets; nothing a client chose becomes one, so the number of series stays bounded.
//! Knows nothing of requests beyond the [`Exchange`] it is given.

use std::sync::Arc;

use prometheus::{IntCounter, IntGaugeVec, Opts, Registry, TextEncoder};

use super::access::Exchange;
use super::process;

mod families;
mod handles;
mod live;
mod slots;
#[cfg(test)]
mod tests;

use families::Families;
use live::Live;
use slots::Slots;

pub use handles::{
    CheckResult, ConnectResult, ConnectionGuard, ConnectionKind, ConnectionRefusal, GaugeGuard,
    HandshakeResult, ListenerMetrics, RateLimitMode, RouteMetrics, UpstreamMetrics, WorkerMetrics,
};

/// The route label of requests that no route took.
const NO_ROUTE: &str = "none";

/// All metrics of one edge.
pub struct Metrics {
    registry: Registry,
    series: Arc<Series>,
    no_route: RouteMetrics,
    terminations: Slots<&'static str, 24>,
}

/// The families, and the handles that are out on them.
struct Series {
    families: Families,
    upstreams: Live<String, UpstreamMetrics>,
    /// By upstream and worker.
    workers: Live<(String, String), WorkerMetrics>,
    listeners: Live<String, ListenerMetrics>,
}

impl Metrics {
    /// Metrics of their own, shared with nothing else in the process.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let series = Arc::new(Series {
            families: Families::register(&registry)?,
            upstreams: Live::default(),
            workers: Live::default(),
            listeners: Live::default(),
        });
        let build = IntGaugeVec::new(Opts::new("asgate_build_info", "Always 1."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        let no_route = RouteMetrics::new(&series, NO_ROUTE);
        Ok(Self { registry, series, no_route, terminations: Slots::default() })
    }

    /// The handle of a configured route. Handles of the same name count together, and their
    /// series stay for the life of the process.
    pub fn route(&self, name: &str) -> RouteMetrics {
        RouteMetrics::new(&self.series, name)
    }

    /// The handle of an upstream. While it is held, the same name gives the same handle; with
    /// the last one its series go. So do those of [`Metrics::worker`], [`Metrics::listener`].
    pub fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        let make = || UpstreamMetrics::new(&self.series, name);
        self.series.upstreams.get(name.to_owned(), make)
    }

    /// The handle of a worker, whichever process that is at the time.
    pub fn worker(&self, upstream: &str, worker: &str) -> Arc<WorkerMetrics> {
        let make = || WorkerMetrics::new(&self.series, upstream, worker);
        self.series.workers.get((upstream.to_owned(), worker.to_owned()), make)
    }

    /// The handle of a listener, named by its configured address.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        let make = || ListenerMetrics::new(&self.series, name);
        self.series.listeners.get(name.to_owned(), make)
    }

    /// Everything as text, format 0.0.4 (`Content-Type: text/plain; version=0.0.4`).
    pub fn render(&self) -> String {
        let mut families = self.registry.gather();
        families.extend(process::families());
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            log::error!("the metrics are incomplete: {error}");
        }
        text
    }

    /// Counts one finished exchange.
    pub(super) fn count(&self, exchange: &Exchange<'_>) {
        let route = exchange.route.unwrap_or(&self.no_route);
        route.count(exchange.method, exchange.status, exchange.duration);
        self.terminations.add_one(exchange.termination, || {
            self.series.families.terminations.with_label_values(&[exchange.termination])
        });
    }

    /// Counts log lines that were lost.
    pub(super) fn log_lines_dropped(&self) -> IntCounter {
        self.series.families.log_lines_dropped.clone()
    }
}
