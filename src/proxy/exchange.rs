//! Everything that is known of one request, from its first byte to its log line.
//!
//! The line is written when this is dropped, so that each request has exactly one on every path: served, refused, broken
//! off, cancelled by a stop, or lost in a panic.

mod fields;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::HeaderMap;
use http::{HeaderValue, Method, Version};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::Verdict;
use crate::client::{Identity, Scheme, X_REQUEST_ID};
use crate::listener::Connection;
use crate::listener::tls::Secured;
use crate::outcome::Cause;
use crate::routing::path;
use crate::telemetry::{self, ClientCertificate, TERMINATION_OK, TlsLine};
use crate::upstream;

use super::Shared;
use super::downstream::Line;
use super::request::Request;
use super::snapshot::Snapshot;

pub use fields::Changes;

/// One request's story.
pub struct Exchange {
    shared: Arc<Shared>,
    pub snapshot: Arc<Snapshot>,
    began: SystemTime,
    clock: Instant,
    pub request_id: HeaderValue,
    pub connection: Arc<Connection>,
    client_ip: Option<IpAddr>,
    client_port: Option<u16>,
    scheme: Scheme,
    /// That the client connected to.
    port: HeaderValue,
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
    /// What the route's rate limit said.
    pub rate: Option<Verdict>,
    /// It would have been refused by a rate limit that is on trial.
    pub rate_limit_dry_run: bool,
    /// Spent waiting for a worker.
    pub queue: Duration,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub request_body: u64,
    pub response_body: u64,
    /// The status of the response whose head was written to the client.
    pub sent_status: Option<u16>,
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
    /// Begins the story of a request whose head came over `connection`, its first byte at `began` if not just now.
    pub fn begin(
        shared: Arc<Shared>,
        connection: &Arc<Connection>,
        began: Option<Instant>,
    ) -> Self {
        let snapshot = shared.snapshot.load_full();
        let clock = began.unwrap_or_else(Instant::now);
        Self {
            shared,
            snapshot,
            began: SystemTime::now() - began.map_or(Duration::ZERO, |began| began.elapsed()),
            clock,
            request_id: HeaderValue::from_static(""),
            connection: Arc::clone(connection),
            client_ip: connection.peer.ip(),
            client_port: connection.peer.port(),
            scheme: connection.identity.scheme(),
            port: HeaderValue::from_static(""),
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
            rate: None,
            rate_limit_dry_run: false,
            queue: Duration::ZERO,
            connect: None,
            first_byte: None,
            request_body: 0,
            response_body: 0,
            sent_status: None,
            error: None,
            end: None,
        }
    }

    /// What the request line of a head that nobody took said, as far as it can be told.
    pub fn note_unread(&mut self, input: &[u8]) {
        self.request_id = new_id();
        let line = input.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut words = line.trim_ascii_end().splitn(3, |&byte| byte == b' ');
        self.method = lossy(words.next());
        self.note_target(words.next().unwrap_or_default());
        if words.next() == Some(b"HTTP/1.0") {
            self.version = version_word(Version::HTTP_10);
        }
    }

    /// What a request that was refused asked for.
    pub fn note_refused(&mut self, line: &Line, method: &Method, version: Version) {
        self.method = method.as_str().to_owned();
        self.version = version_word(version);
        match line {
            Line::Http1(head) => {
                let target = head.raw.get(head.parts.target.clone());
                self.note_target(target.unwrap_or_default());
            }
            Line::Http2 { target, .. } => self.note_target(target),
        }
    }

    fn note_target(&mut self, target: &[u8]) {
        let (path, query) = path::split(target);
        self.path = lossy(Some(path));
        self.query = query.map(|query| lossy(Some(query)));
    }

