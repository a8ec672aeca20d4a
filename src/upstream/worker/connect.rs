//! How connections to a worker come about.
//!
//! A connection that was begun is never given up half open: one that is opened and dropped before the worker accepts it
//! can cost a Windows worker its listener (CPython gh-93821).

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};
use tokio::time::{Instant, timeout};

use crate::config::Address;
use crate::net::{self, Stream};
use crate::telemetry::ConnectResult;

use super::super::connection::{Check, Connection, Held};
use super::super::idle::Keeping;
use super::super::standing::Mark;
use super::Worker;

/// How long the system and the worker may take for a connection, TLS included, whether or not somebody still waits for it.
const CONNECT_AT_LEAST: Duration = Duration::from_secs(30);
/// How long a request may wait for its turn to connect while others get their connections: nobody is to blame for that but
/// their number.
const TURN_WITHIN: Duration = Duration::from_secs(30);
/// Connections that are being made to one worker at a time. More would wait in its accept queue, where a reset costs a
/// Windows worker its listener (CPython gh-93821); they wait here instead.
const MAX_CONNECTING: usize = 4;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect")]
    Failed(#[from] io::Error),
    #[error("no connection in time")]
    TimedOut,
    /// As many connections are open, or being made, as may be.
    #[error("no room for a connection in time")]
    NoRoom,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Request,
    Check,
}

/// Who may connect to a worker, and how many at a time.
pub(super) struct Gate {
    connecting: Semaphore,
    /// Connections that came about, so that those who wait see whether it goes on.
    made: AtomicUsize,
    /// `None`: as many connections as one likes.
    room: Option<Room>,
}

/// As many permits as connections may be open.
struct Room {
    requests: Arc<Semaphore>,
    /// Kept free by requests, so that a worker that is full is not taken for one that is ill.
    checks: Arc<Semaphore>,
    /// Requests that wait for a permit.
    wanting: AtomicUsize,
}

impl Gate {
    /// `most`: connections that may be open, one of them for checks.
    pub(super) fn new(most: Option<usize>) -> Self {
        let room = most.map(|most| Room {
            requests: Arc::new(Semaphore::new(most.saturating_sub(1).max(1))),
            checks: Arc::new(Semaphore::new(1)),
            wanting: AtomicUsize::new(0),
        });
        Self { connecting: Semaphore::new(MAX_CONNECTING), made: AtomicUsize::new(0), room }
    }

    /// Whether somebody waits for a connection to end.
    pub(super) fn is_full(&self) -> bool {
        self.room.as_ref().is_some_and(|room| room.wanting.load(Ordering::SeqCst) > 0)
    }

    /// Whether the number of connections is limited.
    pub(in super::super) fn is_limited(&self) -> bool {
        self.room.is_some()
    }
}

impl Worker {
    /// Opens the connections that are to be there before the first request.
    pub async fn prewarm(self: Arc<Self>) {
        let policy = &self.terms.connections;
        for _ in 0..policy.prewarm.min(policy.max_idle) {
            match self.connect(Purpose::Request, Some(CONNECT_AT_LEAST)).await {
                Ok(connection) => self.park(connection, Keeping::Anybody, Check::Notes),
                Err(error) => {
                    log::debug!("Not warmed up: address={} error={error}", self.address());
                    return;
                }
            }
        }
    }

    /// A new connection, within `deadline` from when it is its turn; one that comes too late is parked for the next request.
    ///
    /// # Errors
    /// [`ConnectError`]: nothing was sent to the worker.
    pub(in super::super) async fn connect(
        self: &Arc<Self>,
        purpose: Purpose,
        deadline: Option<Duration>,
    ) -> Result<Connection, ConnectError> {
        let connected = self.connect_uncounted(purpose, deadline).await;
        if let Some(result) = result_of(&connected) {
            self.metrics.connect_ended(result);
        }
        connected
    }

