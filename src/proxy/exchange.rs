//! Everything that is known of one request, from its first byte to its log line.
//!
//! The line is written when this is dropped, so that each request has exactly one on every path: served, refused, broken
//! off, cancelled by a stop, or lost in a panic.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::HeaderMap;
use http::{HeaderValue, Version};
use uuid::Uuid;

use crate::client::{Identity, Scheme, X_REQUEST_ID};
use crate::listener::Connection;
use crate::outcome::Cause;
use crate::telemetry::{self, TERMINATION_OK};
use crate::upstream;

use super::Shared;
use super::request::Request;
use super::snapshot::Snapshot;

/// One request's story.
pub struct Exchange {
    shared: Arc<Shared>,
    pub snapshot: Arc<Snapshot>,
    began: SystemTime,
    clock: Instant,
    pub request_id: HeaderValue,
    client: (Option<std::net::IpAddr>, Option<u16>),
    scheme: Scheme,
    method: String,
    version: &'static str,
    host: String,
    path: String,
    query: Option<String>,
    user_agent: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
    /// Index of the route that was chosen.
    pub route: Option<usize>,
    pub upstream: Option<Arc<str>>,
    pub worker: Option<upstream::Identity>,
    pub connection_reused: Option<bool>,
    pub attempts: u32,
    pub retry_reason: Option<&'static str>,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub request_body: u64,
    pub response_body: u64,
    pub error: Option<String>,
    end: Option<End>,
}

/// How it ended.
struct End {
    status: u16,
    termination: &'static str,
    aborted: bool,
}

impl Exchange {
    /// Begins the story of a request whose head came over `connection`.
    pub fn begin(shared: Arc<Shared>, connection: &Connection) -> Self {
        let snapshot = shared.snapshot.load_full();
        Self {
            shared,
            snapshot,
            began: SystemTime::now(),
            clock: Instant::now(),
            request_id: HeaderValue::from_static(""),
            client: (connection.peer.ip(), connection.peer.port()),
            scheme: Scheme::Http,
            method: String::new(),
            version: "1.1",
            host: String::new(),
            path: String::new(),
            query: None,
            user_agent: None,
            traceparent: None,
            route: None,
            upstream: None,
            worker: None,
            connection_reused: None,
            attempts: 0,
            retry_reason: None,
            connect: None,
            first_byte: None,
            request_body: 0,
            response_body: 0,
            error: None,
            end: None,
        }
    }

    /// What the request line of a head that was refused said, as far as it could be told.
    pub fn note_refused(&mut self, method: String, target: String) {
        self.request_id = new_id();
        self.method = method;
        self.path = target;
    }

    /// Who sent it.
    pub fn note_client(&mut self, identity: &Identity, headers: &HeaderMap) {
        self.request_id = identity.request_id.clone();
        self.client = (identity.ip, identity.port);
        self.scheme = identity.scheme;
        self.user_agent = headers.get(http::header::USER_AGENT).cloned();
        self.traceparent = headers.get("traceparent").cloned();
    }

    /// What it asks for.
    pub fn note_request(&mut self, request: &Request) {
        self.note_line(
            request.method.as_str(),
            request.version,
            request.path.clone(),
        );
        self.host.clone_from(&request.host);
        self.query.clone_from(&request.query);
    }

    /// What it asks for, where that was refused.
    pub fn note_line(&mut self, method: &str, version: Version, path: String) {
        method.clone_into(&mut self.method);
        self.path = path;
        self.version = match version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
    }

    /// The app's answer, or one that the configuration gives, was sent whole.
    pub fn completed(&mut self, status: u16) {
        self.end = Some(End {
            status,
            termination: TERMINATION_OK,
            aborted: false,
        });
    }

    /// asgate answered for `cause`, or there was nobody left to answer.
    pub fn answered(&mut self, cause: Cause) {
        let outcome = cause.outcome();
        self.end = Some(End {
            status: outcome.status.as_u16(),
            termination: outcome.termination.as_str(),
            aborted: false,
        });
    }

    /// The response was broken off after its head with `status` had been sent.
    pub fn aborted(&mut self, status: u16, cause: Cause) {
        let termination = cause.outcome().termination.as_str();
        self.end = Some(End {
            status,
            termination,
            aborted: true,
        });
    }

    /// The upgraded connection ended; `cause` tells what if not one of its sides ended it.
    pub fn tunnelled(&mut self, cause: Option<Cause>) {
        let termination =
            cause.map_or(TERMINATION_OK, |cause| cause.outcome().termination.as_str());
        self.end = Some(End {
            status: 101,
            termination,
            aborted: false,
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Without an end it was cancelled: the only thing that cancels requests is the end of the stop's patience.
        let stopping = Cause::Stopping.outcome();
        let end = self.end.take().unwrap_or(End {
            status: stopping.status.as_u16(),
            termination: stopping.termination.as_str(),
            aborted: true,
        });
        let route = self.route.and_then(|route| self.snapshot.routes.get(route));
        self.shared.telemetry.finish(&telemetry::Exchange {
            request_id: self.request_id.to_str().unwrap_or_default(),
            method: &self.method,
            http_version: self.version,
            status: end.status,
            scheme: self.scheme.as_str(),
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            request_body: self.request_body,
            response_body: self.response_body,
            client_ip: self.client.0,
            client_port: self.client.1,
            user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes),
            traceparent: self.traceparent.as_ref().map(HeaderValue::as_bytes),
            tls_version: None,
            started: self.began,
            duration: self.clock.elapsed(),
            route: route.map(|route| &route.metrics),
            upstream: self.upstream.as_deref(),
            worker: self.worker.as_ref().map(|worker| &*worker.name),
            worker_pid: self.worker.as_ref().and_then(|worker| worker.pid),
            connection_reused: self.connection_reused,
            attempts: self.attempts,
            retry_reason: self.retry_reason,
            queue: Duration::ZERO,
            connect: self.connect,
            ttfb: self.first_byte,
            termination: end.termination,
            response_aborted: end.aborted,
            error: self.error.as_deref(),
        });
    }
}

/// A request id where there is no identity to take it from.
fn new_id() -> HeaderValue {
    HeaderValue::try_from(Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static(""))
}

/// Adds the id to a head that asgate makes.
pub fn put_id(head: &mut pingora::http::ResponseHeader, id: &HeaderValue) {
    if let Err(error) = head.insert_header(X_REQUEST_ID.clone(), id.clone()) {
        log::error!("Cannot set X-Request-Id: {error}");
    }
}
