//! The metric families: names, help texts, labels. Here and in the modules below is the one place where they are
//! written down.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, Result,
};

mod listener;
mod upstream;
mod worker;

pub(super) use listener::ListenerFamilies;
pub(super) use upstream::UpstreamFamilies;
pub(super) use worker::WorkerFamilies;

/// Upper bounds in seconds: from a small answer to a report that takes ten minutes.
const DURATION_BUCKETS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

pub(super) struct Families {
    pub requests: IntCounterVec,
    pub request_duration: HistogramVec,
    pub terminations: IntCounterVec,
    pub rate_limited: IntCounterVec,
    pub log_lines_dropped: IntCounter,
    pub listener: ListenerFamilies,
    pub upstream: UpstreamFamilies,
    pub worker: WorkerFamilies,
}

impl Families {
    pub fn register(registry: &Registry) -> Result<Self> {
        let register = Registrar(registry);
        Ok(Self {
            requests: register.counters(
                "asgate_requests_total",
                "Finished requests, refused ones included.",
                &["route", "method", "code"],
            )?,
            request_duration: register.histograms(
                HistogramOpts::new(
                    "asgate_request_duration_seconds",
                    "From the first byte of a request to the last byte of its response.",
                )
                .buckets(DURATION_BUCKETS.to_vec()),
                &["route"],
            )?,
            terminations: register.counters(
                "asgate_terminations_total",
                "Finished requests by the way they ended, as edge.termination in the access log.",
                &["reason"],
            )?,
            rate_limited: register.counters(
                "asgate_rate_limited_total",
                "Requests beyond the rate limit of their route; with dry_run they are served all the same.",
                &["route", "mode"],
            )?,
            log_lines_dropped: register.family(IntCounter::new(
                "asgate_log_lines_dropped_total",
                "Log lines lost because their output could not take them.",
            )?)?,
            listener: ListenerFamilies::register(&register)?,
            upstream: UpstreamFamilies::register(&register)?,
            worker: WorkerFamilies::register(&register)?,
        })
    }
}

/// Makes families and registers them.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.family(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.family(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(&self, what: HistogramOpts, labels: &[&str]) -> Result<HistogramVec> {
        self.family(HistogramVec::new(what, labels)?)
    }

    fn family<C: Collector + Clone + 'static>(&self, family: C) -> Result<C> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
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
