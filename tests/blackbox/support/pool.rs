//! Edges before fixed workers, with keys of their own for the upstream, and what they say of it.

use std::net::SocketAddr;

use serde_json::Value;

use super::edge::Edge;
use super::wait_until;

/// The configuration of an edge with one upstream `u` of fixed workers and one route. Each part is YAML and may be empty.
#[derive(Clone, Copy, Default)]
pub struct Pool<'a> {
    /// Of the upstream: `balance: hash, hash_on: path`.
    pub keys: &'a str,
    /// Of the route: `timeouts: { first_byte: 1s }`.
    pub route: &'a str,
    /// Of the file: `trusted_proxies: [127.0.0.1]`.
    pub file: &'a str,
}

impl<'a> Pool<'a> {
    /// An upstream with these keys, and nothing else that is not a default.
    pub fn with(keys: &'a str) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Starts an edge before workers at these addresses.
    pub fn before(self, servers: &[SocketAddr]) -> Edge {
        let servers: Vec<_> =
            servers.iter().map(|address| format!("{{ address: \"{address}\" }}")).collect();
        self.before_servers(&servers.join(", "))
    }

    /// Starts an edge before `servers`, the items of a YAML list.
    pub fn before_servers(self, servers: &str) -> Edge {
        Edge::start(&self.config(servers))
    }

    /// The file that [`Self::before_servers`] starts with.
    pub fn config(self, servers: &str) -> String {
        let more = |keys: &str| if keys.is_empty() { String::new() } else { format!(", {keys}") };
        format!(
            "listeners: [{{ address: \"127.0.0.1:0\", http2: true }}]\n\
             admin: {{ address: \"127.0.0.1:0\" }}\n\
             upstreams: {{ u: {{ servers: [{servers}]{} }} }}\n\
             routes: [{{ upstream: u{} }}]\n{}\n",
            more(self.keys),
            more(self.route),
            self.file
        )
    }
}

/// What `GET /status` says of upstream `u`.
pub fn upstream(edge: &Edge) -> Value {
    let mut status = edge.status();
    let upstreams = status["upstreams"].as_array_mut().expect("upstreams");
    let at = upstreams.iter().position(|upstream| upstream["name"] == "u").expect("upstream u");
    upstreams.swap_remove(at)
}

/// What `GET /status` says of its worker with this name.
pub fn worker(edge: &Edge, name: &str) -> Value {
    let mut upstream = upstream(edge);
    let workers = upstream["workers"].as_array_mut().expect("workers");
    let at = workers.iter().position(|worker| worker["name"] == name);
    workers.swap_remove(at.unwrap_or_else(|| panic!("no worker {name} in {workers:#?}")))
}

/// Waits until the worker with this name is as `check` wants it.
pub fn wait_for_worker(edge: &Edge, name: &str, what: &str, check: impl Fn(&Value) -> bool) {
    wait_until(&format!("worker {name} to be {what}"), || worker(edge, name), check);
}

/// Waits until the worker with this name is in rotation, or out of it.
pub fn wait_for_rotation(edge: &Edge, name: &str, expected: bool) {
    let what = if expected { "in rotation" } else { "out of rotation" };
    wait_for_worker(edge, name, what, |worker| worker["in_rotation"] == expected);
}

/// Waits until exactly so many requests wait for a slot.
pub fn wait_for_queue(edge: &Edge, length: usize) {
    wait_until(
        &format!("{length} requests to wait"),
        || upstream(edge)["queue"].clone(),
        |queue| queue["length"] == length,
    );
}

/// Waits until nothing is under way: no request is served, none waits, no worker connection is in use.
pub fn wait_until_idle(edge: &Edge) {
    let idle = |upstream: &Value| {
        let workers = upstream["workers"].as_array().expect("workers");
        upstream["requests_in_flight"] == 0
            && upstream["queue"]["length"] == 0
            && workers.iter().all(|worker| {
                worker["requests_in_flight"] == 0 && worker["connections"]["active"] == 0
            })
    };
    wait_until("nothing to be under way", || upstream(edge), idle);
}

/// The value of `asgate_retries_total` for a reason.
pub fn retries_counted(edge: &Edge, reason: &str) -> f64 {
    edge.metric(&format!("asgate_retries_total{{reason=\"{reason}\",upstream=\"u\"}}"))
}

/// Tells the edge to `drain` or `enable` a worker of upstream `u`.
pub fn steer(edge: &Edge, name: &str, verb: &str) {
    let response = edge.ask_admin("POST", &format!("/upstreams/u/workers/{name}/{verb}"));
    assert_eq!(response.status, 200, "{verb} {name}: {response:?}");
}
