//! `upstreams`: pools of workers and how to reach them.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::Span;
use super::seconds;

/// A named pool of workers that serve the same app: either `app` (asgate starts them) or `servers`
/// (they are there already).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// How to start the workers that asgate supervises.
    pub app: Option<App>,

    /// Workers that something else started; at least one.
    pub servers: Option<Vec<Server>>,

    /// How a worker is chosen for a request: `round_robin` takes them in turn, by weight.
    pub balance: Balance,

    /// When a connection to a worker is used again.
    pub connections: Connections,
}

/// How to start supervised workers: either `asgi` (Uvicorn) or `command` (any server).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// The ASGI application as `module:attribute`, for example `backend.main:app`; Uvicorn serves
    /// it.
    #[schemars(extend("examples" = ["backend.main:app"]))]
    pub asgi: Option<String>,

    /// The program to start and its arguments, for any server that speaks HTTP/1.1. `{port}` (TCP
    /// on loopback), `{socket}` (path of a Unix socket) and `{worker}` (number from 1) are filled
    /// in; the command must take its address from `{port}` or `{socket}`. No shell is involved. A
    /// program with a `/` in its name is a path relative to the configuration file; any other is
    /// looked up in `PATH`.
    pub command: Option<Vec<String>>,

    /// Working directory of the workers. Default: the directory of the configuration file.
    pub directory: Option<String>,

    /// The Python interpreter, for `asgi`. A value with a `/` is a path relative to the
    /// configuration file (not to `directory`); any other is looked up in `PATH`. Default: that of
    /// the `.venv` in `directory` when there is one, else `python3` (`py` on Windows).
    pub python: Option<String>,

    /// How many workers to start. A worker is a process of its own with its own memory; nothing is
    /// shared between them.
    pub workers: NonZeroU16,

    /// Variables added to the environment that asgate runs in, which workers inherit. Values are
    /// never logged and never shown in messages.
    #[schemars(extend("x-secret" = true))]
    pub env: BTreeMap<String, String>,

    /// How asgate reaches a worker: `auto` is a Unix socket where Uvicorn can use one (Linux) and
    /// TCP on loopback elsewhere; `tcp` is always TCP.
    pub transport: Transport,

    /// The path under which clients see the app, when a route strips it: Uvicorn's `--root-path`,
    /// for `asgi`. Begins with `/` and does not end with one. Default: none. Without it an app
    /// behind `strip_prefix` builds URLs that lack the prefix.
    pub root_path: String,

    /// From the start of a worker to its first answer. One that takes longer is killed and started
    /// again.
    pub startup_timeout: Span,

    /// From the request to stop to the kill. Requests that a worker has not finished by then are
    /// lost.
    pub stop_timeout: Span,
}

impl Default for App {
    fn default() -> Self {
        Self {
            asgi: None,
            command: None,
            directory: None,
            python: None,
            workers: NonZeroU16::MIN,
            env: BTreeMap::new(),
            transport: Transport::default(),
            root_path: String::new(),
            startup_timeout: seconds(60),
            stop_timeout: seconds(30),
        }
    }
}

/// How asgate reaches a supervised worker.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    #[default]
    Auto,
    Tcp,
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
    /// workers are started with a longer one; for `servers` and `command` it is yours to compare.
    pub idle_timeout: Option<Span>,

    /// Unused connections kept for each worker; 0 opens a connection for each request.
    pub max_idle: u32,
}

impl Default for Connections {
    fn default() -> Self {
        Self { idle_timeout: None, max_idle: 64 }
    }
}
