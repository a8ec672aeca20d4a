//! A client's connection as the engine sees it: heads complete, checked and in time; writes gathered until flushed.

mod frames;
mod head;
mod inner;
mod output;
mod pingora_io;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep};

use tokio_util::io::poll_read_buf;

use crate::client::{self, Peer};
use crate::http1::request::RequestHead;
use crate::net::deadline::Deadline;
use crate::net::{self, Stream};
use crate::proxy_protocol::ProxiedTls;

use super::Facts;
use super::tls::Secured;
use frames::FrameReader;
pub use head::Refusal;
use head::{HeadReader, Source};
use inner::{Inner, Phase};
use output::Output;

/// Room made for each read of a body.
const BODY_READ_SIZE: usize = 16 * 1024;
/// How often it is looked whether a client has left that has sent more than is read from it.
const CLOSED_LOOKS: Duration = Duration::from_secs(1);
/// How long a connection that asgate closes is read from, so that the client gets the answer and not a reset.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read from such a connection at most.
const LINGER_BYTES: u64 = 256 * 1024 * 1024;

/// What is known of a connection before its first request.
#[derive(Debug)]
pub struct Connection {
    /// Whom the PROXY protocol names, where that is spoken.
    pub peer: Peer,
    pub listener: Arc<Facts>,
    pub identity: client::Facts,
    /// `None` on a plain connection.
    pub tls: Option<Secured>,
    /// TLS that ended at the proxy in front of us, by its word.
    pub proxied: Option<ProxiedTls>,
}

/// A client's connection.
///
/// The engine owns it as a `Box<dyn IO>` while a request is on; what the proxy needs of it meanwhile works on a shared
/// reference, hence the lock, which nobody else ever holds.
#[derive(Debug)]
pub struct ClientStream {
    inner: Mutex<Inner>,
    connection: Arc<Connection>,
}

/// A request head: its bytes as they came, and where in them is what.
#[derive(Debug, Clone)]
pub struct Head {
    pub raw: Bytes,
    pub parts: RequestHead,
}

/// What came of the wait for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A head that is good; the engine may read it.
    Request,
    /// See [`ClientStream::refusal`].
    Refused,
    /// The client closed the connection or was idle for too long, and no request had begun.
    Nothing,
}

