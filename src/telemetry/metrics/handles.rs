//! The handles through which the rest of the edge counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{Histogram, IntGauge};

use super::Series;
use super::families::remove_series;
use super::slots::Slots;

/// Methods that are a label of their own: RFC 9110 §9.3 and RFC 5789. Any other is `other`, as a
/// client may send whatever it likes.
const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
const OTHER: &str = "other";

/// Counts the requests of one route.
pub struct RouteMetrics {
    series: Arc<Series>,
    name: Box<str>,
    duration: Histogram,
    /// By method label and status code.
    requests: Slots<(&'static str, u16), 16>,
}

impl RouteMetrics {
    pub(super) fn new(series: &Arc<Series>, name: &str) -> Self {
        Self {
            duration: series.families.request_duration.with_label_values(&[name]),
            series: Arc::clone(series),
            name: name.into(),
            requests: Slots::default(),
        }
    }

    /// The route's name, as in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn count(&self, method: &str, status: u16, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER);
        // The label is the exact code; an application may make up codes, but not series.
        let code = if (100..600).contains(&status) { status } else { 0 };
        self.requests.add_one((method, code), || {
            let mut digits = itoa::Buffer::new();
            let code = if code == 0 { OTHER } else { digits.format(code) };
            self.series.families.requests.with_label_values(&[self.name(), method, code])
        });
    }
}

/// Counts what happens to one upstream. Its series go with it.
pub struct UpstreamMetrics {
    series: Arc<Series>,
    name: String,
    in_flight: IntGauge,
}

impl UpstreamMetrics {
    pub(super) fn new(series: &Arc<Series>, name: &str) -> Self {
        Self {
            in_flight: series.families.requests_in_flight.with_label_values(&[name]),
            series: Arc::clone(series),
            name: name.to_owned(),
        }
    }

    /// One request is in flight until the guard is dropped.
    pub fn request(&self) -> GaugeGuard {
        GaugeGuard::enter(&self.in_flight)
    }

    /// Requests that are in flight now.
    pub fn in_flight(&self) -> u64 {
        count(&self.in_flight)
    }

    /// A request was sent again. `reason` is one of a fixed set of words.
    pub fn retried(&self, reason: &'static str) {
        self.series.families.retries.with_label_values(&[self.name.as_str(), reason]).inc();
    }

    /// A worker process was started in place of one before. `reason` is one of a fixed set.
    pub fn worker_restarted(&self, reason: &'static str) {
        let restarts = &self.series.families.worker_restarts;
        restarts.with_label_values(&[self.name.as_str(), reason]).inc();
    }
}

impl Drop for UpstreamMetrics {
    fn drop(&mut self) {
        self.series.upstreams.forget(&self.name, self, || {
            let labels = [("upstream", self.name.as_str())];
            remove_series(&self.series.families.requests_in_flight, &labels);
            remove_series(&self.series.families.retries, &labels);
            remove_series(&self.series.families.worker_restarts, &labels);
        });
    }
}

/// How an attempt to connect to a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectResult {
    Connected,
    /// Nobody listens there.
    Refused,
    TimedOut,
    /// Anything else, TLS included.
    Failed,
}

impl ConnectResult {
    fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }
}

/// Counts what happens to one worker and its connections. Its series go with it.
pub struct WorkerMetrics {
    series: Arc<Series>,
    /// Upstream and worker.
    names: (String, String),
    up: IntGauge,
    idle: IntGauge,
    active: IntGauge,
}

impl WorkerMetrics {
    /// The worker starts out down.
    pub(super) fn new(series: &Arc<Series>, upstream: &str, worker: &str) -> Self {
        let connections = &series.families.upstream_connections;
        Self {
            up: series.families.worker_up.with_label_values(&[upstream, worker]),
            idle: connections.with_label_values(&[upstream, worker, "idle"]),
            active: connections.with_label_values(&[upstream, worker, "active"]),
            series: Arc::clone(series),
            names: (upstream.to_owned(), worker.to_owned()),
        }
    }

    /// The worker takes requests.
    pub fn mark_up(&self) {
        self.up.set(1);
    }

    /// The worker takes no requests.
    pub fn mark_down(&self) {
        self.up.set(0);
    }

    /// An attempt to connect ended.
    pub fn connect_ended(&self, result: ConnectResult) {
        let (upstream, worker) = &self.names;
        let labels = [upstream.as_str(), worker.as_str(), result.label()];
        // A lookup by label, which is small beside the connect it counts.
        self.series.families.upstream_connects.with_label_values(&labels).inc();
    }

    /// Connections that are open and in use now, over all generations of the worker.
    pub fn active(&self) -> u64 {
        count(&self.active)
    }

    /// One connection is open, and active at first, until the guard is dropped.
    pub fn connection(&self) -> ConnectionGuard {
        self.active.inc();
        ConnectionGuard {
            idle: self.idle.clone(),
            active: self.active.clone(),
            is_idle: AtomicBool::new(false),
        }
    }
}

impl Drop for WorkerMetrics {
    fn drop(&mut self) {
        self.series.workers.forget(&self.names, self, || {
            let labels = [("upstream", self.names.0.as_str()), ("worker", self.names.1.as_str())];
            remove_series(&self.series.families.worker_up, &labels);
            remove_series(&self.series.families.upstream_connections, &labels);
            remove_series(&self.series.families.upstream_connects, &labels);
        });
    }
}

/// One open connection to a worker, in the gauge of the state it is in.
pub struct ConnectionGuard {
    idle: IntGauge,
    active: IntGauge,
    is_idle: AtomicBool,
}

impl ConnectionGuard {
    /// The connection was put aside for reuse.
    pub fn mark_idle(&self) {
        if !self.is_idle.swap(true, Ordering::Relaxed) {
            self.active.dec();
            self.idle.inc();
        }
    }

    /// The connection was taken up again.
    pub fn mark_active(&self) {
        if self.is_idle.swap(false, Ordering::Relaxed) {
            self.idle.dec();
            self.active.inc();
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let gauge = if *self.is_idle.get_mut() { &self.idle } else { &self.active };
        gauge.dec();
    }
}

/// Counts the client connections of one listener. Its series go with it.
pub struct ListenerMetrics {
    series: Arc<Series>,
    name: String,
    connections: IntGauge,
}

impl ListenerMetrics {
    pub(super) fn new(series: &Arc<Series>, name: &str) -> Self {
        Self {
            connections: series.families.listener_connections.with_label_values(&[name]),
            series: Arc::clone(series),
            name: name.to_owned(),
        }
    }

    /// Client connections that are open now.
    pub fn open(&self) -> u64 {
        count(&self.connections)
    }

    /// One client connection is open until the guard is dropped.
    pub fn connection(&self) -> GaugeGuard {
        GaugeGuard::enter(&self.connections)
    }
}

impl Drop for ListenerMetrics {
    fn drop(&mut self) {
        self.series.listeners.forget(&self.name, self, || {
            let labels = [("listener", self.name.as_str())];
            remove_series(&self.series.families.listener_connections, &labels);
        });
    }
}

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
