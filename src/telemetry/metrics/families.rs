//! The metric families: names, help texts, labels. The one place where they are written down.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, Result,
};

/// Upper bounds in seconds: from a small answer to a report that takes ten minutes.
const DURATION_BUCKETS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

pub(super) struct Families {
    pub requests: IntCounterVec,
    pub request_duration: HistogramVec,
    pub requests_in_flight: IntGaugeVec,
    pub upstream_connections: IntGaugeVec,
    pub upstream_connects: IntCounterVec,
    pub retries: IntCounterVec,
    pub worker_up: IntGaugeVec,
    pub worker_restarts: IntCounterVec,
    pub terminations: IntCounterVec,
    pub listener_connections: IntGaugeVec,
    pub log_lines_dropped: IntCounter,
}

impl Families {
    pub fn register(registry: &Registry) -> Result<Self> {
        let counters = |name, help, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauges = |name, help, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        let duration = HistogramOpts::new(
            "asgate_request_duration_seconds",
            "From the first byte of a request to the last byte of its response.",
        );
        let duration = duration.buckets(DURATION_BUCKETS.to_vec());
        Ok(Self {
            requests: counters(
                "asgate_requests_total",
                "Finished requests, refused ones included.",
                &["route", "method", "code"],
            )?,
            request_duration: register(registry, HistogramVec::new(duration, &["route"])?)?,
            requests_in_flight: gauges(
                "asgate_requests_in_flight",
                "Requests that an upstream is working on.",
                &["upstream"],
            )?,
            upstream_connections: gauges(
                "asgate_upstream_connections",
                "Open connections to a worker, idle ones being kept for reuse.",
                &["upstream", "worker", "state"],
            )?,
            upstream_connects: counters(
                "asgate_upstream_connects_total",
                "Attempts to connect to a worker.",
                &["upstream", "worker", "result"],
            )?,
            retries: counters(
                "asgate_retries_total",
                "Requests sent again, to the same or another worker.",
                &["upstream", "reason"],
            )?,
            worker_up: gauges(
                "asgate_worker_up",
                "1 while a worker takes requests, else 0.",
                &["upstream", "worker"],
            )?,
            worker_restarts: counters(
                "asgate_worker_restarts_total",
                "Worker processes started in place of one before.",
                &["upstream", "reason"],
            )?,
            terminations: counters(
                "asgate_terminations_total",
                "Finished requests by the way they ended, as edge.termination in the access log.",
                &["reason"],
            )?,
            listener_connections: gauges(
                "asgate_listener_connections",
                "Open client connections.",
                &["listener"],
            )?,
            log_lines_dropped: register(
                registry,
                IntCounter::new(
                    "asgate_log_lines_dropped_total",
                    "Log lines lost because their output could not take them.",
                )?,
            )?,
        })
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, family: C) -> Result<C> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Removes every series of `family` that has all of `labels`.
pub(super) fn remove_series<B: MetricVecBuilder>(family: &MetricVec<B>, labels: &[(&str, &str)]) {
    for collected in family.collect() {
        for metric in collected.get_metric() {
            let all: HashMap<&str, &str> =
                metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if labels.iter().all(|(name, value)| all.get(name) == Some(value)) {
                // It fails when the series is gone already, which is what is wanted.
                let _ = family.remove(&all);
            }
        }
    }
}
