//! Edges whose listeners are of interest: several of them, each with keys of its own.

use std::net::SocketAddr;

use super::edge::Edge;

/// The configuration of an edge before one worker. Each part is YAML and may be empty.
#[derive(Clone, Copy, Default)]
pub struct Front<'a> {
    /// The further keys of each listener, `http2: true`; none at all is one without any.
    pub listeners: &'a [&'a str],
    /// List items; none is one route for everything.
    pub routes: &'a str,
    /// Of the file: `trusted_proxies: [127.0.0.1]`.
    pub file: &'a str,
}

impl Front<'_> {
    /// Starts an edge before a worker at this address.
    pub fn before(self, worker: SocketAddr) -> Edge {
        Edge::start(&self.config(worker))
    }

    /// The file that [`Self::before`] starts with. The upstream is `u`.
    pub fn config(self, worker: SocketAddr) -> String {
        let listeners = if self.listeners.is_empty() { &[""] } else { self.listeners };
        let listeners = listeners.iter().map(|keys| {
            let comma = if keys.is_empty() { "" } else { ", " };
            format!("  - {{ address: \"127.0.0.1:0\"{comma}{keys} }}\n")
        });
        let listeners: String = listeners.collect();
        let routes = if self.routes.is_empty() { "  - upstream: u" } else { self.routes };
        format!(
            "listeners:\n{listeners}admin: {{ address: \"127.0.0.1:0\" }}\n\
             upstreams: {{ u: {{ servers: [{{ address: \"{worker}\" }}] }} }}\n\
             routes:\n{routes}\n{}\n",
            self.file
        )
    }
}
