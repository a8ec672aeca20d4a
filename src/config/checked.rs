//! The checked configuration: what the rest of asgate reads.
//!
//! Values of these types have passed every check that needs no running system, so an invalid one cannot exist
//! outside `config`. `super::model` mirrors the file; `super::check` turns a model into this.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use ipnet::IpNet;
use regex::Regex;

pub use super::units::Percent;
pub use app::{App, RapidFail, Recycle, Restart, Start, Transport};
pub use front::{Access, HeaderChanges, HeaderRules, RateKey, RateLimit};
pub use health::{Ejection, Expect, Health};
pub use listener::{ClientAuth, Demand, Listener, ListenerTls, TlsVersion};
pub use pool::{Connections, Queue, Retry, RetryOn, Reuse};
pub use template::{Template, TemplateError, Variable};
pub use upstream::{
    Affinity, Balance, HashKey, Secret, Server, ServerAddress, Upstream, UpstreamTls, Workers,
};

mod app;
mod front;
mod health;
mod listener;
mod pool;
mod template;
mod upstream;

/// One whole configuration file, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub listeners: Vec<Listener>,
    /// Peers whose `X-Forwarded-*` and `X-Request-Id` are believed. A Unix-socket peer is not among them.
    pub trusted_proxies: Vec<IpNet>,
    /// What they may send, and nobody else.
    pub trusted_headers: Vec<HeaderName>,
    /// In the order of the file; [`Proxy::upstream`] indexes into it.
    pub upstreams: Vec<Upstream>,
    /// Who is asked for host names of workers.
    pub resolver: Resolver,
    /// In the order of the file.
    pub routes: Vec<Route>,
    /// How long requests in flight may take to finish once a stop was asked for.
    pub shutdown_timeout: Duration,
    /// Where the admin API listens; `None` when there is none.
    pub admin: Option<Address>,
    pub logging: Logging,
}

/// How host names of workers become addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Name servers; empty: those of the system.
    pub servers: Vec<SocketAddr>,
}

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Tcp(SocketAddr),
    /// An absolute path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Route {
    /// Unique; from the file, or `route-N` with N counted from 1 in the order of the file.
    pub name: String,
    pub matches: Match,
    pub action: Action,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub headers: HeaderRules,
    pub access: Access,
    /// `None`: no limit.
    pub rate_limit: Option<RateLimit>,
}

/// What a request must look like to take a route. Empty lists ask for nothing.
#[derive(Debug, Clone)]
pub struct Match {
    /// Any of them; empty: every host.
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    /// Any of them; empty: every method.
    pub methods: Vec<Method>,
    /// All of them; the header must have exactly this value on one of its lines.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// All of them; the parameter must have exactly this value (percent-decoded, `+` is a space) once.
    pub query: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Lower case, without port and trailing dot.
    Exact(String),
    /// `*.example.com` is kept as `.example.com`; one or more labels stand before it.
    Wildcard(String),
}

#[derive(Debug, Clone)]
pub enum PathPattern {
    /// On segment boundaries: `/api` takes `/api` and `/api/x`, not `/apix`; `/api/` takes what starts with it.
    Prefix(String),
    Exact(String),
    Regex(Regex),
}

#[derive(Debug, Clone)]
pub enum Action {
    Proxy(Proxy),
    Redirect(Redirect),
    Respond(Respond),
}

#[derive(Debug, Clone)]
pub struct Proxy {
    /// Index into [`Config::upstreams`].
    pub upstream: usize,
    pub rewrite: Rewrite,
    /// Pass the client's `Host` on (else the worker's own address).
    pub preserve_host: bool,
}

/// Applied in this order to the path that was matched; the query is never touched.
#[derive(Debug, Clone, Default)]
pub struct Rewrite {
    /// Taken off where the path has it on a segment boundary.
    pub strip_prefix: String,
    /// The first match is replaced; `$1` … are the groups.
    pub regex: Option<(Regex, String)>,
    /// Put before the path last.
    pub add_prefix: String,
}

#[derive(Debug, Clone)]
pub struct Redirect {
    /// May hold `{scheme}`, `{host}`, `{path}`, `{query}`; the query is appended when the text has neither `{query}` nor `?`.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

#[derive(Debug, Clone)]
pub struct Respond {
    pub status: StatusCode,
    /// Sent as `text/plain; charset=utf-8`.
    pub body: Bytes,
}

/// The deadlines of one request, phase by phase; `None` is `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP (or Unix socket) connection to the worker.
    pub connect: Option<Duration>,
    /// Request fully sent to response header.
    pub first_byte: Option<Duration>,
    /// Between two reads of the response body.
    pub idle: Option<Duration>,
    /// Whole exchange, from the end of the request header.
    pub total: Option<Duration>,
    /// No byte in either direction of an upgraded connection.
    pub websocket_idle: Option<Duration>,
    /// Between two reads of the request body.
    pub request_body: Option<Duration>,
    /// The client does not take its bytes.
    pub client_write: Option<Duration>,
}

/// What a request may be at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the request body; `None` is `off`.
    pub body: Option<u64>,
    /// Bytes of the header block, request line included.
    pub header: usize,
    /// Bytes of the request target.
    pub uri: usize,
    /// Number of header lines.
    pub headers: usize,
    /// Bytes a second that a request body comes in with, at least, over the time that is spent waiting for the
    /// client. Not 0; `None` is `off`.
    pub min_request_rate: Option<u64>,
    /// The same for a response that a client takes.
    pub min_response_rate: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Logging {
    pub level: log::LevelFilter,
    pub access: AccessLog,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Stdout,
}

impl Config {
    /// Whether `peer` is a trusted proxy. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}
