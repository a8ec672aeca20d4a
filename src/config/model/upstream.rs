//! `upstreams`: pools of workers, how to reach them and how one is chosen.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{OrOff, Span};
use super::app::App;
use super::health::Health;
use super::pool::{Connections, Queue, Retry};
use super::seconds;

/// A named pool of workers that serve the same app: either `app` (asgate starts them) or `servers`
/// (they are there already).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// How to start the workers that asgate supervises.
    pub app: Option<App>,

    /// Workers that something else started; at least one.
    pub servers: Option<Vec<Server>>,

    /// How a worker is chosen for a request; weights count in each case.
    ///
    /// - `least_requests`: the one with the fewest requests in flight; among equals, in turn.
    /// - `round_robin`: in turn, however busy they are.
    /// - `random`: the less busy of two that are drawn. For several asgates before the same workers,
    ///   which would otherwise all choose the same one.
    /// - `latency`: of two that are drawn, the one with the shorter time to the first byte, times
    ///   its requests in flight (peak EWMA). A worker that fails fast looks good to it.
    /// - `hash`: always the same for the same `hash_on`, unless that worker is busier than the
    ///   others by a quarter. When a worker comes or goes, only its share moves.
    pub balance: Balance,

    /// What `balance: hash` tells requests apart by: `client_ip`, `path` (without the query),
    /// `header:NAME`, `cookie:NAME` or `query:NAME`. Required with `balance: hash`, refused with any
    /// other. Requests that have no such thing are balanced as with `least_requests`.
    #[schemars(extend("examples" = ["client_ip"]))]
    pub hash_on: Option<String>,

    /// A cookie that sends a client to the worker that it had before: `affinity: {}` for the
    /// defaults. Without this section there is none.
    pub affinity: Option<Affinity>,

    /// How asgate tells whether a worker is well.
    pub health: Option<Health>,

    /// A worker that joins others which serve already (a replacement, a new address of a host name),
    /// or comes back to them (healthy again, tried again, enabled), gets a share of the requests that
    /// grows to its full one during this time: a process that has just started is slower, and some
    /// caches are empty. With `off` it gets its full share at once, and so it does with `balance: hash`,
    /// where a key has one worker.
    pub slow_start: OrOff<Span>,

    /// When a connection to a worker is used again.
    pub connections: Connections,

    /// Requests in flight on one worker, at most; one more waits in `queue`. Checks do not count; a
    /// WebSocket or a stream does, for as long as it is open, so an app with many of them needs a
    /// higher number.
    ///
    /// For supervised Uvicorn workers with `--limit-concurrency N` in `args` (or
    /// `UVICORN_LIMIT_CONCURRENCY` in `env`) it is N − 2 at most, because Uvicorn refuses from the
    /// N-th open connection on, unused ones included, and one is kept free for checks.
    pub max_requests_per_worker: NonZeroU32,

    /// What happens to requests that every worker is too busy for.
    pub queue: Queue,

    /// When a request that failed is sent again.
    pub retry: Retry,

    /// TLS to the workers, for `servers`: `tls: {}` for certificates that the system trusts. Without
    /// this section asgate speaks plain HTTP to them.
    pub tls: Option<Tls>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            app: None,
            servers: None,
            balance: Balance::default(),
            hash_on: None,
            affinity: None,
            health: None,
            slow_start: OrOff(Some(seconds(10))),
            connections: Connections::default(),
            max_requests_per_worker: NonZeroU32::MIN.saturating_add(99),
            queue: Queue::default(),
            retry: Retry::default(),
            tls: None,
        }
    }
}

/// A worker that something else started.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// `ip:port`, `[v6]:port`, `name:port`, or `unix:/path`.
    ///
    /// A name is asked for again when its answer has expired (see `resolver`); each of its addresses
    /// is a worker of its own with this weight. A name that stops resolving keeps its last addresses.
    /// Write `127.0.0.1` rather than `localhost`, which may mean `::1` first, where no worker
    /// listens.
    #[schemars(extend("x-required" = true, "examples" = ["127.0.0.1:8001"]))]
    pub address: Option<String>,

    /// Share of the requests beside the other servers: 2 gets twice as many as 1.
    pub weight: NonZeroU16,
}

impl Default for Server {
    fn default() -> Self {
        Self { address: None, weight: NonZeroU16::MIN }
    }
}

/// How a worker is chosen for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    #[default]
    LeastRequests,
    RoundRobin,
    Random,
    Latency,
    Hash,
}

/// A cookie that names a worker. It goes before `balance` while that worker can take requests; else
/// another worker is chosen, and named from then on. The name holds for whoever replaces the worker.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Affinity {
    /// Name of the cookie: letters, digits and ``!#$%&'*+-.^_`|~``. Each upstream needs its own, or
    /// they would overwrite each other's.
    pub cookie: String,

    /// What the cookie is signed with, so that clients cannot choose their worker; at least 16
    /// bytes. Default: random at each start, so that cookies of an earlier run are forgotten. Give
    /// one where several asgates share the workers. Take it from the environment
    /// (`"${AFFINITY_SECRET}"`); it is never logged and never shown in messages.
    #[schemars(extend("x-secret" = true))]
    pub secret: Option<SecretText>,
}

impl Default for Affinity {
    fn default() -> Self {
        Self { cookie: "asgate_affinity".to_owned(), secret: None }
    }
}

/// A text that is not for logs.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// TLS to the workers of an upstream with `servers`; not for those on Unix sockets.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The name that is asked for (SNI) and that the certificate has to be for: a DNS name or an IP
    /// address. Default: the host in the server's `address`.
    #[schemars(extend("examples" = ["app.internal"]))]
    pub sni: Option<String>,

    /// File of CA certificates in PEM that are trusted, instead of those that the system trusts.
    #[schemars(extend("examples" = ["ca.pem"]))]
    pub ca: Option<String>,

    /// Whether the certificate is looked at. With `false` anyone in between can read and change
    /// everything: better name the worker's own certificate as `ca`.
    pub verify: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { sni: None, ca: None, verify: true }
    }
}
