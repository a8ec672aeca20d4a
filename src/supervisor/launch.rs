//! From a worker's number to a running process whose output is read: address, command line, process, readers.
//!
//! Knows nothing of states and restarts; that is `keeper`.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::WorkerId;
use super::addresses::{Addresses, Lease};
use super::command::{CommandLine, Recipe};
use super::error::{StartCause, StartError};
use super::output::{OutputSink, Source, Stream, Tail};
use super::process::{Process, Spawned, Spawner};
use super::restarts::RapidFailGuard;
use crate::config::{App, Health};
use crate::telemetry::{Telemetry, UpstreamMetrics};
use crate::upstream::{self, Identity, Location, Upstream};

/// How long the rest of a process's output is waited for after its end. It comes at once unless a descendant that left
/// the group holds the pipe open.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// What the workers of one upstream have in common.
pub(super) struct Shared {
    pub(super) pool: Arc<Upstream>,
    pub(super) app: App,
    pub(super) health: Option<Health>,
    pub(super) recipe: Recipe,
    pub(super) addresses: Addresses,
    pub(super) spawner: Spawner,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) metrics: Arc<UpstreamMetrics>,
    pub(super) output: Arc<dyn OutputSink>,
    /// Whose turn it is to be replaced without need.
    pub(super) turn: Semaphore,
    pub(super) guard: Arc<Mutex<RapidFailGuard>>,
}

/// One generation's process and what belongs to it. Fields are dropped in this order: the address is free when the
/// process is not there any more.
pub(super) struct Running {
    pub(super) process: Process,
    readers: JoinSet<()>,
    pub(super) tail: Tail,
    command: CommandLine,
    pub(super) lease: Lease,
}

// === impl Shared ===

impl Shared {
    /// Starts a process for this generation of a worker, its output being read.
    pub(super) async fn launch(&self, id: WorkerId) -> Result<Running, StartError> {
        let fail = |cause| StartError::of_worker(self.name(), id.index, cause);
        let lease = self.addresses.lease(id).map_err(|e| fail(StartCause::Address(e)))?;
        let command = self
            .recipe
            .command_line(id.index, lease.address())
            .map_err(|e| fail(StartCause::Command(e)))?;
        let Spawned { process, stdout, stderr } = self
            .spawner
            .spawn(command.to_command(&self.app))
            .await
            .map_err(|e| fail(StartCause::Spawn(e)).with_command(&command))?;
        let pid = process.pid();
        let tail = Tail::default();
        let source = Source {
            upstream: Arc::clone(self.pool.name()),
            id,
            pid,
            sink: Arc::clone(&self.output),
            tail: tail.clone(),
        };
        let mut readers = JoinSet::new();
        readers.spawn(source.clone().read(Stream::Stdout, stdout));
        readers.spawn(source.read(Stream::Stderr, stderr));
        Ok(Running { process, readers, tail, command, lease })
    }

    /// The upstream's name.
    pub(super) fn name(&self) -> &str {
        self.pool.name()
    }

    /// The pool's view of a process; a replacement begins with a small share.
    pub(super) fn pool_worker(&self, id: WorkerId, running: &Running) -> upstream::Worker {
        let name = id.to_string();
        let metrics = self.telemetry.metrics().worker(self.name(), &name);
        let identity = Identity {
            name: name.into(),
            generation: id.generation,
            pid: Some(running.process.pid()),
        };
        let location = Location { address: running.lease.address().clone(), host: None };
        let terms = self.pool.terms();
        let worker = upstream::Worker::new(identity, location, NonZeroU16::MIN, terms, metrics);
        if id.generation > 1 { worker.newcomer() } else { worker }
    }
}

// === impl Running ===

impl Running {
    /// The error for this start, with the command and the last lines.
    pub(super) fn explain(&self, upstream: &str, id: WorkerId, cause: StartCause) -> StartError {
        StartError::of_worker(upstream, id.index, cause)
            .with_command(&self.command)
            .with_last_lines(self.tail.lines())
    }

    /// Waits for the last lines of a process that has ended.
    pub(super) async fn read_to_end(&mut self) {
        let all = async { while self.readers.join_next().await.is_some() {} };
        if timeout(OUTPUT_GRACE, all).await.is_err() {
            log::debug!("Output still held open after the end: pid={}", self.process.pid());
        }
    }
}
