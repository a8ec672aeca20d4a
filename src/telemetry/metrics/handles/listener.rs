//! What counts the connections of a listener, and what went wrong with them before there was a request.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounter, IntGauge};

use crate::telemetry::metrics::Series;
use crate::telemetry::metrics::families::ListenerFamilies;
use crate::telemetry::metrics::slots::Slots;

use super::{GaugeGuard, count};

/// How a TLS handshake with a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeResult {
    Full,
    /// With the keys of an earlier connection.
    Resumed,
    /// Not over within `handshake_timeout`.
    Timeout,
    /// No place came free within `handshake_timeout`: `max_handshakes` were under way.
    Crowded,
    /// The client does not speak TLS.
    NotTls,
    /// Anything else on which the two did not agree, certificates included.
    Failed,
    /// The client left in the middle.
    Left,
}

impl HandshakeResult {
    const ALL: [Self; 7] = [
        Self::Full,
        Self::Resumed,
        Self::Timeout,
        Self::Crowded,
        Self::NotTls,
        Self::Failed,
        Self::Left,
    ];

    /// The label, also the word in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Timeout => "timeout",
            Self::Crowded => "crowded",
            Self::NotTls => "not_tls",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

/// Why a client connection was closed before anything was read from it as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusal {
    /// The listener has as many as it may.
    MaxConnections,
    /// The client's address has.
    MaxConnectionsPerAddress,
    /// The PROXY protocol header is missing, malformed, too late, or from someone who is not trusted.
    ProxyProtocol,
}

impl ConnectionRefusal {
    const ALL: [Self; 3] =
        [Self::MaxConnections, Self::MaxConnectionsPerAddress, Self::ProxyProtocol];

    /// The label, also the word in the status: the key of the configuration that is behind it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxConnections => "max_connections",
            Self::MaxConnectionsPerAddress => "max_connections_per_address",
            Self::ProxyProtocol => "proxy_protocol",
        }
    }
}

/// More than there are words for the misuse of HTTP/2.
const HTTP2_ABUSES: usize = 16;

/// Counts what happens to the client connections of one listener. Its series go with it.
pub struct ListenerMetrics {
    series: Arc<Series>,
    name: String,
    connections: IntGauge,
    refused: Slots<ConnectionRefusal, { ConnectionRefusal::ALL.len() }>,
    handshakes: Slots<HandshakeResult, { HandshakeResult::ALL.len() }>,
    http2_abuse: Slots<&'static str, HTTP2_ABUSES>,
}

impl ListenerMetrics {
    pub(in crate::telemetry::metrics) fn new(series: &Arc<Series>, name: &str) -> Self {
        let metrics = Self {
            connections: series.families.listener.connections.with_label_values(&[name]),
            refused: Slots::default(),
            handshakes: Slots::default(),
            http2_abuse: Slots::default(),
            series: Arc::clone(series),
            name: name.to_owned(),
        };
        metrics.refused.prepare(&ConnectionRefusal::ALL, |reason| metrics.refused_for(reason));
        metrics
    }

    /// The listener speaks TLS: its handshakes are told from the start, also while there are none.
    pub fn expect_tls(&self) {
        self.handshakes.prepare(&HandshakeResult::ALL, |result| self.ended_as(result));
    }

    /// The listener speaks HTTP/2: these ways to misuse it are told from the start. `reasons` are all words that
    /// [`Self::abused`] may be called with.
    pub fn expect_http2(&self, reasons: &[&'static str]) {
        self.http2_abuse.prepare(reasons, |reason| self.abused_by(reason));
    }

    /// Client connections that are open now.
    pub fn open(&self) -> u64 {
        count(&self.connections)
    }

    /// One client connection is open until the guard is dropped.
    pub fn connection(&self) -> GaugeGuard {
        GaugeGuard::enter(&self.connections)
    }

    /// A connection was closed at once.
    pub fn refused(&self, reason: ConnectionRefusal) {
        self.refused.add_one(reason, || self.refused_for(reason));
    }

    /// Connections that were closed at once so far, by reason.
    pub fn refusals(&self) -> impl Iterator<Item = (ConnectionRefusal, u64)> {
        self.refused.counts()
    }

    /// A TLS handshake ended.
    pub fn handshake(&self, result: HandshakeResult) {
        self.handshakes.add_one(result, || self.ended_as(result));
    }

    /// TLS handshakes that ended so far, by result.
    pub fn handshakes(&self) -> impl Iterator<Item = (HandshakeResult, u64)> {
        self.handshakes.counts()
    }

    /// An HTTP/2 connection was closed because its client misused the protocol. `reason` is one of a fixed set of words.
    pub fn abused(&self, reason: &'static str) {
        self.http2_abuse.add_one(reason, || self.abused_by(reason));
    }

    /// The certificate from `file`, named as in the configuration, is served and ends at `end`.
    pub fn certificate_expires(&self, file: &str, end: SystemTime) {
        let seconds = end.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let gauge = self.families().certificate_expiry.with_label_values(&[&*self.name, file]);
        gauge.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    fn refused_for(&self, reason: ConnectionRefusal) -> IntCounter {
        self.families().refused.with_label_values(&[&*self.name, reason.as_str()])
    }

    fn ended_as(&self, result: HandshakeResult) -> IntCounter {
        self.families().handshakes.with_label_values(&[&*self.name, result.as_str()])
    }

    fn abused_by(&self, reason: &'static str) -> IntCounter {
        self.families().http2_abuse.with_label_values(&[&*self.name, reason])
    }

    fn families(&self) -> &ListenerFamilies {
        &self.series.families.listener
    }
}

impl Drop for ListenerMetrics {
    fn drop(&mut self) {
        self.series.listeners.forget(&self.name, self, || self.families().remove(&self.name));
    }
}
