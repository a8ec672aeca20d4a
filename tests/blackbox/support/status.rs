//! What the edge says of its workers: `GET /status` of the admin API, taken apart.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use super::client::Client;
use super::edge::Edge;
use super::wait_until;

/// One upstream.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub state: String,
    pub reason: Option<String>,
    pub workers: Vec<Worker>,
}

/// One worker: its present generation, and those that are still leaving.
#[derive(Debug, Clone)]
pub struct Worker {
    pub name: String,
    pub state: String,
    /// Of its state, where that needs one.
    pub reason: Option<String>,
    pub in_rotation: bool,
    pub generation: u64,
    pub pid: Option<u32>,
    pub address: Option<String>,
    /// By reason; those that never happened are not there.
    pub restarts: BTreeMap<String, u64>,
    /// The pids of earlier generations whose processes are not gone.
    pub leaving: Vec<u32>,
    pub last_output: Vec<String>,
}

// === impl Upstream ===

impl Upstream {
    /// The state of upstream `u`.
    pub fn of(edge: &Edge) -> Self {
        Self::at(edge.admin())
    }

    /// As [`Self::of`], for the edge with its admin API at this address.
    pub fn at(admin: SocketAddr) -> Self {
        let mut client = Client::connect(admin);
        client.send("GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let response = client.response();
        assert_eq!(response.status, 200, "the status: {response:?}");
        let status = response.json();
        let upstreams = status["upstreams"].as_array().expect("upstreams");
        let upstream = upstreams.iter().find(|upstream| upstream["name"] == "u");
        let upstream = upstream.unwrap_or_else(|| panic!("no upstream u: {status:#}"));
        let workers = upstream["workers"].as_array().expect("its workers");
        Self {
            state: text(upstream, "state"),
            reason: upstream["reason"].as_str().map(str::to_owned),
            workers: workers.iter().map(Worker::read).collect(),
        }
    }

    /// How many workers may be given requests.
    pub fn in_rotation(&self) -> usize {
        self.workers.iter().filter(|worker| worker.in_rotation).count()
    }

    /// How often workers were restarted, for any reason.
    pub fn restarts(&self) -> u64 {
        self.workers.iter().flat_map(|worker| worker.restarts.values()).sum()
    }

    /// How often workers were restarted for this reason.
    pub fn restarts_for(&self, reason: &str) -> u64 {
        self.workers.iter().filter_map(|worker| worker.restarts.get(reason)).sum()
    }

    /// Whether all is well: every worker ready and in rotation, and no process of an earlier generation left.
    pub fn is_settled(&self) -> bool {
        let settled = |worker: &Worker| {
            worker.state == "ready" && worker.in_rotation && worker.leaving.is_empty()
        };
        self.workers.iter().all(settled)
    }

    /// The worker that is this process.
    pub fn worker_of(&self, pid: u32) -> Option<&Worker> {
        self.workers.iter().find(|worker| worker.pid == Some(pid))
    }

    pub fn pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(|worker| worker.pid).collect()
    }
}

/// Waits until upstream `u` is as `check` wants it, and fails with `what` and how it was instead.
pub fn wait_for_upstream(edge: &Edge, what: &str, check: impl Fn(&Upstream) -> bool) -> Upstream {
    wait_until(what, || Upstream::of(edge), check)
}

/// Waits until all workers of upstream `u` are ready, with no earlier generation left.
pub fn wait_until_settled(edge: &Edge) -> Upstream {
    wait_for_upstream(edge, "all workers to be ready", Upstream::is_settled)
}

// === impl Worker ===

impl Worker {
    fn read(worker: &Value) -> Self {
        let leaving = worker["leaving"].as_array().into_iter().flatten();
        let lines = worker["last_output"].as_array().into_iter().flatten();
        let restarts = worker["restarts"].as_object().into_iter().flatten();
        Self {
            name: text(worker, "name"),
            state: text(worker, "state"),
            reason: worker["reason"].as_str().map(str::to_owned),
            in_rotation: worker["in_rotation"].as_bool().expect("in_rotation"),
            generation: worker["generation"].as_u64().expect("generation"),
            pid: number(&worker["pid"]),
            address: worker["address"].as_str().map(str::to_owned),
            restarts: restarts
                .map(|(reason, count)| (reason.clone(), count.as_u64().expect("a count")))
                .collect(),
            leaving: leaving.filter_map(|left| number(&left["pid"])).collect(),
            last_output: lines.map(|line| line.as_str().expect("a line").to_owned()).collect(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid.unwrap_or_else(|| panic!("worker {} has no process: {self:?}", self.name))
    }
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_else(|| panic!("no {key} in {object:#}")).to_owned()
}

/// A pid of JSON.
pub fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}
