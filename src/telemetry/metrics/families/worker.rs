//! The families of workers and their connections.

use prometheus::{IntCounterVec, IntGaugeVec, Result};

use super::{Registrar, remove_series};

/// Each series has the labels `upstream` and `worker`.
pub(in crate::telemetry::metrics) struct WorkerFamilies {
    pub up: IntGaugeVec,
    pub slots: IntGaugeVec,
    pub connections: IntGaugeVec,
    pub connects: IntCounterVec,
    pub requests: IntCounterVec,
    pub ejections: IntCounterVec,
    pub checks: IntCounterVec,
}

impl WorkerFamilies {
    pub(super) fn register(register: &Registrar<'_>) -> Result<Self> {
        Ok(Self {
            up: register.gauges(
                "asgate_worker_up",
                "1 while a worker takes requests, else 0.",
                &["upstream", "worker"],
            )?,
            slots: register.gauges(
                "asgate_upstream_slots",
                "How many requests a worker is given at a time.",
                &["upstream", "worker"],
            )?,
            connections: register.gauges(
                "asgate_upstream_connections",
                "Open connections to a worker, idle ones being kept for reuse.",
                &["upstream", "worker", "state"],
            )?,
            connects: register.counters(
                "asgate_upstream_connects_total",
                "Attempts to connect to a worker.",
                &["upstream", "worker", "result"],
            )?,
            requests: register.counters(
                "asgate_upstream_requests_total",
                "Requests sent to a worker, retries included, on a new or a reused connection.",
                &["upstream", "worker", "connection"],
            )?,
            ejections: register.counters(
                "asgate_ejections_total",
                "How often a worker was taken out of rotation for a while because requests to it failed.",
                &["upstream", "worker"],
            )?,
            checks: register.counters(
                "asgate_health_checks_total",
                "Finished health checks of a worker.",
                &["upstream", "worker", "result"],
            )?,
        })
    }

    /// Removes the series of one worker.
    pub fn remove(&self, upstream: &str, worker: &str) {
        let labels = [("upstream", upstream), ("worker", worker)];
        let Self { up, slots, connections, connects, requests, ejections, checks } = self;
        for gauges in [up, slots, connections] {
            remove_series(gauges, &labels);
        }
        for counters in [connects, requests, ejections, checks] {
            remove_series(counters, &labels);
        }
    }
}
