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
pub use front::{HeaderChanges, Headers, RateLimit};
pub use health::{Expect, Health, Passive};
pub use listener::{Listener, NumberOrOff};
pub use pool::{Queue, Retry, RetryCause, Reuse};
pub use route::{
    DEFAULT_HEAD, DEFAULT_LINES, Limits, Match, OneOrMany, Redirect, Respond, Rewrite, Route,
    Timeouts,
};
pub use tls::{Certificate, ClientAuth, ClientAuthMode, Hsts, ListenerTls, TlsVersion};
pub use upstream::{Affinity, Balance, SecretText, Server, Tls, Upstream};

mod app;
mod front;
mod health;
mod listener;
mod pool;
mod route;
mod tls;
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

    /// Further headers that come from `trusted_proxies` and are taken away from everybody else's requests: those by which
    /// they tell of the certificate or the user of their client, such as `X-SSL-Client-S-DN` or `X-Auth-Request-User`.
    /// Without this key, headers about certificates are taken away from all requests. Each such proxy must take them
    /// away from what its own clients send: the app believes them. (`X-Real-IP` needs no mention: it comes from such
    /// proxies where it says the same as `X-Forwarded-For`.)
    pub trusted_headers: Vec<String>,

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
            trusted_headers: Vec::new(),
            upstreams: BTreeMap::new(),
            resolver: Resolver::default(),
            routes: Vec::new(),
            shutdown_timeout: seconds(30),
            admin: None,
            logging: Logging::default(),
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

/// The admin API: status and metrics; reload, restart, drain, enable, stop.
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
