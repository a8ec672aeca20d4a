//! `upstreams.*.app`: how workers are started, watched and replaced.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{OrOff, Size, Span};
use super::seconds;

/// How to start supervised workers: either `asgi` (Uvicorn) or `command` (any server).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// The ASGI application as `module:attribute`, for example `backend.main:app`; Uvicorn serves
    /// it.
    #[schemars(extend("examples" = ["backend.main:app"]))]
    pub asgi: Option<String>,

    /// Further arguments for Uvicorn, for `asgi`. They come after asgate's own, so that they win:
    /// `[--log-level, warning]`, `[--factory]`, `["--app-dir=src"]`.
    ///
    /// Refused is what would break the worker: another address (`--host`, `--port`, `--uds`,
    /// `--fd`), more than one process (`--workers`, `--reload…`), encryption (`--ssl-…`), HTTP/2,
    /// ends that nobody planned (`--limit-max-requests…`: use `recycle.max_requests`) and
    /// `--root-path` (use `root_path`). `--timeout-keep-alive` must be longer than
    /// `connections.idle_timeout`, `--timeout-graceful-shutdown` no longer than `stop_timeout`,
    /// `--limit-concurrency` at least 3 (see `max_requests_per_worker`).
    /// The same holds for variables called `UVICORN_…` in `env`; inherited ones that would break
    /// the worker are taken out of its environment.
    ///
    /// On Windows asgate passes `--loop asgate_loop:new_event_loop` (Uvicorn 0.36 or newer), a
    /// proactor loop that goes on accepting after a connection was reset too early. Another
    /// `--loop` takes its place: psycopg, for one, needs `asyncio:SelectorEventLoop`, with which
    /// asyncio cannot start subprocesses. See `docs/guides/windows-workers.md`.
    #[schemars(extend("examples" = [["--log-level", "warning"]]))]
    pub args: Vec<String>,

    /// The program to start and its arguments, for any server that speaks HTTP/1.1. `{port}` (TCP
    /// on loopback), `{socket}` (path of a Unix socket) and `{worker}` (number from 1) are filled
    /// in; the command must take its address from `{port}` or `{socket}`. No shell is involved. A
    /// program with a `/` in its name is a path relative to the configuration file; any other is
    /// looked up in `PATH`. `conf/other-servers.yaml` has Hypercorn and Granian.
    ///
    /// The server must keep unused connections for longer than `connections.idle_timeout`, be one
    /// worker only, and end when it is sent SIGTERM (CTRL_BREAK on Windows).
    pub command: Option<Vec<String>>,

    /// Working directory of the workers. Default: the directory of the configuration file.
    pub directory: Option<String>,

    /// The Python interpreter, for `asgi`. A value with a `/` is a path relative to the
    /// configuration file (not to `directory`); any other is looked up in `PATH`. Default: that of
    /// the `.venv` in `directory` when there is one, else that of its `venv`, else `python3` from
    /// `PATH` (on Windows `py`, else `python`).
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

    /// Paths, each with a query if need be, that a new worker is asked for with GET, in this order,
    /// before it gets traffic: what they load and compile is loaded and compiled then. The worker
    /// is ready when each was answered with a status below 500; all of it counts against
    /// `startup_timeout`.
    #[schemars(extend("examples" = [["/", "/items?warm=1"]]))]
    pub warmup: Vec<String>,

    /// From the start of a worker until it is ready. One that takes longer is killed and started
    /// again.
    pub startup_timeout: Span,

    /// How long the requests on a worker that is replaced may take to finish, before it is asked to
    /// stop; and from then on, how long it may take until it is killed. Requests that are not
    /// finished then are lost. When asgate itself stops, `shutdown_timeout` takes the place of the
    /// first.
    pub stop_timeout: Span,

    /// A worker that answers nothing at all for this long, on kept and on new connections, though
    /// requests wait on it, is taken for hung and replaced.
    ///
    /// The requests on it are lost then. Code that blocks the event loop, such as a long
    /// computation in an `async def`, looks the same from outside and is legal Python: this has to
    /// be longer than the longest of it. With `off` a worker that hangs is only noticed by
    /// `health`.
    pub hang_timeout: OrOff<Span>,

    /// When a worker that is well is replaced all the same. The replacement is ready before the old
    /// worker takes no more requests, so none is lost.
    pub recycle: Recycle,

    /// How a worker that ended or did not start is started again.
    pub restart: Restart,
}

impl Default for App {
    fn default() -> Self {
        Self {
            asgi: None,
            args: Vec::new(),
            command: None,
            directory: None,
            python: None,
            workers: NonZeroU16::MIN,
            env: BTreeMap::new(),
            transport: Transport::default(),
            root_path: String::new(),
            warmup: Vec::new(),
            startup_timeout: seconds(60),
            stop_timeout: seconds(30),
            hang_timeout: OrOff(Some(seconds(90))),
            recycle: Recycle::default(),
            restart: Restart::default(),
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

/// Planned replacement of workers, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recycle {
    /// Replace a worker after so many requests that asgate sent to it. Left out: no limit.
    #[schemars(extend("x-absent" = "there is no limit"))]
    pub max_requests: Option<NonZeroU64>,

    /// Replace a worker after this time, at least `1s`. Each one takes up to a tenth off, at
    /// random, so that those which started together do not go together.
    pub max_age: OrOff<Span>,

    /// Replace a worker whose resident memory, its child processes included, is more than this, at
    /// least `1MiB`. Pages that it shares with its children count for each of them.
    pub max_memory: OrOff<Size>,

    /// Replace all workers when one of these files changes, appears or goes. What is not there yet
    /// is waited for. They are looked at every second; a file counts when it has stopped changing.
    ///
    /// For a directory: any file below it, but not in hidden directories, `venv`, `node_modules`,
    /// `__pycache__` and links to directories. At most 10000 files are looked at. Directories that
    /// the app writes to (logs, uploads, a database) have no place here: each write would replace
    /// the workers.
    #[schemars(extend("examples" = [["../backend"]]))]
    pub on_file_change: Vec<String>,
}

impl Default for Recycle {
    fn default() -> Self {
        Self {
            max_requests: None,
            max_age: OrOff(None),
            max_memory: OrOff(None),
            on_file_change: Vec::new(),
        }
    }
}

/// Starting again after a failure.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Restart {
    /// The pause after a start that failed or a worker that ended unasked, hung or went deaf; the
    /// first failure of a worker that was ready is mended without one. Doubled with each further
    /// one, and varied at random so that workers do not all start at once.
    pub backoff: Span,

    /// The longest pause; not less than `backoff`.
    pub max_backoff: Span,

    /// When asgate stops to believe that the next start will help.
    pub rapid_fail: RapidFail,
}

impl Default for Restart {
    fn default() -> Self {
        Self { backoff: seconds(1), max_backoff: seconds(30), rapid_fail: RapidFail::default() }
    }
}

/// So many failures (starts that failed, workers that ended unasked) of an upstream within `window`
/// mean that the app is broken. From then on each worker is tried only every `max_backoff`, until
/// one has stayed up and none has failed for a window. Meanwhile the workers that still run serve;
/// without any, requests are answered with 503 and `Retry-After`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RapidFail {
    /// How many failures, of all workers of the upstream together.
    pub failures: NonZeroU32,

    /// The time within which they count.
    pub window: Span,
}

impl Default for RapidFail {
    fn default() -> Self {
        Self { failures: NonZeroU32::MIN.saturating_add(9), window: seconds(60) }
    }
}
