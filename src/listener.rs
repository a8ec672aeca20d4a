//! The front door: accepts connections, holds them to their limits, and hands each to the engine as a stream.
//!
//! Owns what Pingora's own listeners leave open (its issues #447, #563, #690): the number of connections, the time a
//! client may be idle, and the time and size of a request head. Routes nothing and answers nothing.

mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::client::{self, Scheme};
use crate::config;
use crate::net;
use crate::telemetry::ListenerMetrics;
pub use stream::{Arrival, ClientStream, Connection, Head, Refusal};

/// Pause after an accept that failed for want of file descriptors or memory, so that the wait for them costs nothing.
const FAILED_PAUSE: Duration = Duration::from_millis(100);

/// What all connections of one listener have in common.
#[derive(Debug)]
pub struct Facts {
    /// The address as configured; the label in logs and metrics.
    pub name: String,
    /// What it tells of every client.
    pub identity: client::Facts,
    pub http2: bool,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    /// Bytes a request head may have, line ends included.
    pub max_head: usize,
    /// Header lines a request may have.
    pub max_lines: usize,
}

/// A bound listener, ready to accept.
pub struct Listener {
    socket: net::Listener,
    address: config::Address,
    facts: Arc<Facts>,
    places: Arc<Semaphore>,
    /// The last connection was refused for want of a place.
    full: AtomicBool,
    metrics: Arc<ListenerMetrics>,
}

impl Listener {
    /// Binds to the configured address. A request head is read to at most `max_head` bytes and `max_lines` lines.
    ///
    /// # Errors
    /// As [`net::Listener::bind`].
    pub fn bind(
        config: &config::Listener,
        limits: (usize, usize),
        metrics: Arc<ListenerMetrics>,
    ) -> std::io::Result<Self> {
        Self::over(net::Listener::bind(&config.address)?, config, limits, metrics)
    }

    /// As [`Self::bind`], over a socket that is bound already.
    ///
    /// # Errors
    /// As [`net::Listener::address`].
    pub fn over(
        socket: net::Listener,
        config: &config::Listener,
        (max_head, max_lines): (usize, usize),
        metrics: Arc<ListenerMetrics>,
    ) -> std::io::Result<Self> {
        let address = socket.address()?;
        let port = match &address {
            config::Address::Tcp(address) => Some(address.port()),
            config::Address::Unix(_) => None,
        };
        let facts = Facts {
            name: config.address.to_string(),
            identity: client::Facts::new(Scheme::Http, port),
            http2: config.http2,
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            max_head,
            max_lines,
        };
        Ok(Self {
            socket,
            address,
            facts: Arc::new(facts),
            places: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            full: AtomicBool::new(false),
            metrics,
        })
    }

    /// Where it listens, with the real port where port 0 was configured.
    pub fn address(&self) -> &config::Address {
        &self.address
    }

    /// What counts its connections.
    pub fn metrics(&self) -> &Arc<ListenerMetrics> {
        &self.metrics
    }

    /// Accepts until `shutdown` says to stop; then the socket is closed. What `serve` makes of a connection is a task
    /// of `connections`.
    pub async fn run<S, F>(
        self,
        serve: S,
        connections: TaskTracker,
        mut shutdown: watch::Receiver<bool>,
    ) where
        S: Fn(Box<ClientStream>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &serve, &connections),
                // The client left before it was accepted: nothing is wrong here.
                Err(error) if net::is_of_client(&error) => {
                    log::debug!("Accept failed: listener={} {error}", self.facts.name);
                }
                Err(error) => {
                    log::error!("Cannot accept connections: listener={} {error}", self.facts.name);
                    tokio::time::sleep(FAILED_PAUSE).await;
                }
            }
        }
    }

    fn admit<S, F>(
        &self,
        stream: net::Stream,
        peer: net::Peer,
        serve: &S,
        connections: &TaskTracker,
    ) where
        S: Fn(Box<ClientStream>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            // Once each time it gets full, not for each client.
            if !self.full.swap(true, Ordering::Relaxed) {
                let name = &self.facts.name;
                log::warn!("Connections are refused, max_connections reached: listener={name}");
            }
            return;
        };
        self.full.store(false, Ordering::Relaxed);
        let counted = self.metrics.connection();
        let peer = match peer {
            net::Peer::Tcp(address) => client::Peer::tcp(address),
            net::Peer::Local => client::Peer::unix(),
        };
        let connection = Connection { peer, listener: Arc::clone(&self.facts) };
        let served = serve(Box::new(ClientStream::new(stream, connection)));
        connections.spawn(async move {
            served.await;
            drop((place, counted));
        });
    }
}
