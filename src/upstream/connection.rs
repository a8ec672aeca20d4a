//! One HTTP/1.1 connection to a worker: bytes out, bytes in, and an end by FIN.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use crate::config::Connections;
use crate::net::{self, Stream};
use crate::telemetry::ConnectionGuard;

/// Room made for each read from a worker.
const READ_SIZE: usize = 16 * 1024;
/// How long a closed connection is read from, so that what the worker still sends is not answered with a reset.
const LINGER: Duration = Duration::from_secs(5);
/// Bytes read from a closed connection at most.
const LINGER_BYTES: u64 = 4 * 1024 * 1024;
/// A limit on age is met up to this much earlier, so that connections that were opened together do not end together.
const AGE_JITTER: f64 = 0.1;

/// How surely a connection that was kept must be known to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// By what the runtime has noted: free, and right but for the events it has not polled yet. For requests that are
    /// sent again when the connection proves to be stale.
    Notes,
    /// By asking the kernel: a system call. For requests that cannot be sent twice.
    Kernel,
}

/// An open connection to a worker and the bytes read from it that nobody has taken yet.
pub struct Connection {
    stream: Stream,
    held: Held,
    /// The worker's count of what was read from it.
    heard: Arc<AtomicU64>,
    input: BytesMut,
    /// When it is too old to serve another request.
    expires: Option<Instant>,
    /// Requests that were begun on it.
    served: u64,
    bound: bool,
}

/// What a connection occupies as long as its socket is open.
pub struct Held {
    counted: ConnectionGuard,
    /// One of the connections that the worker takes at a time, where that is limited.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    pub(super) fn new(counted: ConnectionGuard, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { counted, _permit: permit }
    }
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        held: Held,
        heard: Arc<AtomicU64>,
        max_age: Option<Duration>,
    ) -> Self {
        let age = max_age.map(|age| age.mul_f64(1.0 - AGE_JITTER * fastrand::f64()));
        Self {
            stream,
            held,
            heard,
            input: BytesMut::new(),
            expires: age.and_then(|age| Instant::now().checked_add(age)),
            served: 0,
            bound: false,
        }
    }

    /// A request begins on it.
    pub fn begin(&mut self) {
        self.served += 1;
    }

    /// Requests that were begun on it.
    pub fn served(&self) -> u64 {
        self.served
    }

    /// From now on it serves the client of its present request only: the worker may know the connection by who that is.
    pub fn bind(&mut self) {
        self.bound = true;
    }

    /// Whether it belongs to one client.
    pub fn is_bound(&self) -> bool {
        self.bound
    }

    /// Whether it is young and fresh enough for another request.
    pub(super) fn may_serve(&self, policy: &Connections, now: Instant) -> bool {
        policy.max_requests.is_none_or(|most| self.served < most.get())
            && self.expires.is_none_or(|expires| now < expires)
    }

    /// What was read and not taken yet.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Reads more into [`Self::input`]. `Ok(0)` is the end: the worker closed its side.
    ///
    /// # Errors
    /// As the system says; a reset by the worker among them.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_SIZE);
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input));
        // An end or an error may be the system's doing.
        if matches!(read, Ok(1..)) {
            self.heard.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(read)
    }

    /// Writes some of `bytes`.
    ///
    /// # Errors
    /// As the system says.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    /// Whether the worker has neither closed it nor sent something unasked, as far as `check` looks.
    pub(super) fn is_quiet(&mut self, check: Check) -> bool {
        self.input.is_empty()
            && match check {
                Check::Notes => self.stream.seems_quiet(),
                Check::Kernel => self.stream.is_quiet(),
            }
    }

    /// How it is counted: in use or not.
    pub(super) fn counted(&self) -> &ConnectionGuard {
        &self.held.counted
    }

    /// Gives the socket and what was read from it away, for a tunnel, which counts as a connection while the last part is
    /// held.
    pub fn into_parts(self) -> (Stream, BytesMut, Held) {
        (self.stream, self.input, self.held)
    }

    /// Ends the connection with FIN, never with a reset: a reset that reaches a worker's accept queue makes its
    /// listener go away on Windows (CPython gh-93821). What the worker still sends is read and dropped for a while.
    pub fn close(self) {
        // Without a runtime, at the very end, the system closes it.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(linger(self.stream, self.held));
        }
    }
}

async fn linger(mut stream: Stream, _held: Held) {
    let _ = tokio::time::timeout(LINGER, async {
        stream.shutdown().await?;
        net::drain(&mut stream, LINGER_BYTES).await
    })
    .await;
}