    /// Who sent it.
    pub fn note_client(&mut self, identity: &Identity, headers: &HeaderMap) {
        self.request_id = identity.request_id.clone();
        (self.client_ip, self.client_port) = (identity.ip, identity.port);
        self.scheme = identity.scheme;
        self.port = identity.forwarded_port.clone();
        self.user_agent = headers.get(http::header::USER_AGENT).cloned();
        self.traceparent = headers.get("traceparent").cloned();
    }

    /// What it asks for.
    pub fn note_request(&mut self, request: &Request) {
        request.method.as_str().clone_into(&mut self.method);
        self.version = version_word(request.version);
        self.host.clone_from(&request.host);
        self.path.clone_from(&request.path);
        self.query.clone_from(&request.query);
    }

    /// The app's answer, or one that the configuration gives, was sent whole.
    pub fn completed(&mut self, status: u16) {
        self.end = Some(End { status, termination: TERMINATION_OK, aborted: false });
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

    /// The response was broken off after its head had been sent.
    pub fn aborted(&mut self, cause: Cause) {
        let outcome = cause.outcome();
        self.end = Some(End {
            status: self.sent_status.unwrap_or(outcome.status.as_u16()),
            termination: outcome.termination.as_str(),
            aborted: self.sent_status.is_some(),
        });
    }

    /// Cancelled when requests in flight have no more time.
    pub fn cut(&self) -> CancellationToken {
        self.shared.cut.clone()
    }

    /// The upgraded connection ended; `cause` tells what if not one of its sides ended it in order.
    pub fn tunnelled(&mut self, cause: Option<Cause>) {
        let termination =
            cause.map_or(TERMINATION_OK, |cause| cause.outcome().termination.as_str());
        // A client that is gone misses nothing, and what nobody speaks on is nothing to break off.
        let is_missed = |cause: Cause| !matches!(cause, Cause::ClientClosed | Cause::WebsocketIdle);
        self.end = Some(End { status: 101, termination, aborted: cause.is_some_and(is_missed) });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.end.is_none() {
            // Only a panic, or the end of the process, leaves a request in the middle.
            let panicking = std::thread::panicking();
            self.aborted(if panicking { Cause::Internal } else { Cause::Stopping });
        }
        let Some(end) = self.end.take() else {
            return;
        };
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
            client_ip: self.client_ip,
            client_port: self.client_port,
            user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes),
            traceparent: self.traceparent.as_ref().map(HeaderValue::as_bytes),
            tls: self.connection.tls.as_ref().map(tls_line).as_ref(),
            started: self.began,
            duration: self.clock.elapsed(),
            route: route.map(|route| &route.metrics),
            upstream: self.upstream.as_deref(),
            worker: self.worker.as_ref().map(|worker| &*worker.name),
            worker_pid: self.worker.as_ref().and_then(|worker| worker.pid),
            connection_reused: self.connection_reused,
            attempts: self.attempts,
            retry_reason: self.retry_reason,
            rate_limit_dry_run: self.rate_limit_dry_run,
            queue: self.queue,
            connect: self.connect,
            ttfb: self.first_byte,
            termination: end.termination,
            response_aborted: end.aborted,
            error: self.error.as_deref(),
        });
    }
}

fn tls_line(tls: &Secured) -> TlsLine<'_> {
    let client = tls.client.as_ref().map(|client| ClientCertificate {
        subject: &client.subject,
        fingerprint: &client.fingerprint,
    });
    TlsLine {
        version: tls.version,
        cipher: tls.cipher,
        server_name: tls.server_name.as_deref(),
        resumed: tls.resumed,
        client,
    }
}

fn version_word(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

fn lossy(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// A request id where there is no identity to take it from.
pub fn new_id() -> HeaderValue {
    HeaderValue::try_from(Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static(""))
}

/// Adds the id to a head that asgate makes.
pub fn put_id(head: &mut pingora::http::ResponseHeader, id: &HeaderValue) {
    if let Err(error) = head.insert_header(X_REQUEST_ID.clone(), id.clone()) {
        log::error!("Cannot set X-Request-Id: {error}");
    }
}
