//! Who or what ended a request: one word for the log and the metrics.

use std::fmt;

/// How a request ended. Every request has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Termination {
    /// Answered to the end: by the app, or by asgate as the route asks.
    Ok,
    NoRoute,
    BadRequest,
    Limit,
    ClientTimeout,
    Denied,
    RateLimited,
    QueueFull,
    QueueTimeout,
    NoWorker,
    Stopping,
    UpstreamConnect,
    UpstreamClosed,
    UpstreamInvalid,
    UpstreamTimeout,
    ClientClosed,
    /// An upgraded connection met its idle deadline.
    WebsocketIdle,
    /// asgate itself failed.
    Internal,
}

impl Termination {
    /// For whoever keeps one counter for each.
    pub const ALL: [Self; 18] = [
        Self::Ok,
        Self::NoRoute,
        Self::BadRequest,
        Self::Limit,
        Self::ClientTimeout,
        Self::Denied,
        Self::RateLimited,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::NoWorker,
        Self::Stopping,
        Self::UpstreamConnect,
        Self::UpstreamClosed,
        Self::UpstreamInvalid,
        Self::UpstreamTimeout,
        Self::ClientClosed,
        Self::WebsocketIdle,
        Self::Internal,
    ];

    /// The word in `edge.termination` and in the `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoRoute => "no_route",
            Self::BadRequest => "bad_request",
            Self::Limit => "limit",
            Self::ClientTimeout => "client_timeout",
            Self::Denied => "denied",
            Self::RateLimited => "rate_limited",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::NoWorker => "no_worker",
            Self::Stopping => "stopping",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamClosed => "upstream_closed",
            Self::UpstreamInvalid => "upstream_invalid",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::ClientClosed => "client_closed",
            Self::WebsocketIdle => "websocket_idle",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
