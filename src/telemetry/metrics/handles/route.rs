//! What counts the requests of a route.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Histogram;

use crate::telemetry::metrics::Series;
use crate::telemetry::metrics::slots::Slots;

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
    pub(in crate::telemetry::metrics) fn new(series: &Arc<Series>, name: &str) -> Self {
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

    pub(in crate::telemetry::metrics) fn count(
        &self,
        method: &str,
        status: u16,
        duration: Duration,
    ) {
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