impl ClientStream {
    pub fn new(io: Stream, connection: Connection) -> Self {
        let inner = Inner {
            io,
            input: BytesMut::new(),
            phase: Phase::Head(HeadReader::default()),
            output: Output::default(),
            deadline: Deadline::default(),
        };
        Self { inner: Mutex::new(inner), connection: Arc::new(connection) }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Waits until the client has shown whether it speaks HTTP/2. `None`: it left, or was idle for too long.
    pub async fn speaks_http2(&mut self) -> Option<bool> {
        let (inner, facts) = (self.inner.get_mut(), &self.connection.listener);
        if let Some(tls) = &self.connection.tls {
            return Some(tls.http2);
        }
        if !facts.http2 {
            return Some(false);
        }
        let Phase::Head(reader) = &mut inner.phase else {
            return Some(false);
        };
        let mut from = Source {
            io: &mut inner.io,
            input: &mut inner.input,
            deadline: &mut inner.deadline,
            facts,
        };
        std::future::poll_fn(|cx| reader.poll_preface(&mut from, cx)).await
    }

    /// Takes what comes for HTTP/2 frames from now on. What is returned counts the bytes of responses that are written.
    pub fn expect_frames(&mut self) -> Arc<AtomicU64> {
        let reader = FrameReader::new(&self.connection.listener);
        let delivered = reader.delivered();
        self.inner.get_mut().phase = Phase::Frames(Box::new(reader));
        delivered
    }

    fn speaks_frames(&self) -> bool {
        matches!(self.inner.lock().phase, Phase::Frames(_))
    }

    /// Waits for a whole request head.
    pub async fn arrival(&mut self) -> Arrival {
        let (inner, connection) = (self.inner.get_mut(), &self.connection);
        std::future::poll_fn(|cx| inner.poll_head(connection, cx)).await
    }

    /// The head that the engine was given last.
    pub fn head(&self) -> Option<Head> {
        match &self.inner.lock().phase {
            Phase::Request { head, .. } => Some(head.clone()),
            _ => None,
        }
    }

    /// When the first byte of the last request came. `None`: its head came in one piece, just now.
    pub fn began(&self) -> Option<Instant> {
        match &self.inner.lock().phase {
            Phase::Request { began, .. } | Phase::Refused { began, .. } => *began,
            Phase::Head(_) | Phase::Frames(_) => None,
        }
    }

    /// Why there is no request after all, and the bytes of it that came. To be asked when the engine has none.
    pub fn refusal(&self) -> (Refusal, Bytes) {
        let inner = self.inner.lock();
        match &inner.phase {
            Phase::Refused { refusal, .. } => (*refusal, inner.input.clone().freeze()),
            Phase::Request { head, .. } => (Refusal::Engine, head.raw.clone()),
            Phase::Head(_) | Phase::Frames(_) => (Refusal::Left, inner.input.clone().freeze()),
        }
    }

    /// Whether it waits for a request of which no byte has come.
    pub fn is_idle(&self) -> bool {
        let inner = self.inner.lock();
        matches!(inner.phase, Phase::Head(_)) && inner.input.is_empty()
    }

    /// Gets ready for the next request.
    pub fn expect_head(&mut self) {
        let inner = self.inner.get_mut();
        inner.output.shrink();
        if inner.input.is_empty() {
            // It may have room for a piece of a body.
            inner.input = BytesMut::new();
        }
        inner.phase = Phase::Head(HeadReader::default());
    }

    /// Works on what was read and not used: the body of the request, and what follows it.
    pub fn with_input<T>(&self, work: impl FnOnce(&mut BytesMut) -> T) -> T {
        work(&mut self.inner.lock().input)
    }

    /// Reads more of what the client sends after a head. `Ok(0)` is the end: the client closed its side.
    ///
    /// # Errors
    /// As the system says.
    pub async fn fill(&self) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            let inner = &mut *self.inner.lock();
            inner.input.reserve(BODY_READ_SIZE);
            poll_read_buf(Pin::new(&mut inner.io), cx, &mut inner.input)
        })
        .await
    }

    /// The same where nothing is expected. Room is made for what comes and not before: a client that waits for its answer
    /// mostly sends nothing, perhaps for hours.
    ///
    /// # Errors
    /// As the system says.
    pub async fn overhear(&self) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            let inner = &mut *self.inner.lock();
            let mut room = [MaybeUninit::uninit(); BODY_READ_SIZE];
            let mut heard = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut inner.io).poll_read(cx, &mut heard))?;
            inner.input.extend_from_slice(heard.filled());
            Poll::Ready(Ok(heard.filled().len()))
        })
        .await
    }

    /// Waits until the client has closed its side, although what it sent is not read. It is looked now and then.
    pub async fn closed(&self) {
        while !self.inner.lock().io.is_closed_by_peer() {
            sleep(CLOSED_LOOKS).await;
        }
    }

    /// Holds written bytes back until [`Self::release`], whatever flushes the engine asks for.
    pub fn hold(&self) {
        self.inner.lock().output.hold();
    }

    /// Lets flushes through again.
    pub fn release(&self) {
        self.inner.lock().output.release();
    }

    /// Sends what was written and held back.
    ///
    /// # Errors
    /// As the system says.
    pub async fn flush(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            let inner = &mut *self.inner.lock();
            inner.output.poll_send(&mut inner.io, cx)
        })
        .await
    }

    /// Writes `bytes` past the engine, for an answer to a request that it was never given.
    ///
    /// # Errors
    /// As the system says.
    pub async fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        AsyncWriteExt::flush(self).await
    }

    /// Ends the connection so that the client gets all that was sent.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(LINGER, async {
            AsyncWriteExt::shutdown(&mut self).await?;
            let inner = self.inner.get_mut();
            // Where nothing was sent, nothing can be lost.
            if inner.output.was_used() {
                net::drain(&mut inner.io, LINGER_BYTES).await
            } else {
                Ok(())
            }
        })
        .await;
    }

    /// Counts the bytes that the client's socket has taken.
    pub fn taken(&self) -> Arc<AtomicU64> {
        self.inner.lock().output.taken()
    }

    /// Makes the close a reset, so that the client cannot take a response cut short for a whole one.
    pub fn reset_on_close(&self) {
        self.inner.lock().io.reset_on_close();
    }

    /// Gives the socket away, with what was read from it and not used.
    pub fn into_parts(self) -> (Stream, BytesMut) {
        let inner = self.inner.into_inner();
        (inner.io, inner.input)
    }
}

#[cfg(test)]
mod tests;
