//! How the workers of one upstream are doing, as plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lifecycle::State;
use crate::config::Address;

/// One upstream's workers.
#[derive(Debug, Clone)]
pub struct SupervisorStatus {
    /// What is wrong with all of them, for people.
    pub trouble: Option<String>,
    /// By index.
    pub workers: Vec<WorkerStatus>,
}

/// One worker and its generations.
#[derive(Debug, Clone)]
pub struct WorkerStatus {
    pub index: u16,
    /// The generation that serves; while there is none, the one that starts.
    pub current: Option<GenerationStatus>,
    /// The one that is to take its place.
    pub successor: Option<GenerationStatus>,
    /// Those that finish what they have.
    pub leaving: Vec<GenerationStatus>,
    /// Set while there is no process.
    pub waiting: Option<Waiting>,
    /// How often it was replaced, by [`super::Reason`].
    pub restarts: BTreeMap<&'static str, u64>,
    /// How its last process ended, for people.
    pub last_end: Option<String>,
    /// What it printed last, oldest line first.
    pub last_lines: Vec<String>,
}

/// A worker without a process.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Until the next start.
    pub rest: Duration,
    pub reason: String,
}

/// One generation.
#[derive(Debug, Clone)]
pub struct GenerationStatus {
    pub generation: u64,
    pub state: State,
    /// Why it is not ready, for people.
    pub reason: Option<String>,
    pub pid: u32,
    pub address: Address,
    /// Since its process was started.
    pub age: Duration,
    pub in_state_for: Duration,
    pub requests_in_flight: usize,
    pub requests: u64,
    pub idle_connections: usize,
    /// Over all generations of the worker.
    pub active_connections: u64,
    /// Resident bytes of the process and its children, where the system says so.
    pub memory: Option<u64>,
}
