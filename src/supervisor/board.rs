//! What is known of one worker and its generations, for operators; and the one place where a generation's state changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::WorkerId;
use super::lifecycle::{Event, State};
use super::output::Tail;
use super::platform::Group;
use super::reason::Reason;
use super::status::{GenerationStatus, Waiting, WorkerStatus};
use crate::upstream::Worker;

/// The record of one worker. Written by its keeper, read by whoever asks.
#[derive(Debug)]
pub(super) struct Board {
    upstream: Arc<str>,
    index: u16,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    /// Those with a process, oldest first.
    generations: Vec<Entry>,
    /// Why there is no process, and until when.
    waiting: Option<(Instant, String)>,
    restarts: BTreeMap<&'static str, u64>,
    last_end: Option<String>,
    /// What the newest generation printed.
    tail: Tail,
}

/// One generation.
pub(super) struct Entry {
    pub(super) id: WorkerId,
    pub(super) pid: u32,
    pub(super) worker: Arc<Worker>,
    state: State,
    reason: Option<String>,
    started: Instant,
    /// When it came into its state.
    since: Instant,
    memory: Option<u64>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id.generation, self.state)
    }
}

impl Entry {
    pub(super) fn starting(id: WorkerId, pid: u32, worker: Arc<Worker>) -> Self {
        let (state, now) = (State::Starting, Instant::now());
        Self { id, pid, worker, state, reason: None, started: now, since: now, memory: None }
    }

    fn status(&self, now: Instant) -> GenerationStatus {
        GenerationStatus {
            generation: self.id.generation,
            state: self.state,
            reason: self.reason.clone(),
            pid: self.pid,
            address: self.worker.address().clone(),
            age: now.saturating_duration_since(self.started),
            in_state_for: now.saturating_duration_since(self.since),
            requests_in_flight: self.worker.in_flight(),
            requests: self.worker.requests(),
            idle_connections: self.worker.idle_connections(),
            active_connections: self.worker.metrics().active(),
            memory: self.memory,
        }
    }
}

impl Board {
    pub(super) fn new(upstream: &Arc<str>, index: u16) -> Self {
        Self { upstream: Arc::clone(upstream), index, record: Mutex::default() }
    }

    /// A process runs.
    pub(super) fn started(&self, entry: Entry, tail: &Tail) {
        log::info!(
            "Worker is starting: upstream={} worker={} generation={} pid={}",
            self.upstream,
            self.index,
            entry.id.generation,
            entry.pid
        );
        let mut record = self.record.lock();
        record.waiting = None;
        record.tail = tail.clone();
        record.generations.push(entry);
    }

    /// Something happened to a generation. Every change of a state goes through here, and is logged with its reason.
    pub(super) fn happened(&self, generation: u64, event: Event, reason: &str) {
        let mut record = self.record.lock();
        let entries = &mut record.generations;
        let Some(entry) = entries.iter_mut().find(|entry| entry.id.generation == generation) else {
            return;
        };
        let Some(next) = entry.state.after(event) else {
            return;
        };
        let (upstream, worker, pid) = (&self.upstream, self.index, entry.pid);
        let level = match event {
            Event::Doubted | Event::Deafened | Event::GivenUp => log::Level::Warn,
            _ => log::Level::Info,
        };
        log::log!(
            level,
            "Worker is {next}: upstream={upstream} worker={worker} generation={generation} pid={pid} was={} reason={reason:?}",
            entry.state
        );
        entry.state = next;
        entry.since = Instant::now();
        entry.reason = (next != State::Ready).then(|| reason.to_owned());
        if next == State::Stopped {
            record.last_end = Some(reason.to_owned());
            record.generations.retain(|entry| entry.id.generation != generation);
        }
    }

    /// There is no process until then.
    pub(super) fn waiting(&self, until: Instant, reason: String) {
        self.record.lock().waiting = Some((until, reason));
    }

    /// A generation took the place of another.
    pub(super) fn restarted(&self, reason: Reason) {
        *self.record.lock().restarts.entry(reason.as_str()).or_default() += 1;
    }

    /// Reads and notes what the processes of a generation occupy, in bytes; `None` where the system does not say.
    pub(super) async fn weigh(&self, generation: u64, group: &Arc<Group>) -> Option<u64> {
        let group = Arc::clone(group);
        let bytes = tokio::task::spawn_blocking(move || group.memory()).await.ok().flatten();
        self.occupies(generation, bytes);
        bytes
    }

    fn occupies(&self, generation: u64, bytes: Option<u64>) {
        let mut record = self.record.lock();
        let mut entries = record.generations.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.id.generation == generation) {
            entry.memory = bytes;
        }
    }

    pub(super) fn status(&self) -> WorkerStatus {
        let now = Instant::now();
        let record = self.record.lock();
        let leaves = |entry: &&Entry| matches!(entry.state, State::Draining | State::Stopping);
        // The one that serves; while there is none, the one that is to.
        let staying = || record.generations.iter().filter(|entry| !leaves(entry));
        let current = staying().find(|entry| entry.state != State::Starting);
        let current = current.or_else(|| staying().next());
        let successor = staying().find(|entry| {
            current.is_some_and(|current| current.id.generation != entry.id.generation)
        });
        WorkerStatus {
            index: self.index,
            current: current.map(|entry| entry.status(now)),
            successor: successor.map(|entry| entry.status(now)),
            leaving: record.generations.iter().filter(leaves).map(|e| e.status(now)).collect(),
            waiting: record.waiting.as_ref().map(|(until, reason)| Waiting {
                rest: until.saturating_duration_since(now),
                reason: reason.clone(),
            }),
            restarts: record.restarts.clone(),
            last_end: record.last_end.clone(),
            last_lines: record.tail.lines(),
        }
    }
}
