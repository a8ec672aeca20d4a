//! `upstreams`: pools of workers and how to reach them.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{OrOff, Span};
use super::app::App;
use super::health::Health;
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

    /// How a worker is chosen for a request: `round_robin` takes them in turn, by weight.
    pub balance: Balance,

    /// Checks of the workers by request.
    pub health: Option<Health>,

    /// A worker that joins others gets a share of the requests that grows to its full one during
    /// this time: a process that has just started is slower, and some caches are empty. With `off`
    /// it gets its full share at once.
    pub slow_start: OrOff<Span>,

    /// When a connection to a worker is used again.
    pub connections: Connections,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            app: None,
            servers: None,
            balance: Balance::default(),
            health: None,
            slow_start: OrOff(Some(seconds(10))),
            connections: Connections::default(),
        }
    }
}

/// A worker that something else started.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// `ip:port`, `[v6]:port`, or `unix:/path`. Host names are not implemented yet.
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
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    #[default]
    RoundRobin,
}

/// Reuse of connections to workers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// How long an unused connection is kept. Default: `4s` for `servers`, `60s` for `app`.
    ///
    /// Must stay below the worker's own keep-alive timeout (Uvicorn's default is 5 seconds), or
    /// requests are sent into connections that the worker is just closing. Supervised Uvicorn
    /// workers are started with one that is 15 seconds longer (75 seconds at least); for `servers`
    /// and `command` it is yours to compare.
    pub idle_timeout: Option<Span>,

    /// Unused connections kept for each worker; 0 opens a connection for each request.
    pub max_idle: u32,

    /// Connections opened to a worker as soon as it joins, so that its first requests do not wait
    /// for one; at most `max_idle`. Default: 1 for `app`, 0 for `servers`.
    pub prewarm: Option<u32>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { idle_timeout: None, max_idle: 64, prewarm: None }
    }
}
