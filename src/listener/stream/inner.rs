//! What is under the lock of a client's stream: which bytes come next, and what the engine is given of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use crate::http2::Abuse;
use crate::net::Stream;
use crate::net::deadline::Deadline;

use super::frames::{self, FrameReader};
use super::head::{HeadReader, Refusal, Source};
use super::output::Output;
use super::{Arrival, Connection, Head};

#[derive(Debug)]
pub struct Inner {
    pub io: Stream,
    /// Read from the socket, not yet given to the engine.
    pub input: BytesMut,
    pub phase: Phase,
    pub output: Output,
    pub deadline: Deadline,
}

/// What the bytes that come next are.
#[derive(Debug)]
pub enum Phase {
    /// A request head; none of it is given away before all of it is there and found good.
    Head(HeadReader),
    /// What the engine is given of a good head, then its body.
    Request { head: Head, given: BytesMut, began: Option<Instant> },
    /// Not a request that may be served; nothing more is given away.
    Refused { refusal: Refusal, began: Option<Instant> },
    /// HTTP/2 frames: passed on as they come, unless there are too many that do nothing.
    Frames(Box<FrameReader>),
}

impl Inner {
    /// Reads until the head that is waited for is there, if one is.
    pub fn poll_head(&mut self, connection: &Connection, cx: &mut Context<'_>) -> Poll<Arrival> {
        let reader = match &mut self.phase {
            Phase::Head(reader) => reader,
            Phase::Request { .. } | Phase::Frames(_) => return Poll::Ready(Arrival::Request),
            Phase::Refused { .. } => return Poll::Ready(Arrival::Refused),
        };
        let mut from = Source {
            io: &mut self.io,
            input: &mut self.input,
            deadline: &mut self.deadline,
            facts: &connection.listener,
        };
        let read = ready!(reader.poll(&mut from, cx));
        let began = reader.began();
        let (phase, arrival) = match read {
            Ok(Some((parts, length))) => {
                let head = Head { raw: self.input.split_to(length).freeze(), parts };
                (Phase::Request { given: head.for_engine(), head, began }, Arrival::Request)
            }
            Ok(None) => return Poll::Ready(Arrival::Nothing),
            Err(refusal) => (Phase::Refused { refusal, began }, Arrival::Refused),
        };
        self.phase = phase;
        Poll::Ready(arrival)
    }

    pub fn poll_read(
        &mut self,
        connection: &Connection,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let _ = ready!(self.poll_head(connection, cx));
        let given = buffer.filled().len();
        let source = match &mut self.phase {
            Phase::Head(_) | Phase::Refused { .. } => return Poll::Ready(Ok(())),
            // The head is given away by itself, so that the engine holds no byte of what follows it.
            Phase::Request { given, .. } if !given.is_empty() => given,
            Phase::Request { .. } | Phase::Frames(_) => &mut self.input,
        };
        if source.is_empty() {
            let read = Pin::new(&mut self.io).poll_read(cx, buffer);
            if let (Phase::Frames(reader), Poll::Pending) = (&mut self.phase, &read) {
                ready!(reader.poll_late(cx));
                return Poll::Ready(Err(frames::closed_for(Abuse::SlowHeaders, connection)));
            }
            ready!(read)?;
        } else {
            let available = source.len().min(buffer.remaining());
            buffer.put_slice(&source.split_to(available));
        }
        if let Phase::Frames(reader) = &mut self.phase {
            let new = buffer.filled().get(given..).unwrap_or_default();
            if let Err(abuse) = reader.take(new) {
                // The engine must not get what it came with.
                buffer.set_filled(given);
                return Poll::Ready(Err(frames::closed_for(abuse, connection)));
            }
        }
        Poll::Ready(Ok(()))
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.output.poll_write(&mut self.io, cx, bytes))?;
        if let Phase::Frames(reader) = &mut self.phase {
            reader.sent(bytes.get(..written).unwrap_or_default());
        }
        Poll::Ready(Ok(written))
    }
}

impl Head {
    /// The head with `/` for its target. What a target means is decided here and in `proxy`; the engine would refuse
    /// some of them without a word and respell others.
    fn for_engine(&self) -> BytesMut {
        let part = |range| self.raw.get(range).unwrap_or_default();
        let mut given = BytesMut::with_capacity(self.raw.len());
        given.extend_from_slice(part(self.parts.method.clone()));
        given.extend_from_slice(b" / ");
        given.extend_from_slice(part(self.parts.target.end + 1..self.raw.len()));
        given
    }
}
