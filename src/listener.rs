//! The front door: accepts connections, holds them to their limits, and hands each to the engine as a stream.
//!
//! Owns what Pingora's own listeners leave open (its issues #447, #563, #690): the number of connections, the PROXY
//! protocol, TLS, the time a client may be idle, and the time and size of a request head. Routes nothing and answers
//! nothing.

mod places;
mod seldom;
mod stream;
pub mod tls;
mod welcome;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use log::Level;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::client::TrustedProxies;
use crate::config;
use crate::http2;
use crate::net;
use crate::telemetry::{ConnectionRefusal, ListenerMetrics};
use places::Places;
use seldom::Seldom;
pub use stream::{Arrival, ClientStream, Connection, Head, Refusal};
use welcome::{Door, Warnings};

/// Pause after an accept that failed for want of file descriptors or memory, so that the wait for them costs nothing.
const FAILED_PAUSE: Duration = Duration::from_millis(100);

/// What all connections of one listener have in common.
pub struct Facts {
    /// The address as configured; the label in logs and metrics.
    pub name: String,
    pub http2: bool,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    /// Bytes a request head may have, line ends included.
    pub max_head: usize,
    /// Header lines a request may have.
    pub max_lines: usize,
    /// The port of `https` that clients are sent to.
    pub redirect_to_https: Option<u16>,
    /// For responses over TLS.
    pub hsts: Option<HeaderValue>,
    pub metrics: Arc<ListenerMetrics>,
    /// HTTP/2 connections that were closed for a flood.
    pub floods: Seldom,
}

impl Facts {
    /// Bytes of the headers of an HTTP/2 request, as SETTINGS_MAX_HEADER_LIST_SIZE counts them (RFC 9113 §6.5.2): with 32
    /// for each line. What this lets through is small enough to be answered for its size by its route.
    pub fn max_header_list(&self) -> u32 {
        let lines = self.max_lines.saturating_mul(32);
        u32::try_from(self.max_head.saturating_add(lines)).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the routes and the rest of the configuration say of every listener.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Bytes a request head may have.
    pub max_head: usize,
    /// Header lines a request may have.
    pub max_lines: usize,
    pub trusted: TrustedProxies,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("{0}")]
    Tls(#[from] tls::SetupError),
}

/// A bound listener, ready to accept.
pub struct Listener {
    socket: net::Listener,
    address: config::Address,
    door: Arc<Door>,
    places: Places,
    full: Seldom,
    /// Connections that could not be accepted.
    failed: Seldom,
}

impl Listener {
    /// Binds to the configured address.
    ///
    /// # Errors
    /// As [`net::Listener::bind`] and [`tls::Acceptor::new`].
    pub fn bind(
        config: &config::Listener,
        bounds: &Bounds,
        metrics: Arc<ListenerMetrics>,
    ) -> Result<Self, BindError> {
        Self::over(net::Listener::bind(&config.address)?, config, bounds, metrics)
    }

    /// As [`Self::bind`], over a socket that is bound already.
    ///
    /// # Errors
    /// As [`net::Listener::address`] and [`tls::Acceptor::new`].
    pub fn over(
        socket: net::Listener,
        config: &config::Listener,
        bounds: &Bounds,
        metrics: Arc<ListenerMetrics>,
    ) -> Result<Self, BindError> {
        let address = socket.address()?;
        let port = match &address {
            config::Address::Tcp(address) => Some(address.port()),
            config::Address::Unix(_) => None,
        };
        let tls = config.tls.as_ref();
        let facts = Facts {
            name: config.address.to_string(),
            http2: config.http2,
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            max_head: bounds.max_head,
            max_lines: bounds.max_lines,
            redirect_to_https: config.redirect_to_https,
            hsts: tls.and_then(|tls| tls.hsts.clone()),
            metrics,
            floods: Seldom::default(),
        };
        let acceptor = tls.map(|tls| tls::Acceptor::new(tls, config.http2)).transpose()?;
        let proxies = config.proxy_protocol.then(|| bounds.trusted.clone());
        let places = Places::new(
            config.max_connections,
            config.max_connections_per_address,
            &bounds.trusted,
        );
        if config.http2 {
            facts.metrics.expect_http2(&http2::Abuse::ALL.map(http2::Abuse::as_str));
        }
        if acceptor.is_some() {
            facts.metrics.expect_tls();
        }
        let door = Door {
            facts: Arc::new(facts),
            port,
            proxies,
            tls: acceptor.map(Arc::new),
            warnings: Warnings::default(),
        };
        let (full, failed) = (Seldom::default(), Seldom::default());
        Ok(Self { socket, address, door: Arc::new(door), places, full, failed })
    }

    /// Where it listens, with the real port where port 0 was configured.
    pub fn address(&self) -> &config::Address {
        &self.address
    }

    /// What counts its connections.
    pub fn metrics(&self) -> &Arc<ListenerMetrics> {
        &self.door.facts.metrics
    }

    /// What speaks TLS with its clients.
    pub fn acceptor(&self) -> Option<&Arc<tls::Acceptor>> {
        self.door.tls.as_ref()
    }

    /// Accepts until `shutdown` says to stop; then the socket is closed. What `serve` makes of a connection is a task
    /// of `connections`.
    pub async fn run<S, F>(
        self,
        serve: S,
        connections: TaskTracker,
        mut shutdown: watch::Receiver<bool>,
    ) where
        S: Fn(Box<ClientStream>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let serve = Arc::new(serve);
        loop {
            let accepted = tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer, &serve, &connections, &shutdown),
                // The client left before it was accepted: nothing is wrong here.
                Err(error) if net::is_of_client(&error) => {
                    log::debug!("Accept failed: listener={} {error}", self.door.facts.name);
                }
                Err(error) => {
                    let name = &self.door.facts.name;
                    let (level, unsaid) = self.failed.level(Level::Error);
                    log::log!(
                        level,
                        "Cannot accept connections: listener={name} {error} unsaid={unsaid}"
                    );
                    tokio::time::sleep(FAILED_PAUSE).await;
                }
            }
        }
    }

    fn admit<S, F>(
        &self,
        socket: net::Stream,
        peer: net::Peer,
        serve: &Arc<S>,
        connections: &TaskTracker,
        shutdown: &watch::Receiver<bool>,
    ) where
        S: Fn(Box<ClientStream>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let metrics = self.metrics();
        let mut place = match self.places.take() {
            Ok(place) => place,
            Err(places::Full) => {
                metrics.refused(ConnectionRefusal::MaxConnections);
                let (level, others) = self.full.level(Level::Warn);
                let name = &self.door.facts.name;
                log::log!(
                    level,
                    "Connection refused, max_connections reached: listener={name} others={others}"
                );
                return;
            }
        };
        let counted = metrics.connection();
        let (door, serve) = (Arc::clone(&self.door), Arc::clone(serve));
        let mut shutdown = shutdown.clone();
        connections.spawn(async move {
            // On the heap, so that nothing of it is kept while the connection is served.
            let welcome = Box::pin(door.welcome(socket, peer, &mut place));
            let stream = tokio::select! {
                stream = welcome => stream,
                _ = shutdown.wait_for(|stop| *stop) => None,
            };
            if let Some(stream) = stream {
                serve(stream).await;
            }
            drop((place, counted));
        });
    }
}
