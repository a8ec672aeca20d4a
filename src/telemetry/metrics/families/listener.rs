//! The families of listeners: what happens before there is a request.

use prometheus::{IntCounterVec, IntGaugeVec, Result};

use super::{Registrar, remove_series};

/// Each series has the label `listener`.
pub(in crate::telemetry::metrics) struct ListenerFamilies {
    pub connections: IntGaugeVec,
    pub refused: IntCounterVec,
    pub handshakes: IntCounterVec,
    pub http2_abuse: IntCounterVec,
    pub certificate_expiry: IntGaugeVec,
}

impl ListenerFamilies {
    pub(super) fn register(register: &Registrar<'_>) -> Result<Self> {
        Ok(Self {
            connections: register.gauges(
                "asgate_listener_connections",
                "Open client connections.",
                &["listener"],
            )?,
            refused: register.counters(
                "asgate_connections_refused_total",
                "Client connections closed before anything was read from them as a request.",
                &["listener", "reason"],
            )?,
            handshakes: register.counters(
                "asgate_tls_handshakes_total",
                "TLS handshakes with clients that ended, well or not.",
                &["listener", "result"],
            )?,
            http2_abuse: register.counters(
                "asgate_http2_abuse_total",
                "HTTP/2 connections closed because their client misused the protocol.",
                &["listener", "reason"],
            )?,
            certificate_expiry: register.gauges(
                "asgate_certificate_expiry_timestamp_seconds",
                "When the certificate that is served ends, in seconds since 1970.",
                &["listener", "certificate"],
            )?,
        })
    }

    /// Removes the series of one listener.
    pub fn remove(&self, listener: &str) {
        let labels = [("listener", listener)];
        let Self { connections, refused, handshakes, http2_abuse, certificate_expiry } = self;
        for gauges in [connections, certificate_expiry] {
            remove_series(gauges, &labels);
        }
        for counters in [refused, handshakes, http2_abuse] {
            remove_series(counters, &labels);
        }
    }
}
