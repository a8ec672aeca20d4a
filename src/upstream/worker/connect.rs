//! How connections to a worker come about.
//!
//! A connection that was begun is never given up half open: one that is opened and dropped before the worker accepts it
//! can cost a Windows worker its listener (CPython gh-93821).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use crate::config::Address;
use crate::net::{self, Stream};
use crate::telemetry::ConnectResult;

use super::super::connection::{Check, Connection, Held};
use super::super::standing::Mark;
use super::Worker;

/// How long the system may take for a connection at least, whether or not somebody still waits for it.
const CONNECT_AT_LEAST: Duration = Duration::from_secs(30);
/// Connections that are being made to one worker at a time. More would wait in its accept queue, where a reset costs a
/// Windows worker its listener (CPython gh-93821); they wait here instead.
pub(super) const MAX_CONNECTING: usize = 4;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect")]
    Failed(#[from] io::Error),
    #[error("no connection in time")]
    TimedOut,
}

impl Worker {
    /// Opens the connections that are to be there before the first request.
    pub async fn prewarm(self: Arc<Self>) {
        let policy = &self.terms.connections;
        for _ in 0..policy.prewarm.min(policy.max_idle) {
            match self.connect(Some(CONNECT_AT_LEAST)).await {
                Ok(connection) => self.park(connection, Check::Notes),
                Err(error) => {
                    log::debug!("Not warmed up: address={} error={error}", self.address());
                    return;
                }
            }
        }
    }

    /// A new connection, within `deadline`; one that comes too late is parked for the next request.
    ///
    /// # Errors
    /// [`ConnectError`]: nothing was sent to the worker.
    pub(in super::super) async fn connect(
        self: &Arc<Self>,
        deadline: Option<Duration>,
    ) -> Result<Connection, ConnectError> {
        let connected = self.connect_uncounted(deadline).await;
        self.metrics.connect_ended(result_of(&connected));
        connected
    }

    async fn connect_uncounted(
        self: &Arc<Self>,
        deadline: Option<Duration>,
    ) -> Result<Connection, ConnectError> {
        if self.is_marked(Mark::Deaf) && self.is_supervised() {
            // Nobody listens; on Windows it would take seconds to be told so.
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        }
        let (sender, receiver) = oneshot::channel();
        let worker = Arc::clone(self);
        let limit = deadline.unwrap_or(Duration::MAX).max(CONNECT_AT_LEAST);
        tokio::spawn(async move {
            let connected = timeout(limit, worker.open()).await;
            let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            if let Err(Ok(connection)) = sender.send(connected) {
                worker.park(connection, Check::Notes);
            }
        });
        let answer = match deadline {
            Some(deadline) => {
                timeout(deadline, receiver).await.map_err(|_| ConnectError::TimedOut)?
            }
            None => receiver.await,
        };
        // The sender only goes without a word when the runtime shuts down.
        let connected = answer.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
        connected.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => ConnectError::TimedOut,
            _ => ConnectError::Failed(error),
        })
    }

    async fn open(&self) -> io::Result<Connection> {
        let permit = self.room_for_one().await?;
        // The semaphore is never closed.
        let _one_of_few = self.connecting.acquire().await.map_err(io::Error::other)?;
        let connected = Stream::connect(self.address()).await;
        if connected.as_ref().is_err_and(net::nobody_listens) {
            self.doubt();
        }
        let stream = match &self.terms.tls {
            Some(tls) => {
                let host = self.location.host.as_deref().map_or_else(|| self.ip(), str::to_owned);
                let name = tls.name_for(&host).map_err(io::Error::other)?;
                tls.connect(connected?, &name).await?
            }
            None => connected?,
        };
        let held = Held::new(self.metrics.connection(), permit);
        let max_age = self.terms.connections.max_age;
        Ok(Connection::new(stream, held, Arc::clone(&self.heard), max_age))
    }

    /// Its name where it has no other.
    fn ip(&self) -> String {
        match self.address() {
            Address::Tcp(address) => address.ip().to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Leave to open one connection more, where their number is limited: an unused one has to go then.
    async fn room_for_one(&self) -> io::Result<Option<OwnedSemaphorePermit>> {
        let Some(room) = &self.room else {
            return Ok(None);
        };
        if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
            return Ok(Some(permit));
        }
        // From here on none is put aside, and one that was put aside before is found.
        let _wanting = Wanting::one(&self.wanting);
        self.idle.give_one_up();
        // The semaphore is never closed.
        Arc::clone(room).acquire_owned().await.map(Some).map_err(io::Error::other)
    }
}

fn result_of(connected: &Result<Connection, ConnectError>) -> ConnectResult {
    match connected {
        Ok(_) => ConnectResult::Connected,
        Err(ConnectError::TimedOut) => ConnectResult::TimedOut,
        Err(ConnectError::Failed(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            ConnectResult::Refused
        }
        Err(ConnectError::Failed(_)) => ConnectResult::Failed,
    }
}

/// Somebody waits for room.
struct Wanting<'a>(&'a AtomicUsize);

impl<'a> Wanting<'a> {
    fn one(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
