//! The families of upstreams.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Result};

use super::{Registrar, remove_series};

/// Upper bounds in seconds: from a place that was just about to be free to twice the usual `queue.timeout`.
const WAIT_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Each series has the label `upstream`.
pub(in crate::telemetry::metrics) struct UpstreamFamilies {
    pub requests_in_flight: IntGaugeVec,
    pub queue_length: IntGaugeVec,
    pub queue_wait: HistogramVec,
    pub retries: IntCounterVec,
    pub retries_refused: IntCounterVec,
    pub worker_restarts: IntCounterVec,
}

impl UpstreamFamilies {
    pub(super) fn register(register: &Registrar<'_>) -> Result<Self> {
        Ok(Self {
            requests_in_flight: register.gauges(
                "asgate_requests_in_flight",
                "Requests that an upstream is working on.",
                &["upstream"],
            )?,
            queue_length: register.gauges(
                "asgate_queue_length",
                "Requests that wait for a worker to be free.",
                &["upstream"],
            )?,
            queue_wait: register.histograms(
                HistogramOpts::new(
                    "asgate_queue_wait_seconds",
                    "How long requests waited for a worker to be free, of those that had to.",
                )
                .buckets(WAIT_BUCKETS.to_vec()),
                &["upstream"],
            )?,
            retries: register.counters(
                "asgate_retries_total",
                "Requests sent again, to the same or another worker.",
                &["upstream", "reason"],
            )?,
            retries_refused: register.counters(
                "asgate_retries_refused_total",
                "Requests not sent again because retry.budget was used up.",
                &["upstream"],
            )?,
            worker_restarts: register.counters(
                "asgate_worker_restarts_total",
                "Worker processes started in place of one before.",
                &["upstream", "reason"],
            )?,
        })
    }

    /// Removes the series of one upstream.
    pub fn remove(&self, upstream: &str) {
        let labels = [("upstream", upstream)];
        let Self {
            requests_in_flight,
            queue_length,
            queue_wait,
            retries,
            retries_refused,
            worker_restarts,
        } = self;
        for gauges in [requests_in_flight, queue_length] {
            remove_series(gauges, &labels);
        }
        remove_series(queue_wait, &labels);
        for counters in [retries, retries_refused, worker_restarts] {
            remove_series(counters, &labels);
        }
    }
}
