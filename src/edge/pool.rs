//! One upstream as operators see it: what its pool, its supervisor and its resolver know of it.

use std::sync::Arc;

use crate::admin::{
    CheckStatus, ConnectionCounts, Kind, LeavingStatus, QueueStatus, Refusal, UpstreamState,
    UpstreamStatus, WorkerState, WorkerStatus, reused_ratio,
};
use crate::supervisor::{self, Crew, GenerationStatus};
use crate::telemetry::{ConnectionKind, UpstreamMetrics};
use crate::upstream::{Fitness, Mark, Upstream, Worker};

use super::fixed::Name;

/// One upstream and who keeps its workers; nobody does for fixed ones.
pub(super) struct Pool {
    pub(super) upstream: Arc<Upstream>,
    pub(super) metrics: Arc<UpstreamMetrics>,
    pub(super) crew: Option<Arc<Crew>>,
    /// The host names that workers of it are behind.
    pub(super) names: Vec<Name>,
}

impl Pool {
    pub(super) fn status(&self) -> UpstreamStatus {
        // Before the workers: a request gives its worker back first.
        let requests_in_flight = self.metrics.in_flight();
        let (length, size) = self.upstream.queue();
        let (reason, workers) = match &self.crew {
            Some(crew) => {
                let (status, members) = (crew.status(), self.upstream.workers());
                (status.trouble, status.workers.iter().map(|w| supervised(w, &members)).collect())
            }
            None => (None, self.upstream.workers().iter().map(fixed).collect()),
        };
        let workers: Vec<WorkerStatus> = workers;
        let retries = self.metrics.retries().into_iter();
        UpstreamStatus {
            name: self.upstream.name().to_string(),
            state: UpstreamState::of(&workers),
            reason,
            requests_in_flight,
            queue: QueueStatus { length: length as u64, size: size as u64 },
            retries: retries.map(|(reason, count)| (reason.to_owned(), count)).collect(),
            notes: self.names.iter().filter_map(note).collect(),
            workers,
        }
    }

    pub(super) fn mark_fixed(&self, name: &str, drained: bool) -> Result<(), Refusal> {
        let workers = self.upstream.workers();
        let worker = workers.iter().find(|worker| *worker.identity().name == *name);
        let worker = worker.ok_or_else(|| self.no_such_worker(name))?;
        if worker.mark(Mark::Drained, drained) {
            return Ok(());
        }
        let rotation = if drained { "out of" } else { "in" };
        Err(Refusal::Failed(format!("worker {name} is {rotation} rotation already")))
    }

    pub(super) fn refusal(&self, why: supervisor::Refusal) -> Refusal {
        match why {
            supervisor::Refusal::Busy => Refusal::Busy(why.to_string()),
            supervisor::Refusal::NoSuchWorker(name) => self.no_such_worker(&name),
            supervisor::Refusal::Failed { .. } => Refusal::Failed(why.to_string()),
        }
    }

    fn no_such_worker(&self, name: &str) -> Refusal {
        Refusal::NoSuchWorker {
            upstream: self.upstream.name().to_string(),
            name: name.to_owned(),
            existing: self.status().workers.into_iter().map(|worker| worker.name).collect(),
        }
    }
}

/// `members` are the workers as their pool has them. One may be of another generation than its supervisor spoke of a moment
/// ago: one takes the place of the other in one step, so the worker is in rotation all the time.
fn supervised(worker: &supervisor::WorkerStatus, members: &[Arc<Worker>]) -> WorkerStatus {
    let name = worker.index.to_string();
    let base = WorkerStatus {
        state: WorkerState::Waiting,
        reason: worker.waiting.as_ref().map(|waiting| {
            format!("next start in {:.1}s: {}", waiting.rest.as_secs_f64(), waiting.reason)
        }),
        restarts: worker.restarts.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
        last_end: worker.last_end.clone(),
        leaving: worker.leaving.iter().map(leaving).collect(),
        last_output: worker.last_lines.clone(),
        ..WorkerStatus::absent(&name, Kind::Supervised)
    };
    let Some(current) = &worker.current else {
        return base;
    };
    let successor = worker
        .successor
        .as_ref()
        .map(|successor| format!("generation {} is to take its place", successor.generation));
    let status = WorkerStatus {
        state: worker_state(current.state),
        reason: current.reason.clone().or(successor),
        generation: current.generation,
        pid: Some(current.pid),
        address: Some(current.address.to_string()),
        requests_in_flight: current.requests_in_flight as u64,
        connections: ConnectionCounts {
            idle: current.idle_connections as u64,
            active: current.active_connections,
        },
        requests_total: current.requests,
        memory_bytes: current.memory,
        uptime_seconds: Some(current.age.as_secs_f64()),
        ..base
    };
    match members.iter().find(|member| *member.identity().name == *name) {
        Some(member) => with_pool(status, member),
        None => status,
    }
}

