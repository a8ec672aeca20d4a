//! How a running edge is doing, as plain data: what `GET /status` answers and `asgate status` reads.
//!
//! Fields may be added; a reader skips those that it does not know. None is renamed or removed. One that came later has
//! a default: an `asgate` that was just updated is to stop and restart the edge that runs since before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod listener;
#[cfg(test)]
mod tests;
mod words;

pub use listener::{CertificateStatus, ClientAuthStatus, ListenerStatus, TlsStatus};

/// One edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the running program.
    pub version: String,
    /// Of the edge itself.
    pub pid: u32,
    /// Since the edge was started.
    pub uptime_seconds: f64,
    pub state: State,
    /// In the order of the configuration.
    pub listeners: Vec<ListenerStatus>,
    /// In the order of the configuration.
    pub upstreams: Vec<UpstreamStatus>,
}

/// How the whole edge is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All upstreams are ready, also when there is none, and all certificates are valid.
    Ready,
    /// Some upstream is not, or some certificate has expired.
    Degraded,
    /// A stop was asked for: no new connections, requests in flight finish.
    Stopping,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    pub name: String,
    pub state: UpstreamState,
    /// What is wrong with all of its workers, for people.
    pub reason: Option<String>,
    /// Requests that are being served, or that look for a worker.
    pub requests_in_flight: u64,
    /// Requests that wait for a worker to be free.
    #[serde(default)]
    pub queue: QueueStatus,
    /// How often requests were sent again, by reason (`connect`, `stale` ...); reasons that did not occur are left out.
    #[serde(default)]
    pub retries: BTreeMap<String, u64>,
    /// What else there is to know of it, for people: a host name that does not resolve.
    #[serde(default)]
    pub notes: Vec<String>,
    pub workers: Vec<WorkerStatus>,
}

/// Requests that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// That wait now.
    pub length: u64,
    /// That may wait; 0 where none may.
    pub size: u64,
}

/// How an upstream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamState {
    /// All workers are in rotation.
    Ready,
    /// Some are.
    Degraded,
    /// None is: requests are tried on those that are left, or answered 503.
    Down,
}

/// One worker: the generation that serves, or the one that is to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Unique in its upstream and the same for all generations: its number, or the address of a fixed worker.
    pub name: String,
    pub kind: Kind,
    pub state: WorkerState,
    /// Why it is in this state, for people; `null` when there is nothing to explain.
    pub reason: Option<String>,
    /// Whether it gets requests like every other; one that comes after others, or only with connections that it has
    /// already, does not.
    pub in_rotation: bool,
    /// Counts the starts from 1; 0 for a fixed worker.
    pub generation: u64,
    /// `null` for a fixed worker, and while there is no process.
    pub pid: Option<u32>,
    /// `null` while there is no process.
    pub address: Option<String>,
    pub requests_in_flight: u64,
    /// How many it is given at a time; 0 where that is not known.
    #[serde(default)]
    pub slots: u64,
    /// Its share beside the others; 0 where that is not known.
    #[serde(default)]
    pub weight: u16,
    pub connections: ConnectionCounts,
    /// Attempts to connect to any of its generations, failed ones included.
    #[serde(default)]
    pub connects: u64,
    /// The share of what was sent to any of its generations that went over a connection used before, 0 to 1, see
    /// [`reused_ratio`]; `null` when nothing was sent.
    #[serde(default)]
    pub reused_ratio: Option<f64>,
    /// Requests that this generation was given.
    pub requests_total: u64,
    /// How often any of its generations was taken out of rotation because requests to it failed.
    #[serde(default)]
    pub ejections: u64,
    /// `null` when there was none.
    #[serde(default)]
    pub last_check: Option<CheckStatus>,
    /// Resident memory of the process and its children; `null` where the system does not say.
    pub memory_bytes: Option<u64>,
    /// Since this generation was started; `null` for a fixed worker, and while there is no process.
    pub uptime_seconds: Option<f64>,
    /// How often it was replaced, by reason (`exit`, `deaf`, `restart` ...).
    pub restarts: BTreeMap<String, u64>,
    /// How its last process ended, for people; `null` when none has.
    pub last_end: Option<String>,
    /// Earlier generations that finish what they have.
    pub leaving: Vec<LeavingStatus>,
    /// What it printed last, oldest line first.
    pub last_output: Vec<String>,
}

/// Who started a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// asgate did.
    Supervised,
    /// It was there.
    Fixed,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Its process runs and has not answered its readiness check yet.
    Starting,
    /// It may get requests.
    Ready,
    /// Its health checks fail, or it does not answer: others come first.
    Unready,
    /// Too many requests to it failed: out of rotation for a while.
    Ejected,
    /// It serves old connections, but its listener is gone (CPython gh-93821).
    Deaf,
    /// It has answered nothing for too long, and is to be replaced.
    Hung,
    /// Out of rotation, with requests in flight.
    Draining,
    /// Out of rotation because an operator asked for it.
    Drained,
    /// Its process was asked to end.
    Stopping,
    /// There is no process; the next start comes after a pause.
    Waiting,
    /// There is no process, and none will be started.
    Stopped,
}

/// Connections to one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounts {
    /// Kept for the next request.
    pub idle: u64,
    /// In use.
    pub active: u64,
}

/// A health check that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckStatus {
    pub passed: bool,
    /// What it found, for people.
    pub message: String,
    /// Since it ended.
    pub seconds_ago: f64,
}

/// An earlier generation of a worker that is on its way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeavingStatus {
    pub generation: u64,
    pub pid: u32,
    pub state: WorkerState,
    pub requests_in_flight: u64,
    /// In this state.
    pub seconds: f64,
}

impl WorkerStatus {
    /// Of a worker that nothing is known of but who it is.
    pub fn absent(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            state: WorkerState::Starting,
            reason: None,
            in_rotation: false,
            generation: 0,
            pid: None,
            address: None,
            requests_in_flight: 0,
            slots: 0,
            weight: 0,
            connections: ConnectionCounts::default(),
            connects: 0,
            reused_ratio: None,
            requests_total: 0,
            ejections: 0,
            last_check: None,
            memory_bytes: None,
            uptime_seconds: None,
            restarts: BTreeMap::new(),
            last_end: None,
            leaving: Vec::new(),
            last_output: Vec::new(),
        }
    }
}

/// The share of requests that went over reused connections, rounded to three digits; `None` when there were no requests.
pub fn reused_ratio(new: u64, reused: u64) -> Option<f64> {
    let (new, reused) = (new as f64, reused as f64);
    let all = new + reused;
    (all > 0.0).then(|| (reused / all * 1000.0).round() / 1000.0)
}

impl State {
    /// Of an edge with these listeners and upstreams that is not stopping.
    pub fn of(listeners: &[ListenerStatus], upstreams: &[UpstreamStatus]) -> Self {
        let valid = !listeners.iter().any(ListenerStatus::has_expired);
        let ready = upstreams.iter().all(|upstream| upstream.state == UpstreamState::Ready);
        if valid && ready { Self::Ready } else { Self::Degraded }
    }
}

impl UpstreamState {
    /// Of an upstream with these workers.
    pub fn of(workers: &[WorkerStatus]) -> Self {
        match workers.iter().filter(|worker| worker.in_rotation).count() {
            0 => Self::Down,
            some if some < workers.len() => Self::Degraded,
            _ => Self::Ready,
        }
    }
}
