//! The running edge as the admin API sees and steers it.
//!
//! Gathers what the floors below know of themselves; keeps no state of its own but whether a stop was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::admin::{Done, Operations, Refusal, State, Status};
use crate::telemetry::Telemetry;
use crate::upstream::Upstream;

use super::doors::{self, Door};
use super::pool::Pool;
use super::workers::Workers;

/// What operators ask is asked of this.
pub struct Operator {
    started: Instant,
    doors: Vec<Door>,
    pools: Vec<Pool>,
    telemetry: Arc<Telemetry>,
    serving: AtomicBool,
    stop: CancellationToken,
}

impl Operator {
    /// `upstreams` are those that `workers` are in.
    pub fn new(
        doors: Vec<Door>,
        upstreams: &[Arc<Upstream>],
        workers: &Workers,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let crews = workers.crews();
        let pools = upstreams.iter().map(|upstream| Pool {
            metrics: telemetry.metrics().upstream(upstream.name()),
            crew: crews.iter().find(|crew| crew.name() == &**upstream.name()).cloned(),
            names: workers.names_of(upstream.name()),
            upstream: Arc::clone(upstream),
        });
        Self {
            started: Instant::now(),
            doors,
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
        let now = SystemTime::now();
        let listeners: Vec<_> = self.doors.iter().map(|door| door.status(now)).collect();
        let upstreams: Vec<_> = self.pools.iter().map(Pool::status).collect();
        let state = match self.is_stopping() {
            true => State::Stopping,
            false => State::of(&listeners, &upstreams),
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            state,
            listeners,
            upstreams,
        }
    }

    fn metrics(&self) -> String {
        // Certificates are renewed at any time; it is enough to look when somebody asks.
        self.doors.iter().for_each(Door::tell_expiry);
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

    async fn reload(&self) -> Result<Done, Refusal> {
        doors::reload(&self.doors).await
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