fn fixed(worker: &Arc<Worker>) -> WorkerStatus {
    let marked = |mark| worker.is_marked(mark);
    let (state, reason) = if marked(Mark::Drained) {
        (WorkerState::Drained, Some("an operator took it out of rotation"))
    } else if marked(Mark::Unhealthy) {
        (WorkerState::Unready, Some("its health checks fail"))
    } else if marked(Mark::Deaf) {
        (WorkerState::Deaf, Some("its listener is gone"))
    } else if marked(Mark::Shut) {
        (WorkerState::Deaf, Some("its health checks over new connections fail"))
    } else {
        (WorkerState::Ready, None)
    };
    let status = WorkerStatus {
        state,
        reason: reason.map(str::to_owned),
        address: Some(worker.address().to_string()),
        requests_in_flight: worker.in_flight() as u64,
        connections: ConnectionCounts {
            idle: worker.idle_connections() as u64,
            active: worker.metrics().active(),
        },
        requests_total: worker.requests(),
        ..WorkerStatus::absent(&worker.identity().name, Kind::Fixed)
    };
    with_pool(status, worker)
}

/// Adds what the pool knows of a worker.
fn with_pool(status: WorkerStatus, worker: &Worker) -> WorkerStatus {
    let metrics = worker.metrics();
    let is_ejected = status.state == WorkerState::Ready && worker.is_marked(Mark::Ejected);
    let sent = |kind| metrics.requests_on(kind);
    WorkerStatus {
        state: if is_ejected { WorkerState::Ejected } else { status.state },
        reason: status.reason.or(is_ejected.then(|| "too many requests to it failed".to_owned())),
        // One that comes after others, or only with the connections that it has, does not count.
        in_rotation: worker.fitness() == Fitness::Full,
        slots: worker.slots() as u64,
        weight: worker.weight().get(),
        connects: metrics.connects(),
        reused_ratio: reused_ratio(sent(ConnectionKind::New), sent(ConnectionKind::Reused)),
        ejections: metrics.ejections(),
        last_check: worker.last_check().map(|check| CheckStatus {
            passed: check.passed,
            message: check.message,
            seconds_ago: check.at.elapsed().as_secs_f64(),
        }),
        ..status
    }
}

/// What there is to say about a host name.
fn note(name: &Name) -> Option<String> {
    let known = name.state.known();
    let trouble = known.trouble?;
    let kept = known.addresses.len();
    Some(format!("{} does not resolve ({kept} addresses kept): {trouble}", name.host))
}

fn leaving(generation: &GenerationStatus) -> LeavingStatus {
    LeavingStatus {
        generation: generation.generation,
        pid: generation.pid,
        state: worker_state(generation.state),
        requests_in_flight: generation.requests_in_flight as u64,
        seconds: generation.in_state_for.as_secs_f64(),
    }
}

fn worker_state(state: supervisor::State) -> WorkerState {
    match state {
        supervisor::State::Starting => WorkerState::Starting,
        supervisor::State::Ready => WorkerState::Ready,
        supervisor::State::Unready => WorkerState::Unready,
        supervisor::State::Deaf => WorkerState::Deaf,
        supervisor::State::Hung => WorkerState::Hung,
        supervisor::State::Drained => WorkerState::Drained,
        supervisor::State::Draining => WorkerState::Draining,
        supervisor::State::Stopping => WorkerState::Stopping,
        supervisor::State::Stopped => WorkerState::Stopped,
    }
}
