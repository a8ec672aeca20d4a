//! What counts the connections of a worker, what is sent on them, and what is held against it.

use std::sync::{Arc, OnceLock};

use prometheus::{IntCounter, IntGauge};

use crate::telemetry::metrics::Series;
use crate::telemetry::metrics::families::WorkerFamilies;
use crate::telemetry::metrics::slots::Slots;

use super::connection::ConnectionGuard;
use super::count;

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
    /// Each has a slot, or [`WorkerMetrics::connects`] would miss some.
    const COUNT: usize = 4;

    fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }
}

/// What a request is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// A connection that no request was on before.
    New,
    /// One that was kept after a request.
    Reused,
}

impl ConnectionKind {
    fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Reused => "reused",
        }
    }
}

/// How a health check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    Passed,
    Failed,
}

impl CheckResult {
    const COUNT: usize = 2;

    fn label(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

/// Counts what happens to one worker and its connections, over all its generations. Its series go with it.
pub struct WorkerMetrics {
    series: Arc<Series>,
    /// Upstream and worker.
    names: (String, String),
    up: IntGauge,
    slots: IntGauge,
    idle: IntGauge,
    active: IntGauge,
    on_new: IntCounter,
    on_reused: IntCounter,
    connects: Slots<ConnectResult, { ConnectResult::COUNT }>,
    ejections: OnceLock<IntCounter>,
    checks: Slots<CheckResult, { CheckResult::COUNT }>,
}

impl WorkerMetrics {
    /// The worker starts out down.
    pub(in crate::telemetry::metrics) fn new(
        series: &Arc<Series>,
        upstream: &str,
        worker: &str,
    ) -> Self {
        let families = &series.families.worker;
        let connections =
            |state| families.connections.with_label_values(&[upstream, worker, state]);
        let requests = |kind: ConnectionKind| {
            families.requests.with_label_values(&[upstream, worker, kind.label()])
        };
        Self {
            up: families.up.with_label_values(&[upstream, worker]),
            slots: families.slots.with_label_values(&[upstream, worker]),
            idle: connections("idle"),
            active: connections("active"),
            on_new: requests(ConnectionKind::New),
            on_reused: requests(ConnectionKind::Reused),
            connects: Slots::default(),
            ejections: OnceLock::new(),
            checks: Slots::default(),
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

    /// It is given at most so many requests at a time.
    pub fn set_slots(&self, slots: usize) {
        self.slots.set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// A request, or a repetition of one, is sent to it.
    pub fn request_on(&self, kind: ConnectionKind) {
        self.sent_on(kind).inc();
    }

    /// What was sent to it so far.
    pub fn requests_on(&self, kind: ConnectionKind) -> u64 {
        self.sent_on(kind).get()
    }

    /// An attempt to connect ended.
    pub fn connect_ended(&self, result: ConnectResult) {
        self.connects.add_one(result, || {
            self.families().connects.with_label_values(&self.labels(result.label()))
        });
    }

    /// Attempts to connect so far, failed ones included.
    pub fn connects(&self) -> u64 {
        self.connects.counts().map(|(_, count)| count).sum()
    }

    /// Connections that are open and in use now.
    pub fn active(&self) -> u64 {
        count(&self.active)
    }

    /// One connection is open, and active at first, until the guard is dropped.
    pub fn connection(&self) -> ConnectionGuard {
        ConnectionGuard::open(&self.idle, &self.active)
    }

    /// It was taken out of rotation for a while because requests to it failed.
    pub fn ejected(&self) {
        let (upstream, worker) = &self.names;
        let find = || self.families().ejections.with_label_values(&[upstream, worker]);
        self.ejections.get_or_init(find).inc();
    }

    /// How often that happened so far.
    pub fn ejections(&self) -> u64 {
        self.ejections.get().map_or(0, IntCounter::get)
    }

    /// A health check ended.
    pub fn checked(&self, result: CheckResult) {
        self.checks.add_one(result, || {
            self.families().checks.with_label_values(&self.labels(result.label()))
        });
    }

    fn sent_on(&self, kind: ConnectionKind) -> &IntCounter {
        match kind {
            ConnectionKind::New => &self.on_new,
            ConnectionKind::Reused => &self.on_reused,
        }
    }

    /// The values of the labels of a family that has a third one.
    fn labels<'a>(&'a self, third: &'a str) -> [&'a str; 3] {
        [&self.names.0, &self.names.1, third]
    }

    fn families(&self) -> &WorkerFamilies {
        &self.series.families.worker
    }
}

impl Drop for WorkerMetrics {
    fn drop(&mut self) {
        let (upstream, worker) = &self.names;
        self.series.workers.forget(&self.names, self, || self.families().remove(upstream, worker));
    }
}
