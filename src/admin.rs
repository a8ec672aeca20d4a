//! The admin API: what operators and machines ask of a running edge.
//!
//! Answers from what the edge hands it and reaches around nothing. It is served on its own listener, on loopback or a
//! Unix socket, and its requests are neither logged nor counted as traffic.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::proxy::{Answer, Respond};
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;

/// The Prometheus text format, as scrapers ask for it.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// The admin API of one edge.
pub struct Admin {
    telemetry: Arc<Telemetry>,
    upstreams: Vec<Arc<Upstream>>,
}

impl Admin {
    pub fn new(telemetry: Arc<Telemetry>, upstreams: Vec<Arc<Upstream>>) -> Self {
        Self { telemetry, upstreams }
    }

    /// Ready when every upstream has a worker.
    fn ready(&self) -> Answer {
        let waiting: Vec<&str> = self
            .upstreams
            .iter()
            .filter(|upstream| upstream.workers().is_empty())
            .map(|upstream| &**upstream.name())
            .collect();
        if waiting.is_empty() {
            return text(StatusCode::OK, "ready\n");
        }
        let waiting = format!("no ready worker: {}\n", waiting.join(", "));
        text(StatusCode::SERVICE_UNAVAILABLE, waiting)
    }
}

impl Respond for Admin {
    fn respond(&self, method: &Method, path: &str) -> Answer {
        let get = method == Method::GET || method == Method::HEAD;
        match path {
            "/health/live" if get => text(StatusCode::OK, "live\n"),
            "/health/ready" if get => self.ready(),
            "/metrics" if get => {
                Answer::new(StatusCode::OK, PROMETHEUS_TEXT, self.telemetry.metrics().render())
            }
            "/health/live" | "/health/ready" | "/metrics" => {
                text(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed here\n")
            }
            _ => text(StatusCode::NOT_FOUND, "try /health/live, /health/ready or /metrics\n"),
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Answer::new(status, PLAIN_TEXT, body)
}
