//! What counts the connections of a listener.

use std::sync::Arc;

use prometheus::IntGauge;

use crate::telemetry::metrics::Series;
use crate::telemetry::metrics::families::remove_series;

use super::{GaugeGuard, count};

/// Counts the client connections of one listener. Its series go with it.
pub struct ListenerMetrics {
    series: Arc<Series>,
    name: String,
    connections: IntGauge,
}

impl ListenerMetrics {
    pub(in crate::telemetry::metrics) fn new(series: &Arc<Series>, name: &str) -> Self {
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
