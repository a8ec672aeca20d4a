//! The running edge as the admin API sees and steers it.
//!
//! Gathers what the floors below know of themselves; keeps no state of its own but whether a stop was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::admin::{
    ConnectionCounts, Done, Kind, LeavingStatus, ListenerStatus, Operations, Refusal, State,
    Status, UpstreamState, UpstreamStatus, WorkerState, WorkerStatus,
};
use crate::config::Address;
use crate::listener::Listener;
use crate::supervisor::{self, Crew, GenerationStatus};
use crate::telemetry::{ListenerMetrics, Telemetry, UpstreamMetrics};
use crate::upstream::{Fitness, Mark, Upstream, Worker};

/// What operators ask is asked of this.
pub struct Operator {
    started: Instant,
    listeners: Vec<(Address, Arc<ListenerMetrics>)>,
    pools: Vec<Pool>,
    telemetry: Arc<Telemetry>,
    serving: AtomicBool,
    stop: CancellationToken,
}

/// One upstream and who keeps its workers; nobody does for fixed ones.
struct Pool {
    upstream: Arc<Upstream>,
    metrics: Arc<UpstreamMetrics>,
    crew: Option<Arc<Crew>>,
}

impl Operator {
    /// `crews` are those of the upstreams whose workers are supervised.
    pub fn new(
        listeners: &[Listener],
        upstreams: &[Arc<Upstream>],
        crews: &[Arc<Crew>],
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let listeners = listeners
            .iter()
            .map(|listener| (listener.address().clone(), Arc::clone(listener.metrics())));
        let pools = upstreams.iter().map(|upstream| Pool {
            metrics: telemetry.metrics().upstream(upstream.name()),
            crew: crews.iter().find(|crew| crew.name() == &**upstream.name()).cloned(),
            upstream: Arc::clone(upstream),
        });
        Self {
            started: Instant::now(),
            listeners: listeners.collect(),
            pools: pools.collect(),
            telemetry,
            serving: AtomicBool::new(false),
            stop: CancellationToken::new(),
        }
    }

    /// Waits until the admin API is asked to stop the edge.
    pub async fn stop_asked(&self) {
        self.stop.cancelled().await;
    }

    /// Clients are accepted from now on.
    pub fn note_serving(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// The edge stops, whoever asked for it.
    pub fn note_stop(&self) {
        self.stop.cancel();
    }

    fn pool(&self, name: &str) -> Result<&Pool, Refusal> {
        self.pools.iter().find(|pool| **pool.upstream.name() == *name).ok_or_else(|| {
            let existing = self.pools.iter().map(|pool| pool.upstream.name().to_string()).collect();
            Refusal::NoSuchUpstream { name: name.to_owned(), existing }
        })
    }
}

#[async_trait]
impl Operations for Operator {
    fn status(&self) -> Status {
        let listeners = self.listeners.iter().map(|(address, metrics)| ListenerStatus {
            address: address.to_string(),
            connections: metrics.open(),
        });
        let upstreams: Vec<_> = self.pools.iter().map(Pool::status).collect();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            state: if self.is_stopping() { State::Stopping } else { State::of(&upstreams) },
            listeners: listeners.collect(),
            upstreams,
        }
    }

    fn metrics(&self) -> String {
        self.telemetry.metrics().render()
    }

    fn not_ready(&self) -> Vec<String> {
        let waiting = self.pools.iter().filter(|pool| !pool.upstream.is_ready());
        waiting.map(|pool| pool.upstream.name().to_string()).collect()
    }

    fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    async fn restart(&self, upstream: &str, worker: Option<&str>) -> Result<Done, Refusal> {
        let pool = self.pool(upstream)?;
        let Some(crew) = &pool.crew else {
            return Err(Refusal::Fixed { upstream: upstream.to_owned() });
        };
        let replaced = crew.restart(worker).await.map_err(|why| pool.refusal(why))?;
        let message = match worker {
            Some(worker) => format!("replaced worker {worker} of {upstream}"),
            None => format!("replaced {replaced} workers of {upstream}"),
        };
        Ok(Done { message })
    }

