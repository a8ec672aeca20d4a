//! What counts the requests of an upstream: in flight, waiting, sent again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::telemetry::metrics::Series;
use crate::telemetry::metrics::families::UpstreamFamilies;
use crate::telemetry::metrics::slots::Slots;

use super::{GaugeGuard, count};

/// All words that there are: connect, stale, closed, refused_503, 502, 503, 504.
const RETRY_REASONS: usize = 7;

/// Counts what happens to one upstream. Its series go with it.
pub struct UpstreamMetrics {
    series: Arc<Series>,
    name: String,
    in_flight: IntGauge,
    queue_length: IntGauge,
    queue_wait: OnceLock<Histogram>,
    retries: Slots<&'static str, RETRY_REASONS>,
    retries_refused: OnceLock<IntCounter>,
}

impl UpstreamMetrics {
    pub(in crate::telemetry::metrics) fn new(series: &Arc<Series>, name: &str) -> Self {
        let families = &series.families.upstream;
        Self {
            in_flight: families.requests_in_flight.with_label_values(&[name]),
            queue_length: families.queue_length.with_label_values(&[name]),
            queue_wait: OnceLock::new(),
            retries: Slots::default(),
            retries_refused: OnceLock::new(),
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

    /// One request waits for a worker to be free until the guard is dropped.
    pub fn queued(&self) -> GaugeGuard {
        GaugeGuard::enter(&self.queue_length)
    }

    /// Requests that wait now.
    pub fn queue_length(&self) -> u64 {
        count(&self.queue_length)
    }

    /// A request's wait is over, whether it got a worker or not. Not for requests that need not wait.
    pub fn waited(&self, time: Duration) {
        let find = || self.families().queue_wait.with_label_values(&[&self.name]);
        self.queue_wait.get_or_init(find).observe(time.as_secs_f64());
    }

    /// A request was sent again. `reason` is one of a fixed set of words: connect, stale, closed, refused_503, 502,
    /// 503, 504.
    pub fn retried(&self, reason: &'static str) {
        self.retries.add_one(reason, || {
            self.families().retries.with_label_values(&[self.name.as_str(), reason])
        });
    }

    /// How often requests were sent again, by reason; the reasons that did not occur are not there. In no order.
    pub fn retries(&self) -> Vec<(&'static str, u64)> {
        self.retries.counts().collect()
    }

    /// A request was not sent again because the retry budget was used up.
    pub fn retry_refused(&self) {
        let find = || self.families().retries_refused.with_label_values(&[&self.name]);
        self.retries_refused.get_or_init(find).inc();
    }

    /// A worker process was started in place of one before. `reason` is one of a fixed set.
    pub fn worker_restarted(&self, reason: &'static str) {
        self.families().worker_restarts.with_label_values(&[self.name.as_str(), reason]).inc();
    }

    fn families(&self) -> &UpstreamFamilies {
        &self.series.families.upstream
    }
}

impl Drop for UpstreamMetrics {
    fn drop(&mut self) {
        self.series.upstreams.forget(&self.name, self, || self.families().remove(&self.name));
    }
}
