//! One HTTP/1.1 connection to a worker: bytes out, bytes in, and an end by FIN.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::io::poll_read_buf;

use crate::net::Stream;
use crate::telemetry::ConnectionGuard;

/// Room made for each read from a worker.
const READ_SIZE: usize = 16 * 1024;
/// How long a closed connection is read from, so that what the worker still sends is not answered with a reset.
const LINGER: Duration = Duration::from_secs(5);
/// Bytes read from a closed connection at most.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

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
    counted: ConnectionGuard,
    /// The worker's count of what was read from it.
    heard: Arc<AtomicU64>,
    input: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: Stream, counted: ConnectionGuard, heard: Arc<AtomicU64>) -> Self {
        Self { stream, counted, heard, input: BytesMut::new() }
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
    pub(super) fn is_quiet(&self, check: Check) -> bool {
        self.input.is_empty()
            && match check {
                Check::Notes => self.stream.seems_quiet(),
                Check::Kernel => self.stream.is_quiet(),
            }
    }

    /// How it is counted: in use or not.
    pub(super) fn counted(&self) -> &ConnectionGuard {
        &self.counted
    }

    /// Gives the socket and what was read from it away, for a tunnel, which is counted as long as the guard is held.
    pub fn into_parts(self) -> (Stream, BytesMut, ConnectionGuard) {
        (self.stream, self.input, self.counted)
    }

    /// Ends the connection with FIN, never with a reset: a reset that reaches a worker's accept queue makes its
    /// listener go away on Windows (CPython gh-93821). What the worker still sends is read and dropped for a while.
    pub fn close(self) {
        tokio::spawn(linger(self.stream, self.counted));
    }
}

async fn linger(mut stream: Stream, _counted: ConnectionGuard) {
    let _ = tokio::time::timeout(LINGER, async {
        stream.shutdown().await?;
        let mut dropped = 0;
        let mut buffer = vec![0; READ_SIZE];
        while dropped < LINGER_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => dropped += read,
            }
        }
        io::Result::Ok(())
    })
    .await;
}
