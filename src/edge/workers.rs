//! The workers of all upstreams: fixed ones put into rotation, supervised ones started and followed.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::{self, App, Config, Server};
use crate::supervisor::{Change, OutputLine, OutputSink, Ports, StartError, Stream, Supervisor};
use crate::telemetry::{self, Telemetry, UpstreamMetrics, WorkerOrigin};
use crate::upstream::{Identity, Upstream, Worker};

/// Every worker process that this edge started.
pub struct Workers {
    supervisors: Vec<Supervisor>,
    followers: Vec<JoinHandle<()>>,
    /// Those that the supervisors' workers join.
    upstreams: Vec<Arc<Upstream>>,
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
        let ports = Ports::default();
        let mut workers =
            Self { supervisors: Vec::new(), followers: Vec::new(), upstreams: Vec::new() };
        for (upstream, settings) in upstreams.iter().zip(&config.upstreams) {
            match &settings.workers {
                config::Workers::Fixed(servers) => join_fixed(upstream, servers, telemetry),
                config::Workers::Supervised(app) => {
                    workers.supervise(upstream, app, &ports, telemetry)?;
                }
            }
        }
        Ok(workers)
    }

    fn supervise(
        &mut self,
        upstream: &Arc<Upstream>,
        app: &App,
        ports: &Ports,
        telemetry: &Arc<Telemetry>,
    ) -> Result<(), StartError> {
        let (changes, changed) = unbounded_channel();
        let output = Arc::new(Output(Arc::clone(telemetry)));
        let supervisor = Supervisor::start(upstream.name(), app, ports, changes, output)?;
        self.supervisors.push(supervisor);
        self.upstreams.push(Arc::clone(upstream));
        let follow = follow(Arc::clone(upstream), Arc::clone(telemetry), changed);
        self.followers.push(tokio::spawn(follow));
        Ok(())
    }

    /// Waits until every supervised worker answered for the first time.
    ///
    /// # Errors
    /// The first that did not.
    pub async fn ready(&mut self) -> Result<(), StartError> {
        for supervisor in &mut self.supervisors {
            supervisor.ready().await?;
        }
        // The news of it reaches the rotation by another way, and a request must not come in between. A worker that
        // died meanwhile is not waited for.
        let joined = async {
            while self.upstreams.iter().any(|upstream| upstream.workers().is_empty()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = timeout(Duration::from_secs(1), joined).await;
        Ok(())
    }

    /// Stops all workers at once and returns when their processes are gone.
    pub async fn stop(self) {
        let mut stops = tokio::task::JoinSet::new();
        for supervisor in self.supervisors {
            stops.spawn(supervisor.stop());
        }
        stops.join_all().await;
        for follower in self.followers {
            // It ends with the supervisor's last word.
            let _ = follower.await;
        }
    }
}

fn join_fixed(upstream: &Upstream, servers: &[Server], telemetry: &Telemetry) {
    for server in servers {
        let name = server.address.to_string();
        let identity = Identity { name: name.as_str().into(), generation: 0, pid: None };
        upstream.join(Arc::new(Worker::new(
            identity,
            server.address.clone(),
            server.weight,
            upstream.policy().clone(),
            telemetry.metrics().worker(upstream.name(), &name),
        )));
    }
}

/// Brings what the supervisor says of its workers into the rotation.
async fn follow(
    upstream: Arc<Upstream>,
    telemetry: Arc<Telemetry>,
    mut changed: UnboundedReceiver<Change>,
) {
    let metrics: Arc<UpstreamMetrics> = telemetry.metrics().upstream(upstream.name());
    while let Some(change) = changed.recv().await {
        match change {
            Change::Ready(ready) => {
                let name = ready.id.to_string();
                if ready.id.generation > 1 {
                    metrics.worker_restarted("exit");
                }
                let identity = Identity {
                    name: name.as_str().into(),
                    generation: ready.id.generation,
                    pid: Some(ready.pid),
                };
                let counted = telemetry.metrics().worker(upstream.name(), &name);
                let policy = upstream.policy().clone();
                let worker = Worker::new(identity, ready.address, NonZeroU16::MIN, policy, counted);
                upstream.join(Arc::new(worker));
            }
            Change::Gone { id, reason } => {
                let upstream_name = upstream.name();
                log::info!("Worker out of rotation: upstream={upstream_name} worker={id} {reason}");
                upstream.leave(&id.to_string(), id.generation);
            }
        }
    }
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
