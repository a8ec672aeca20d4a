//! The configuration file as serde reads it: one struct per section, one field per key.
//!
//! The doc comments are the manual: `docs/configuration.md` and the JSON Schema are made from them.
//! Each key says what it means, what it is when left out, and what to beware of. Every key has a
//! default here, required ones too (`x-required` in the schema is what refuses their absence), so
//! that one bad key does not hide the problems of the others. No meaning is checked here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::Span;
pub use app::{App, Recycle, Restart, Transport};
pub use health::{Expect, Health, Passive};
pub use pool::{Queue, Retry, RetryCause, Reuse};
pub use route::{Limits, Match, OneOrMany, Redirect, Respond, Rewrite, Route, Timeouts};
pub use upstream::{Affinity, Balance, Server, Tls, Upstream};

mod app;
mod health;
mod pool;
mod route;
mod upstream;

/// A time span of whole seconds, for defaults.
const fn seconds(seconds: u64) -> Span {
    Span(std::time::Duration::from_secs(seconds))
}

/// The whole file. Unknown keys are errors everywhere.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Where asgate accepts connections; at least one.
    #[schemars(extend("x-required" = true))]
    pub listeners: Vec<Listener>,

    /// Peers whose `X-Forwarded-*` and `X-Request-Id` headers are believed: addresses
    /// (`192.0.2.7`) or networks (`10.0.0.0/8`).
    ///
    /// Anyone in such a network can claim to be any client. List the proxies in front of asgate and
    /// nothing else; with `0.0.0.0/0` every client chooses its own address. Peers on a Unix socket
    /// are never trusted.
    pub trusted_proxies: Vec<String>,

    /// Pools of workers, by name. A name is made of letters, digits, `-` and `_`, 64 at most; it
    /// appears in logs and metrics.
    pub upstreams: BTreeMap<String, Upstream>,

    /// Who is asked for the host names in `servers`.
    pub resolver: Resolver,

    /// What to do with which request; at least one. The most specific route wins: by host, then
    /// exact path before longest prefix before regular expression, then the order in the file. A
    /// request without a route is answered with 404.
    #[schemars(extend("x-required" = true))]
    pub routes: Vec<Route>,

    /// How long requests in flight may take to finish once asgate was asked to stop. What is left
    /// then is aborted.
    pub shutdown_timeout: Span,

    /// The admin API. Without this section there is none.
    pub admin: Option<Admin>,

    /// What is logged, and how.
    pub logging: Logging,
}

impl Default for File {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            trusted_proxies: Vec::new(),
            upstreams: BTreeMap::new(),
            resolver: Resolver::default(),
            routes: Vec::new(),
            shutdown_timeout: seconds(30),
            admin: None,
            logging: Logging::default(),
        }
    }
}

/// An address asgate accepts connections on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// `ip:port`, `[v6]:port`, or `unix:/path`.
    ///
    /// `0.0.0.0` is every IPv4 address of the machine, `[::]` every address, IPv4 included. Port 0
    /// lets the system choose one. A relative socket path is relative to the configuration file;
    /// Unix sockets do not exist on Windows.
    #[schemars(extend("x-required" = true, "examples" = ["0.0.0.0:80"]))]
    pub address: Option<String>,

    /// Accept HTTP/2 with prior knowledge (h2c) beside HTTP/1.1. Browsers never speak it without
    /// TLS; other proxies and gRPC clients do.
    pub http2: bool,

    /// Open client connections. One more is closed at once, so that a flood cannot take all file
    /// descriptors.
    #[schemars(range(min = 1))]
    pub max_connections: u32,

    /// From the first byte of a request to the end of its header block. A client that is slower is
    /// answered with 408: this is the defence against clients that send a byte now and then.
    pub header_timeout: Span,

    /// Between two requests on a kept-alive connection, and before the first.
    pub idle_timeout: Span,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            address: None,
            http2: false,
            max_connections: 10_000,
            header_timeout: seconds(10),
            idle_timeout: seconds(60),
        }
    }
}

/// How host names of workers become addresses.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resolver {
    /// Name servers, as `ip` (port 53), `ip:port` or `[v6]:port`. Default: those that the system is
    /// set up with. Answers are believed: whoever gives them chooses where requests go.
    #[schemars(extend("examples" = [["127.0.0.1:53"]]))]
    pub servers: Vec<String>,
}

/// The admin API: status, metrics, stop.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// A loopback `ip:port` or `unix:/path`. Whoever can connect there can stop asgate, so other
    /// addresses are refused.
    #[schemars(extend("x-required" = true, "examples" = ["127.0.0.1:9180"]))]
    pub address: Option<String>,
}

/// What asgate writes about its work.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// How much asgate says about itself. `RUST_LOG` overrides it. The access log is not affected.
    pub level: Level,

    /// One line for each request, those that were refused included.
    pub access: Access,
}

/// How much asgate says about itself.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// The access log.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// How a line is written: `ecs` is one JSON object with the flat names of the Elastic Common
    /// Schema.
    pub format: AccessFormat,

    /// Where the lines go. With `off` nothing tells afterwards why a request failed.
    pub output: AccessOutput,
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessFormat {
    #[default]
    Ecs,
}

/// Where the access log goes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessOutput {
    #[default]
    Stdout,
    Off,
}
