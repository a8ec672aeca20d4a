//! The workers of all upstreams: fixed ones put into rotation, supervised ones started.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{self, Config, ServerAddress};
use crate::supervisor::{
    Crew, Guardian, OutputLine, OutputSink, Ports, StartError, Stream, Supervisor, Surroundings,
};
use crate::telemetry::{self, Telemetry, WorkerOrigin};
use crate::upstream::Upstream;
use crate::upstream::names::{self, Resolver};

use super::fixed::{Fixed, Name};

/// How long the start waits for the first addresses of host names.
const NAMES_WITHIN: Duration = Duration::from_secs(5);

/// Every worker process that this edge started, and what looks after the others.
pub struct Workers {
    supervisors: Vec<Supervisor>,
    /// Of the servers that are not behind a name.
    fixed: Vec<Fixed>,
    names: Vec<Name>,
    /// What follows the names; ended when dropped.
    followers: JoinSet<()>,
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
        let resolver = Resolver::new(&config.resolver);
        let mut workers = Self {
            supervisors: Vec::new(),
            fixed: Vec::new(),
            names: Vec::new(),
            followers: JoinSet::new(),
        };
        for (upstream, settings) in upstreams.iter().zip(&config.upstreams) {
            let health = settings.health.as_ref();
            match &settings.workers {
                config::Workers::Fixed(servers) => {
                    for server in servers {
                        let fixed = Fixed::new(upstream, server.weight, health, telemetry);
                        workers.join_fixed(fixed, &server.address, &resolver);
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

    /// Puts the workers at `address` into rotation: one, or those behind a host name.
    fn join_fixed(&mut self, fixed: Fixed, address: &ServerAddress, resolver: &Resolver) {
        match address {
            ServerAddress::Known(address) => {
                fixed.join(address.clone(), false);
                self.fixed.push(fixed);
            }
            ServerAddress::Name { host, port } => {
                let name = Name {
                    upstream: Arc::clone(fixed.upstream()),
                    host: host.as_str().into(),
                    state: Arc::default(),
                };
                let (fixed, state) = (fixed.behind(name.clone()), Arc::clone(&name.state));
                self.names.push(name);
                let keep = names::keep(resolver.clone(), host.clone(), *port, fixed, state);
                self.followers.spawn(keep);
            }
        }
    }

    /// Waits until every supervised worker was ready once, and a while for the addresses of host names.
    ///
    /// # Errors
    /// The first that did not.
    pub async fn ready(&mut self) -> Result<(), StartError> {
        for supervisor in &mut self.supervisors {
            supervisor.ready().await?;
        }
        let asked = async {
            for name in &self.names {
                name.state.asked().await;
            }
        };
        // Those that do not answer are asked again; their upstream has no worker meanwhile.
        let _ = timeout(NAMES_WITHIN, asked).await;
        Ok(())
    }

    /// The host names that workers of `upstream` are behind.
    pub fn names_of(&self, upstream: &str) -> Vec<Name> {
        self.names.iter().filter(|name| *name.upstream == *upstream).cloned().collect()
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
