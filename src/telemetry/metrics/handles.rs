//! The handles through which the rest of the edge counts.
//!
//! A series that says nothing before its first event (ejections, retries) comes with it; one whose zero is an answer (a
//! queue that is empty), or whose first event is to be seen as an increase (what an attack does), is there from the start.

use prometheus::IntGauge;

mod connection;
mod listener;
mod route;
mod upstream;
mod worker;

pub use connection::ConnectionGuard;
pub use listener::{ConnectionRefusal, HandshakeResult, ListenerMetrics};
pub use route::{RateLimitMode, RouteMetrics};
pub use upstream::UpstreamMetrics;
pub use worker::{CheckResult, ConnectResult, ConnectionKind, WorkerMetrics};

/// Counts as one in a gauge until it is dropped.
#[must_use = "it counts only while it is held"]
pub struct GaugeGuard(IntGauge);

impl GaugeGuard {
    fn enter(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A gauge of things, of which there are never less than none.
fn count(gauge: &IntGauge) -> u64 {
    u64::try_from(gauge.get()).unwrap_or(0)
}
