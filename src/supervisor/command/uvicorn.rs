//! Uvicorn's arguments: asgate's own, which agree with the edge, then the user's.

use std::time::Duration;

use crate::config::{Address, App};

/// How much longer a worker keeps an unused connection than the edge, so that the edge is always the one to close
/// and no request is sent into a connection that the worker is closing.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(15);
/// The shortest that the edge is taken to keep one: a worker's keep-alive is not worth changing for less.
const SHORTEST_IDLE: Duration = Duration::from_secs(60);

/// What the arguments of all workers of an app have in common.
#[derive(Debug)]
pub(super) struct Uvicorn {
    target: String,
    root_path: String,
    keep_alive_seconds: u64,
    stop_seconds: u64,
    event_loop: Option<&'static str>,
    further: Vec<String>,
}

impl Uvicorn {
    /// For `target` (`module:attribute`) with the keys of `app`. `idle_timeout` is how long the edge keeps an unused
    /// connection; `event_loop` what to pass as `--loop`.
    pub(super) fn new(
        target: &str,
        app: &App,
        idle_timeout: Duration,
        event_loop: Option<&'static str>,
    ) -> Self {
        let keep_alive = idle_timeout.max(SHORTEST_IDLE).saturating_add(KEEP_ALIVE_MARGIN);
        Self {
            target: target.to_owned(),
            root_path: app.root_path.clone(),
            // Uvicorn takes whole seconds; what the margin loses by that is nothing to it.
            keep_alive_seconds: keep_alive.as_secs(),
            // It must be done before asgate loses patience.
            stop_seconds: app.stop_timeout.as_secs().max(1),
            event_loop,
            further: app.args.clone(),
        }
    }

    /// The interpreter's arguments for a worker at `address`. Of an option that is there twice the last one counts,
    /// so the user's come last; those that would break the worker were refused with the configuration.
    pub(super) fn args(&self, address: &Address) -> Vec<String> {
        let mut args: Vec<String> = ["-m", "uvicorn", &self.target].map(str::to_owned).into();
        let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
        match address {
            Address::Unix(socket) => {
                option("--uds", socket.to_string_lossy().into_owned());
            }
            Address::Tcp(address) => {
                option("--host", address.ip().to_string());
                option("--port", address.port().to_string());
            }
        }
        // The edge says who the client is, first in a chain that it cleaned. Uvicorn takes the first of a chain whose
        // hops it all trusts, and a Unix socket's peer has no address that anything narrower than `*` would match.
        option("--forwarded-allow-ips", "*".to_owned());
        // Said aloud because WEB_CONCURRENCY in the environment would make it start a process tree of its own.
        option("--workers", "1".to_owned());
        option("--timeout-keep-alive", self.keep_alive_seconds.to_string());
        option("--timeout-graceful-shutdown", self.stop_seconds.to_string());
        if !self.root_path.is_empty() {
            option("--root-path", self.root_path.clone());
        }
        if let Some(event_loop) = self.event_loop {
            option("--loop", event_loop.to_owned());
        }
        // The edge writes the access log, and knows more.
        args.push("--no-access-log".to_owned());
        args.extend_from_slice(&self.further);
        args
    }
}
