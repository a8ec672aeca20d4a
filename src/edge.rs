//! A running edge, assembled from a checked configuration: start, serve, drain, stop.
//!
//! Owns the order in which things begin and end: listeners are bound before workers are started, so that clients wait
//! in the queue of the system instead of being refused; workers are stopped after the last request is done. Knows
//! nothing of HTTP.

mod desk;
mod doors;
mod fixed;
mod open_files;
mod operations;
mod pool;
mod workers;

#[cfg(unix)]
#[path = "edge/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "edge/windows.rs"]
mod platform;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::TrustedProxies;
use crate::config::{self, Address, Config};
use crate::listener::{self, Listener};
use crate::proxy::{self, Shared, Snapshot};
use crate::supervisor;
use crate::telemetry::{self, Telemetry};
use crate::upstream::{self, Upstream};
use desk::Desk;
use doors::Door;
use operations::Operator;
use workers::Workers;

pub use platform::StopSignals;

/// How often unused worker connections are looked over.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long the last log lines may take to be written.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// How long the requests that are cut may take to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why an edge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: Address, source: Box<listener::BindError> },
    #[error("upstream {upstream}: {source}")]
    Upstream { upstream: String, source: Box<upstream::SetupError> },
    #[error("{0}")]
    Worker(#[from] supervisor::StartError),
    #[error("cannot set up telemetry: {0}")]
    Telemetry(#[from] telemetry::StartError),
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("asked to stop before it was ready")]
    Stopped,
}

/// A started edge: bound and with workers, serving once [`Edge::run`] is awaited.
pub struct Edge {
    shared: Arc<Shared>,
    upstreams: Vec<Arc<Upstream>>,
    workers: Workers,
    listeners: Vec<Listener>,
    desk: Option<Desk>,
    operator: Arc<Operator>,
    signals: StopSignals,
    shutdown_timeout: Duration,
}

impl Edge {
    /// Binds the listeners, starts the workers and waits until all of them are ready.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let mut signals = StopSignals::new().map_err(StartError::Signals)?;
        let access = match config.logging.access {
            config::AccessLog::Off => telemetry::AccessLog::Off,
            config::AccessLog::Stdout => telemetry::AccessLog::Ecs,
        };
        let telemetry = Arc::new(Telemetry::new(access, Box::new(io::stdout()))?);
        let upstreams = set_up(config)?;
        let settings = open_files::affordable(&config.listeners);
        let listeners = bind(config, &settings, &telemetry)?;
        let desk =
            config.admin.as_ref().map(|address| bind_desk(address, &telemetry)).transpose()?;
        let mut workers = match Workers::start(config, &upstreams, &telemetry) {
            Ok(workers) => workers,
            Err(error) => {
                telemetry.close(LOG_PATIENCE);
                return Err(error.into());
            }
        };
        let doors = listeners.iter().zip(&settings);
        let doors = doors.map(|(listener, settings)| Door::new(listener, settings)).collect();
        let operator = Operator::new(doors, &upstreams, &workers, Arc::clone(&telemetry));
        let operator = Arc::new(operator);
        let desk = desk.map(|listener| Desk::open(listener, Arc::clone(&operator)));
        let ready = tokio::select! {
            ready = workers.ready() => ready.map_err(StartError::from),
            () = signals.stop() => Err(StartError::Stopped),
            () = operator.stop_asked() => Err(StartError::Stopped),
        };
        if let Err(error) = ready {
            operator.note_stop();
            workers.stop().await;
            if let Some(desk) = desk {
                desk.close().await;
            }
            telemetry.close(LOG_PATIENCE);
            return Err(error);
        }
        let snapshot = Snapshot::new(config, &upstreams, telemetry.metrics());
        Ok(Self {
            operator,
            shared: Arc::new(Shared {
                snapshot: ArcSwap::from_pointee(snapshot),
                telemetry,
                cut: CancellationToken::new(),
                clients: AtomicU64::new(0),
            }),
            upstreams,
            workers,
            listeners,
            desk,
            signals,
            shutdown_timeout: config.shutdown_timeout,
        })
    }

    /// Where clients are accepted, in the order of the configuration, with the real ports.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(Listener::address)
    }

    /// Where the admin API is, with the real port.
    pub fn admin_address(&self) -> Option<&Address> {
        self.desk.as_ref().map(Desk::address)
    }

    /// Serves until a signal or the admin API asks to stop; returns when all requests are done, or `shutdown_timeout`
    /// is over, and the workers are gone. A second signal ends the patience.
    pub async fn run(mut self) {
        let (stop, stopping) = watch::channel(false);
        let connections = TaskTracker::new();
        let accepting = TaskTracker::new();
        let watchers = self.watch_certificates();
        for listener in self.listeners.drain(..) {
            let shared = Arc::clone(&self.shared);
            let shutdown = stopping.clone();
            let serve = move |stream| proxy::serve(Arc::clone(&shared), stream, shutdown.clone());
            accepting.spawn(listener.run(serve, connections.clone(), stopping.clone()));
        }
        self.operator.note_serving();
        let sweeper = tokio::spawn(sweep(self.upstreams.clone()));

        tokio::select! {
            () = self.signals.stop() => {}
            () = self.operator.stop_asked() => {}
        }
        self.operator.note_stop();
        log::info!("Stopping: no new connections, requests in flight may finish");
        stop.send_replace(true);
        connections.close();
        tokio::select! {
            done = timeout(self.shutdown_timeout, connections.wait()) => if done.is_err() {
                log::warn!("Stopping with requests in flight: shutdown_timeout is over");
            },
            () = self.signals.stop() => log::warn!("Stopping with requests in flight: asked twice"),
        }
        // Clients without an answer are told; then nothing waits any more.
        self.shared.cut.cancel();
        if timeout(LAST_WORDS, connections.wait()).await.is_err() {
            log::warn!("Some clients did not take their last answer in time");
        }
        sweeper.abort();
        drop(watchers);
        for upstream in &self.upstreams {
            upstream.close();
        }
        tokio::select! {
            () = self.workers.stop() => {}
            // Dropped, they are killed.
            () = self.signals.stop() => log::warn!("Killing the workers: asked again"),
        }
        if let Some(desk) = self.desk.take() {
            desk.close().await;
        }
        accepting.close();
        let _ = timeout(LAST_WORDS, accepting.wait()).await;
        log::info!("Stopped");
    }

    /// Takes new certificates when their files change, until what is returned is dropped.
    fn watch_certificates(&self) -> JoinSet<()> {
        let acceptors = self.listeners.iter().filter_map(Listener::acceptor);
        acceptors.map(|acceptor| Arc::clone(acceptor).watch()).collect()
    }

    /// Where log lines go; to be closed after the runtime, whose end finishes what was cut off.
    pub fn telemetry(&self) -> Arc<Telemetry> {
        Arc::clone(&self.shared.telemetry)
    }
}

