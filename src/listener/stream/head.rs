//! Reading of one request head: by when, how large, and whether it may be served at all.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use crate::http1::Fault;
use crate::http1::request::{self, RequestHead};
use crate::http2::PREFACE;
use crate::listener::Facts;
use crate::net::Stream;
use crate::net::deadline::Deadline;

/// Read from the socket at once while a head is expected.
const READ_SIZE: usize = 8 * 1024;

/// Why a request that had begun is not given to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It breaks a rule of HTTP/1.1.
    Fault(Fault),
    /// Its head is larger than any route allows.
    HeadTooLarge,
    /// Its request line alone is.
    TargetTooLong,
    /// Its head did not come in time.
    TooSlow,
    /// The client left in the middle of its head.
    Left,
    /// It passed all checks here and yet not the engine's.
    Engine,
}

/// Where the bytes come from, where they go, and by which rules.
pub struct Source<'a> {
    pub io: &'a mut Stream,
    pub input: &'a mut BytesMut,
    pub deadline: &'a mut Deadline,
    pub facts: &'a Facts,
}

/// Progress of one head.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// Bytes of the input that hold no end of a head.
    searched: usize,
    waiting: Waiting,
    /// When its first byte was there and its last was not.
    began: Option<Instant>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Waiting {
    /// Nothing was polled yet.
    #[default]
    Unarmed,
    /// For the first byte, until the idle deadline.
    ForFirstByte,
    /// For the end of the head, until the header deadline.
    ForEnd,
}

impl HeadReader {
    /// Reads until a whole head is at the front of the input, and says what it means and how long it is.
    /// `Ok(None)`: the client closed the connection or was idle for too long, and no request had begun.
    pub fn poll(
        &mut self,
        from: &mut Source<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(RequestHead, usize)>, Refusal>> {
        loop {
            skip_line_ends(from.input);
            if let Some(length) = request::end(from.input, self.searched) {
                let head = from.input.get(..length).unwrap_or_default();
                return Poll::Ready(accept(head, from.facts).map(Some));
            }
            if from.input.len() > from.facts.max_head {
                return Poll::Ready(Err(too_large(from.input, from.facts)));
            }
            self.searched = from.input.len();
            match ready!(self.poll_more(from, cx)) {
                Ok(()) => {}
                Err(_) if from.input.is_empty() => return Poll::Ready(Ok(None)),
                Err(refusal) => return Poll::Ready(Err(refusal)),
            }
        }
    }

    /// Reads until the input shows whether the client speaks HTTP/2. `None`: no request had begun and none will.
    pub fn poll_preface(
        &mut self,
        from: &mut Source<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<bool>> {
        loop {
            let seen = from.input.len().min(PREFACE.len());
            if from.input.get(..seen) != PREFACE.get(..seen) {
                return Poll::Ready(Some(false));
            }
            if seen == PREFACE.len() {
                return Poll::Ready(Some(true));
            }
            if ready!(self.poll_more(from, cx)).is_err() {
                // What came may be too little for either protocol; then `poll` says so.
                return Poll::Ready((!from.input.is_empty()).then_some(false));
            }
        }
    }

    /// Reads once. The end of the stream is a [`Refusal::Left`].
    fn poll_more(
        &mut self,
        from: &mut Source<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Refusal>> {
        self.arm(from);
        match poll_append(from, cx) {
            Poll::Ready(Ok(1..)) => Poll::Ready(Ok(())),
            Poll::Ready(_) => Poll::Ready(Err(Refusal::Left)),
            Poll::Pending => from.deadline.poll(cx).map(|()| Err(Refusal::TooSlow)),
        }
    }

    /// When the first byte came; `None` when all came at once.
    pub fn began(&self) -> Option<Instant> {
        self.began
    }

    fn arm(&mut self, from: &mut Source<'_>) {
        if from.input.is_empty() && self.waiting == Waiting::Unarmed {
            from.deadline.arm(Some(from.facts.idle_timeout));
            self.waiting = Waiting::ForFirstByte;
        } else if !from.input.is_empty() && self.waiting != Waiting::ForEnd {
            // For the whole head, however many reads it takes.
            let now = Instant::now();
            self.began = Some(now);
            from.deadline.arm_at(now.checked_add(from.facts.header_timeout));
            self.waiting = Waiting::ForEnd;
        }
    }
}

/// Drops empty lines before a request line (RFC 9112 §2.2).
fn skip_line_ends(input: &mut BytesMut) {
    while input.starts_with(b"\r\n") {
        input.advance(2);
    }
}

fn accept(head: &[u8], facts: &Facts) -> Result<(RequestHead, usize), Refusal> {
    if head.len() > facts.max_head {
        return Err(too_large(head, facts));
    }
    let checked = request::inspect(head, facts.max_lines).map_err(Refusal::Fault)?;
    Ok((checked, head.len()))
}

fn too_large(head: &[u8], facts: &Facts) -> Refusal {
    match memchr::memchr(b'\n', head) {
        Some(line) if line <= facts.max_head => Refusal::HeadTooLarge,
        _ => Refusal::TargetTooLong,
    }
}

/// Appends what one read gives. Reads by way of the stack, so that an idle connection holds no buffer.
fn poll_append(from: &mut Source<'_>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut space = [MaybeUninit::uninit(); READ_SIZE];
    let mut buffer = ReadBuf::uninit(&mut space);
    ready!(Pin::new(&mut *from.io).poll_read(cx, &mut buffer))?;
    from.input.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(buffer.filled().len()))
}
