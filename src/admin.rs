//! The admin API: what operators and machines ask of a running edge.
//!
//! Knows [`Operations`] and nothing else of the edge: it says which request asks for what, who may ask, and how the
//! answer looks. It is served on its own listener, on loopback or a Unix socket; its requests are neither logged nor
//! counted as traffic. There is no password: whoever can connect as a local process may do everything, and `guard`
//! keeps web pages from being such a process.

mod endpoint;
mod guard;
mod operations;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, StatusCode};
use serde_json::json;

use crate::proxy::{Answer, Asked, Respond};

use endpoint::Endpoint;
pub use operations::{Done, Operations, Refusal};
pub use status::{
    CertificateStatus, CheckStatus, ClientAuthStatus, ConnectionCounts, Kind, LeavingStatus,
    ListenerStatus, QueueStatus, State, Status, TlsStatus, UpstreamState, UpstreamStatus,
    WorkerState, WorkerStatus, reused_ratio,
};

const JSON: &str = "application/json";
/// The Prometheus text format, as scrapers ask for it.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// The admin API of one edge.
pub struct Admin(Arc<dyn Operations>);

impl Admin {
    pub fn new(operations: Arc<dyn Operations>) -> Self {
        Self(operations)
    }

    async fn serve(&self, endpoint: Endpoint, id: &HeaderValue) -> Answer {
        let operations = Arc::clone(&self.0);
        let done = match endpoint {
            Endpoint::Live => return text(StatusCode::OK, "live\n"),
            Endpoint::Ready => return self.ready(),
            Endpoint::Metrics => {
                return Answer::new(StatusCode::OK, PROMETHEUS_TEXT, operations.metrics());
            }
            Endpoint::Status => return status(&operations.status(), id),
            Endpoint::Stop => {
                operations.stop();
                return message(StatusCode::ACCEPTED, "stopping");
            }
            Endpoint::Reload => operations.reload().await,
            Endpoint::Restart { upstream, worker } => {
                // Half a roll is nothing that anyone wants: it goes on when its client leaves.
                let roll = async move { operations.restart(&upstream, worker.as_deref()).await };
                tokio::spawn(roll).await.unwrap_or_else(|error| {
                    log::error!("A restart broke off: {error}");
                    Err(Refusal::Failed("the restart broke off".to_owned()))
                })
            }
            Endpoint::Drain { upstream, worker } => operations.drain(&upstream, &worker).await,
            Endpoint::Enable { upstream, worker } => operations.enable(&upstream, &worker).await,
        };
        match done {
            Ok(Done { message: text }) => message(StatusCode::OK, &text),
            Err(refusal) => Answer::problem(refused_with(&refusal), &refusal.to_string(), id),
        }
    }

    /// Ready is an edge that may be sent traffic: every upstream has a worker, and it is not about to go.
    fn ready(&self) -> Answer {
        if self.0.is_stopping() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        }
        if !self.0.is_serving() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "starting\n");
        }
        let waiting = self.0.not_ready();
        if waiting.is_empty() {
            return text(StatusCode::OK, "ready\n");
        }
        let waiting = format!("no ready worker: {}\n", waiting.join(", "));
        text(StatusCode::SERVICE_UNAVAILABLE, waiting)
    }
}

#[async_trait]
impl Respond for Admin {
    async fn respond(&self, asked: &Asked<'_>) -> Answer {
        if let Err(why) = guard::admit(asked) {
            return Answer::problem(StatusCode::FORBIDDEN, &why.to_string(), asked.id);
        }
        let Some(endpoint) = Endpoint::find(asked.path) else {
            let what = format!("there is nothing here; there is {}", endpoint::ALL);
            return Answer::problem(StatusCode::NOT_FOUND, &what, asked.id);
        };
        let method = endpoint.method();
        let allowed =
            asked.method == method || (method == Method::GET && asked.method == Method::HEAD);
        if !allowed {
            let allow = if method == Method::GET { "GET, HEAD" } else { "POST" };
            let what = format!("{} takes {allow}", asked.path);
            let problem = Answer::problem(StatusCode::METHOD_NOT_ALLOWED, &what, asked.id);
            return Answer { allow: Some(allow), ..problem };
        }
        self.serve(endpoint, asked.id).await
    }
}

fn refused_with(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::NoSuchUpstream { .. } | Refusal::NoSuchWorker { .. } => StatusCode::NOT_FOUND,
        Refusal::Fixed { .. } | Refusal::Busy(_) => StatusCode::CONFLICT,
        Refusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status(status: &Status, id: &HeaderValue) -> Answer {
    match serde_json::to_vec(status) {
        Ok(body) => Answer::new(StatusCode::OK, JSON, body),
        Err(error) => {
            log::error!("Cannot write the status as JSON: {error}");
            let what = "the status cannot be written as JSON";
            Answer::problem(StatusCode::INTERNAL_SERVER_ERROR, what, id)
        }
    }
}

fn message(status: StatusCode, message: &str) -> Answer {
    Answer::new(status, JSON, json!({ "message": message }).to_string())
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Answer::new(status, PLAIN_TEXT, body)
}
