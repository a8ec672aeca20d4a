//! The workers of all upstreams: fixed ones put into rotation, supervised ones started.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::config::{self, Config, Health, Server};
use crate::supervisor::{
    Crew, Guardian, OutputLine, OutputSink, Ports, StartError, Stream, Supervisor, Surroundings,
};
use crate::telemetry::{self, Telemetry, WorkerOrigin};
use crate::upstream::{Identity, Upstream, Worker, health};

/// Every worker process that this edge started, and what looks after the others.
pub struct Workers {
    supervisors: Vec<Supervisor>,
    /// Health checks of fixed workers; ended when dropped.
    checks: JoinSet<()>,
}

impl Workers {
    /// Puts fixed workers into rotation and begins to start the supervised ones.
    ///
    /// # Errors
    /// See [`Supervisor::start`].
    pub fn start(
        config: &Config,
        upstreams: &[Arc<Upstream>],
        telemetry: &Arc<Telemetry>,
    ) -> Result<Self, StartError> {
        let surroundings = Surroundings {
            ports: Ports::default(),
            guardian: guardian(config),
            telemetry: Arc::clone(telemetry),
            output: Arc::new(Output(Arc::clone(telemetry))),
        };
        let mut workers = Self { supervisors: Vec::new(), checks: JoinSet::new() };
        for (upstream, settings) in upstreams.iter().zip(&config.upstreams) {
            let health = settings.health.as_ref();
            match &settings.workers {
                config::Workers::Fixed(servers) => {
                    for server in servers {
                        workers.join_fixed(upstream, server, health, telemetry);
                    }
                }
                config::Workers::Supervised(app) => {
                    let started = Supervisor::start(upstream, app, health, surroundings.clone());
                    workers.supervisors.push(started?);
                }
            }
        }
        Ok(workers)
    }

    fn join_fixed(
        &mut self,
        upstream: &Upstream,
        server: &Server,
        health: Option<&Health>,
        telemetry: &Telemetry,
    ) {
        let name = server.address.to_string();
        let metrics = telemetry.metrics().worker(upstream.name(), &name);
        let identity = Identity { name: name.as_str().into(), generation: 0, pid: None };
        let (address, policy) = (server.address.clone(), upstream.policy().clone());
        let worker = Arc::new(Worker::new(identity, address, server.weight, policy, metrics));
        upstream.join(Arc::clone(&worker));
        self.checks.spawn(Arc::clone(&worker).prewarm());
        if let Some(health) = health.cloned() {
            let upstream = Arc::clone(upstream.name());
            self.checks.spawn(async move {
                let tell = |news: Result<(), &health::Failure>| match news {
                    Ok(()) => log::info!("Worker is ready again: upstream={upstream} worker={name}"),
                    Err(failure) => log::warn!(
                        "Worker is unready: upstream={upstream} worker={name} health check: {failure}"
                    ),
                };
                health::watch(worker, &health, tell).await;
            });
        }
    }

    /// Waits until every supervised worker was ready once.
    ///
    /// # Errors
    /// The first that did not.
    pub async fn ready(&mut self) -> Result<(), StartError> {
        for supervisor in &mut self.supervisors {
            supervisor.ready().await?;
        }
        Ok(())
    }

    /// The supervised workers, by upstream, to be seen and steered.
    pub fn crews(&self) -> Vec<Arc<Crew>> {
        self.supervisors.iter().map(Supervisor::crew).collect()
    }

    /// Stops all workers at once and returns when their processes are gone.
    pub async fn stop(self) {
        let mut stops = JoinSet::new();
        for supervisor in self.supervisors {
            stops.spawn(supervisor.stop());
        }
        stops.join_all().await;
    }
}

/// Who cleans up when this process is killed: only needed where there are workers to be cleaned up.
fn guardian(config: &Config) -> Guardian {
    let is_supervised =
        |upstream: &config::Upstream| matches!(upstream.workers, config::Workers::Supervised(_));
    if !config.upstreams.iter().any(is_supervised) {
        return Guardian::default();
    }
    Guardian::start().unwrap_or_else(|error| {
        log::warn!("No guardian, children of workers may outlive a killed asgate: {error}");
        Guardian::default()
    })
}

/// What workers print, on its way to the log.
struct Output(Arc<Telemetry>);

impl OutputSink for Output {
    fn line(&self, line: OutputLine<'_>) {
        let mut digits = itoa::Buffer::new();
        let origin = WorkerOrigin {
            upstream: line.upstream,
            worker: digits.format(line.worker),
            generation: line.generation,
            pid: line.pid,
        };
        let stream = match line.stream {
            Stream::Stdout => telemetry::Stream::Stdout,
            Stream::Stderr => telemetry::Stream::Stderr,
        };
        self.0.worker_line(&origin, stream, line.text.as_bytes());
    }
}
