//! Supervised workers: how they are started, watched and replaced.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

/// How to start the supervised workers of an upstream.
#[derive(Clone)]
pub struct App {
    pub start: Start,
    /// Further arguments for Uvicorn, after asgate's own; empty unless `start` is [`Start::Asgi`]. None of them
    /// breaks the worker (see `super::super::uvicorn`).
    pub args: Vec<String>,
    /// Working directory of the workers; absolute, exists.
    pub directory: PathBuf,
    /// The interpreter as configured (absolute when it has a separator); `None`: look for one (see `supervisor`).
    pub python: Option<PathBuf>,
    pub workers: NonZeroU16,
    /// Added to asgate's own environment. Never logged.
    pub env: BTreeMap<String, String>,
    pub transport: Transport,
    /// Passed to Uvicorn as `--root-path`: the prefix that a route strips before the app sees the path. Empty: none.
    pub root_path: String,
    /// Paths, with queries, that a worker is asked for with GET, in order, before it is ready.
    pub warmup: Vec<String>,
    /// From start to ready.
    pub startup_timeout: Duration,
    /// For the requests on a worker that is replaced, and then from the request to stop to the kill.
    pub stop_timeout: Duration,
    /// A worker that answers nothing for this long though requests wait on it is replaced; `None`: never.
    pub hang_timeout: Option<Duration>,
    pub recycle: Recycle,
    pub restart: Restart,
}

impl fmt::Debug for App {
    /// Everything but the values of `env`, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("start", &self.start)
            .field("args", &self.args)
            .field("directory", &self.directory)
            .field("python", &self.python)
            .field("workers", &self.workers)
            .field("env", &self.env.keys())
            .field("transport", &self.transport)
            .field("root_path", &self.root_path)
            .field("warmup", &self.warmup)
            .field("startup_timeout", &self.startup_timeout)
            .field("stop_timeout", &self.stop_timeout)
            .field("hang_timeout", &self.hang_timeout)
            .field("recycle", &self.recycle)
            .field("restart", &self.restart)
            .finish()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// `module:attribute`, served by Uvicorn.
    Asgi(String),
    /// Any server; `{port}`, `{socket}` and `{worker}` are filled in. Never empty.
    Command(Vec<String>),
}

/// How asgate reaches a supervised worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A Unix socket where the system has them for Uvicorn (Linux), TCP on loopback elsewhere.
    Auto,
    Tcp,
}

/// When a worker that is well is replaced all the same. The default is never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recycle {
    /// After so many requests that the edge sent to it.
    pub max_requests: Option<NonZeroU64>,
    /// After this time, less up to a tenth at random; at least a second.
    pub max_age: Option<Duration>,
    /// When it and its children have more resident memory than this, in bytes; at least a mebibyte.
    pub max_memory: Option<u64>,
    /// When one of these files changes, or any file below one of these directories. Absolute; they need not exist.
    pub on_file_change: Vec<PathBuf>,
}

/// How a worker that ended unasked or did not start is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The first pause; doubled with each further failure, with jitter.
    pub backoff: Duration,
    /// The longest pause; at least `backoff`.
    pub max_backoff: Duration,
    pub rapid_fail: RapidFail,
}

/// So many failures of an upstream's workers within `window`: one try every `max_backoff` until a worker is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RapidFail {
    pub failures: NonZeroU32,
    pub window: Duration,
}
