//! Bytes on their way to a client: small writes gathered until a flush, large ones passed through.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

use crate::net::Stream;

/// Bytes gathered at most; a write that does not fit sends what is there first.
const CAPACITY: usize = 16 * 1024;
/// Room kept between requests.
const IDLE_CAPACITY: usize = 1024;

/// The gathered bytes of one connection.
#[derive(Debug, Default)]
pub struct Output {
    waiting: BytesMut,
    held: bool,
    taken: Arc<AtomicU64>,
}

impl Output {
    /// From now on a flush sends nothing.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Flushes send again.
    pub fn release(&mut self) {
        self.held = false;
    }

    /// Counts the bytes that the socket has taken.
    pub fn taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }

    /// Whether the socket has taken anything yet.
    pub fn was_used(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > 0
    }

    /// Gives back memory that the next request may not need.
    pub fn shrink(&mut self) {
        if self.waiting.is_empty() && self.waiting.capacity() > IDLE_CAPACITY {
            self.waiting = BytesMut::new();
        }
    }

    /// Takes some of `bytes`, to gather or to send.
    pub fn poll_write(
        &mut self,
        io: &mut Stream,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.len() + bytes.len() > CAPACITY {
            ready!(self.poll_send(io, cx))?;
        }
        if bytes.len() >= CAPACITY {
            let sent = ready!(Pin::new(io).poll_write(cx, bytes))?;
            self.taken.fetch_add(sent as u64, Ordering::Relaxed);
            return Poll::Ready(Ok(sent));
        }
        self.waiting.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Sends what is waiting, unless it is held back.
    pub fn poll_flush(&mut self, io: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(io, cx)
    }

    /// Sends what is waiting.
    pub fn poll_send(&mut self, io: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = ready!(Pin::new(&mut *io).poll_write(cx, &self.waiting))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken.fetch_add(sent as u64, Ordering::Relaxed);
            self.waiting.advance(sent);
        }
        Pin::new(io).poll_flush(cx)
    }
}
