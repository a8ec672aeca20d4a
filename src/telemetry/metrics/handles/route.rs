//! What counts the requests of a route.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use crate::telemetry::metrics::Series;
use crate::telemetry::metrics::slots::Slots;

/// Methods that are a label of their own: RFC 9110 §9.3 and RFC 5789. Any other is `other`, as a
/// client may send whatever it likes.
const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
const OTHER: &str = "other";

/// What became of a request beyond the rate limit of its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitMode {
    /// It was answered 429.
    Refused,
    /// It was served: the limit is only tried out.
    DryRun,
}

impl RateLimitMode {
    const COUNT: usize = 2;

    fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::DryRun => "dry_run",
        }
    }
}

/// Counts the requests of one route.
pub struct RouteMetrics {
    series: Arc<Series>,
    name: Box<str>,
    duration: Histogram,
    /// By method label and status code.
    requests: Slots<(&'static str, u16), 16>,
    rate_limited: Slots<RateLimitMode, { RateLimitMode::COUNT }>,
}

impl RouteMetrics {
    pub(in crate::telemetry::metrics) fn new(series: &Arc<Series>, name: &str) -> Self {
        Self {
            duration: series.families.request_duration.with_label_values(&[name]),
            series: Arc::clone(series),
            name: name.into(),
            requests: Slots::default(),
            rate_limited: Slots::default(),
        }
    }

    /// The route's name, as in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The route has a rate limit that does this: it is told from the start, also while nobody is
    /// beyond it.
    pub fn expect_rate_limit(&self, mode: RateLimitMode) {
        self.rate_limited.prepare(&[mode], |mode| self.series_of(mode));
    }

    /// A request was beyond the rate limit.
    pub fn rate_limited(&self, mode: RateLimitMode) {
        self.rate_limited.add_one(mode, || self.series_of(mode));
    }

    fn series_of(&self, mode: RateLimitMode) -> IntCounter {
        self.series.families.rate_limited.with_label_values(&[self.name(), mode.label()])
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