    async fn connect_uncounted(
        self: &Arc<Self>,
        purpose: Purpose,
        deadline: Option<Duration>,
    ) -> Result<Connection, ConnectError> {
        if self.is_marked(Mark::Deaf) && self.is_supervised() {
            // Nobody listens; on Windows it would take seconds to be told so.
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        }
        let (begins, began) = oneshot::channel();
        let (sender, receiver) = oneshot::channel();
        let worker = Arc::clone(self);
        let patience = deadline.unwrap_or(CONNECT_AT_LEAST);
        tokio::spawn(async move {
            let connected = worker.open(purpose, patience, begins).await;
            match sender.send(connected) {
                // Where connections are few, the one for checks is to be free for the next.
                Err(Ok(late)) if purpose == Purpose::Check && worker.is_limited() => late.close(),
                Err(Ok(late)) => worker.park(late, Keeping::Anybody, Check::Notes),
                Ok(()) | Err(Err(_)) => {}
            }
        });
        self.wait_for_turn(began, patience).await?;
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

    /// Waits until a connect begins. When none to this worker has come about within `patience`, that is the worker's doing.
    async fn wait_for_turn(
        &self,
        mut began: oneshot::Receiver<()>,
        patience: Duration,
    ) -> Result<(), ConnectError> {
        let made = || self.gate.made.load(Ordering::Relaxed);
        let until = Instant::now() + TURN_WITHIN;
        while Instant::now() < until {
            let before = made();
            match timeout(patience, &mut began).await {
                // An error: it has ended already, and says how.
                Ok(_) => return Ok(()),
                Err(_elapsed) if made() == before => return Err(ConnectError::TimedOut),
                Err(_elapsed) => {}
            }
        }
        Err(ConnectError::NoRoom)
    }

    /// Opens a connection when it is its turn, which `begins` is told; not at all when nobody is there to be told. After
    /// `patience` it goes on for whoever comes next, and others may begin.
    async fn open(
        &self,
        purpose: Purpose,
        patience: Duration,
        mut begins: oneshot::Sender<()>,
    ) -> io::Result<Connection> {
        let (permit, one_of_few) = tokio::select! {
            turn = self.turn(purpose) => turn?,
            () = begins.closed() => return Err(io::ErrorKind::Interrupted.into()),
        };
        let _ = begins.send(());
        let stream = async {
            let mut connect = pin!(Stream::connect(self.address()));
            let in_time = timeout(patience, connect.as_mut()).await;
            // What follows does not happen in the worker's accept queue, or has lasted long enough.
            drop(one_of_few);
            let connected = match in_time {
                Ok(connected) => connected,
                Err(_elapsed) => connect.await,
            };
            if connected.as_ref().is_err_and(net::nobody_listens) {
                self.doubt();
            }
            let stream = self.secure(connected?).await?;
            self.gate.made.fetch_add(1, Ordering::Relaxed);
            io::Result::Ok(stream)
        };
        let limit = patience.max(CONNECT_AT_LEAST);
        let stream = timeout(limit, stream).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let held = Held::new(self.metrics.connection(), permit);
        let max_age = self.terms.connections.max_age;
        Ok(Connection::new(stream, held, Arc::clone(&self.heard), max_age))
    }

    async fn secure(&self, stream: Stream) -> io::Result<Stream> {
        let Some(tls) = &self.terms.tls else {
            return Ok(stream);
        };
        let host = match (&self.location.host, self.address()) {
            (Some(host), _) => host.to_string(),
            (None, Address::Tcp(address)) => address.ip().to_string(),
            (None, Address::Unix(_)) => "localhost".to_owned(),
        };
        let name = tls.name_for(&host).map_err(io::Error::other)?;
        tls.connect(stream, &name).await
    }

    /// Leave to open one connection more. Where their number is limited, an unused one has to go for it.
    async fn turn(
        &self,
        purpose: Purpose,
    ) -> io::Result<(Option<OwnedSemaphorePermit>, SemaphorePermit<'_>)> {
        let permit = match (&self.gate.room, purpose) {
            (None, _) => None,
            (Some(room), Purpose::Check) => Some(owned(&room.checks).await?),
            (Some(room), Purpose::Request) => Some(self.room_for_one(room).await?),
        };
        // The semaphore is never closed.
        let one_of_few = self.gate.connecting.acquire().await.map_err(io::Error::other)?;
        Ok((permit, one_of_few))
    }

    async fn room_for_one(&self, room: &Room) -> io::Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&room.requests).try_acquire_owned() {
            return Ok(permit);
        }
        // From here on none is put aside, and one that was put aside before is found.
        let _wanting = Wanting::one(&room.wanting);
        self.idle.give_one_up();
        owned(&room.requests).await
    }
}

/// A permit of a semaphore that is never closed.
async fn owned(semaphore: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.map_err(io::Error::other)
}

/// `None` when it never came to a connect.
fn result_of(connected: &Result<Connection, ConnectError>) -> Option<ConnectResult> {
    match connected {
        Ok(_) => Some(ConnectResult::Connected),
        Err(ConnectError::TimedOut) => Some(ConnectResult::TimedOut),
        Err(ConnectError::NoRoom) => None,
        Err(ConnectError::Failed(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Some(ConnectResult::Refused)
        }
        Err(ConnectError::Failed(_)) => Some(ConnectResult::Failed),
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