    async fn drain(&self, upstream: &str, worker: &str) -> Result<Done, Refusal> {
        let pool = self.pool(upstream)?;
        match &pool.crew {
            Some(crew) => crew.drain(worker).await.map_err(|why| pool.refusal(why))?,
            None => pool.mark_fixed(worker, true)?,
        }
        Ok(Done { message: format!("worker {worker} of {upstream} gets no new requests") })
    }

    async fn enable(&self, upstream: &str, worker: &str) -> Result<Done, Refusal> {
        let pool = self.pool(upstream)?;
        match &pool.crew {
            Some(crew) => crew.enable(worker).await.map_err(|why| pool.refusal(why))?,
            None => pool.mark_fixed(worker, false)?,
        }
        Ok(Done { message: format!("worker {worker} of {upstream} gets requests again") })
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

impl Pool {
    fn status(&self) -> UpstreamStatus {
        let (reason, workers) = match &self.crew {
            Some(crew) => {
                let status = crew.status();
                (status.trouble, status.workers.iter().map(|w| self.supervised(w)).collect())
            }
            None => (None, self.upstream.workers().iter().map(fixed).collect()),
        };
        let workers: Vec<WorkerStatus> = workers;
        UpstreamStatus {
            name: self.upstream.name().to_string(),
            state: UpstreamState::of(&workers),
            reason,
            requests_in_flight: self.metrics.in_flight(),
            workers,
        }
    }

    fn supervised(&self, worker: &supervisor::WorkerStatus) -> WorkerStatus {
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
        WorkerStatus {
            state: worker_state(current.state),
            reason: current.reason.clone().or(successor),
            in_rotation: self.is_in_rotation(&name, current.generation),
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
        }
    }

    fn is_in_rotation(&self, name: &str, generation: u64) -> bool {
        let workers = self.upstream.workers();
        let mut named = workers.iter().filter(|worker| *worker.identity().name == *name);
        named.any(|worker| worker.identity().generation == generation && gets_requests(worker))
    }

    fn mark_fixed(&self, name: &str, drained: bool) -> Result<(), Refusal> {
        let workers = self.upstream.workers();
        let worker = workers.iter().find(|worker| *worker.identity().name == *name);
        let worker = worker.ok_or_else(|| self.no_such_worker(name))?;
        if worker.mark(Mark::Drained, drained) {
            return Ok(());
        }
        let rotation = if drained { "out of" } else { "in" };
        Err(Refusal::Failed(format!("worker {name} is {rotation} rotation already")))
    }

    fn refusal(&self, why: supervisor::Refusal) -> Refusal {
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

fn fixed(worker: &Arc<Worker>) -> WorkerStatus {
    let state = match worker {
        worker if worker.is_marked(Mark::Drained) => WorkerState::Drained,
        worker if worker.is_marked(Mark::Unhealthy) => WorkerState::Unready,
        _ => WorkerState::Ready,
    };
    let reason = match state {
        WorkerState::Drained => Some("an operator took it out of rotation".to_owned()),
        WorkerState::Unready => Some("its health checks fail".to_owned()),
        _ => None,
    };
    WorkerStatus {
        state,
        reason,
        in_rotation: gets_requests(worker),
        address: Some(worker.address().to_string()),
        requests_in_flight: worker.in_flight() as u64,
        connections: ConnectionCounts {
            idle: worker.idle_connections() as u64,
            active: worker.metrics().active(),
        },
        requests_total: worker.requests(),
        ..WorkerStatus::absent(&worker.identity().name, Kind::Fixed)
    }
}

/// Whether it gets requests like every other. One that is only tried when there is nobody else does not count.
fn gets_requests(worker: &Arc<Worker>) -> bool {
    worker.fitness() > Fitness::LastResort
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