/// Writes the last log lines.
pub fn close_log(telemetry: &Telemetry) {
    if !telemetry.close(LOG_PATIENCE) {
        log::warn!("Some log lines could not be written");
    }
}

fn set_up(config: &Config) -> Result<Vec<Arc<Upstream>>, StartError> {
    let upstreams = config.upstreams.iter().map(|settings| {
        Upstream::new(settings).map_err(|source| StartError::Upstream {
            upstream: settings.name.clone(),
            source: source.into(),
        })
    });
    upstreams.collect()
}

fn bind(
    config: &Config,
    settings: &[config::Listener],
    telemetry: &Telemetry,
) -> Result<Vec<Listener>, StartError> {
    // A head is read before its route is known, so the most generous route sets the bounds.
    let limits = || config.routes.iter().map(|route| &route.limits);
    let bounds = listener::Bounds {
        max_head: limits().map(|limits| limits.header).fold(config::DEFAULT_HEAD, usize::max),
        max_lines: limits()
            .map(|limits| limits.headers)
            .fold(config::DEFAULT_LINES.into(), usize::max),
        trusted: TrustedProxies::new(&config.trusted_proxies),
    };
    settings
        .iter()
        .map(|listener| {
            let metrics = telemetry.metrics().listener(&listener.address.to_string());
            Listener::bind(listener, &bounds, metrics).map_err(|source| StartError::Bind {
                address: listener.address.clone(),
                source: source.into(),
            })
        })
        .collect()
}

fn bind_desk(address: &Address, telemetry: &Telemetry) -> Result<Listener, StartError> {
    Desk::bind(address, telemetry)
        .map_err(|source| StartError::Bind { address: address.clone(), source: source.into() })
}

async fn sweep(upstreams: Vec<Arc<Upstream>>) {
    let mut every = interval(SWEEP_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        for upstream in &upstreams {
            upstream.sweep();
        }
    }
}
