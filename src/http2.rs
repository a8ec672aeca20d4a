//! A gate in front of the HTTP/2 engine: it ends connections that are there to keep asgate busy.
//!
//! The engine (`h2`) answers each single frame as RFC 9113 says, odd ones too, and so every frame gets to it. What
//! it bounds only in part is how many frames may come that cost the client next to nothing and the server some
//! work: [`Gate`] looks at the heads of frames, between the socket and the engine, and counts those. It keeps no
//! payload, knows no streams, and leaves what a frame means to the engine.
//!
//! [`Abuse`] lists the attacks, `budget` the bounds and the room that well-behaved clients have below them. Left to
//! the engine are streams that it is made to reset by frames which look fine by themselves, such as a window that
//! overflows (CVE-2025-8671: after 1024 of them it ends the connection), small DATA frames, the size of a header
//! list, and streams above the agreed number.
//!
//! Pure: bytes and the time come in, a verdict comes out. Must not open sockets, write frames, or read a clock.

use std::time::Instant;

use budget::{Budgets, Counted};
use frame::{Frame, Kind, Start};

pub use abuse::Abuse;
pub use answers::Answers;

mod abuse;
mod answers;
mod budget;
mod frame;

/// The client's first bytes (RFC 9113 §3.4). The engine checks them.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// CONTINUATION frames in one header block, at least: as many as the engine takes, so that it is seen here when there are
/// more. Headers of 64 KiB fit into a HEADERS frame and three of them, and clients fill their frames.
const LEAST_CONTINUATIONS: u32 = 5;

/// Bytes of a frame's payload: what the engine announces (RFC 9113 §6.5.2, SETTINGS_MAX_FRAME_SIZE).
const MAX_FRAME: u32 = 16 * 1024;

/// What a client sends on one HTTP/2 connection, followed frame by frame.
#[derive(Debug)]
pub struct Gate {
    /// Bytes that are still to come of the preface or of a payload.
    skip: u32,
    start: Start,
    block: Option<Block>,
    /// Header blocks that have begun.
    blocks: u64,
    budgets: Budgets,
    /// Bytes of one header block, still compressed.
    max_block: u32,
    /// CONTINUATION frames in one.
    max_continuations: u32,
}

/// The header block that is coming in, or the last one.
#[derive(Debug, Clone, Copy)]
struct Block {
    bytes: u32,
    continuations: u32,
    /// The frame that is coming in is its last.
    ends: bool,
}

impl Gate {
    /// For a connection whose first bytes, the preface, are still to be fed, and whose client was told to send no headers
    /// of more than `max_headers` bytes (SETTINGS_MAX_HEADER_LIST_SIZE). A block may have twice as many.
    pub fn new(max_headers: u32, now: Instant) -> Self {
        let frames = (max_headers / MAX_FRAME).max(1);
        Self {
            skip: PREFACE.len() as u32,
            start: Start::default(),
            block: None,
            blocks: 0,
            budgets: Budgets::new(now),
            max_block: max_headers.saturating_mul(2),
            // The engine's own arithmetic.
            max_continuations: frames.saturating_add(frames / 4).max(LEAST_CONTINUATIONS),
        }
    }

    /// Takes the next bytes that the client sent, in pieces of any size. `now` matters to the frames that are
    /// counted, and may be the time of the read.
    ///
    /// # Errors
    /// [`Abuse`] when a bound is met. The connection is to be closed, without the bytes getting to the engine.
    pub fn feed(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Abuse> {
        loop {
            bytes = self.pass(bytes);
            let Some(frame) = self.start.take(&mut bytes) else { return Ok(()) };
            self.skip = frame.rest;
            self.follow_block(&frame)?;
            if let Some(counted) = counted(&frame) {
                self.budgets.spend(counted, now)?;
            }
        }
    }

    /// Tells that so many bytes of responses ([`Answers`]) were sent to the client on this connection. What it gets it may
    /// answer: with that, a client that acknowledges each DATA frame of a download is not taken for a flood.
    pub fn sent(&mut self, bytes: usize) {
        self.budgets.sent(bytes);
    }

    /// The number of the header block that has begun and whose last byte is still to come, if there is one: while it is
    /// the same, a deadline for it runs.
    pub fn open_block(&self) -> Option<u64> {
        let block = self.block.as_ref()?;
        (!block.ends || self.skip > 0).then_some(self.blocks)
    }

    /// Leaves out what belongs to the preface or to a payload.
    fn pass<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.skip);
        self.skip -= length;
        bytes.get(length as usize..).unwrap_or_default()
    }

    /// A frame that must not stand inside of a block ends it here; the engine ends the connection for it.
    fn follow_block(&mut self, frame: &Frame) -> Result<(), Abuse> {
        let before = match (frame.kind, self.block) {
            (Kind::Headers | Kind::PushPromise, _) => {
                self.blocks += 1;
                (0, 0)
            }
            (Kind::Continuation, Some(block)) if !block.ends => {
                (block.bytes, block.continuations + 1)
            }
            _ => {
                self.block = None;
                return Ok(());
            }
        };
        let (bytes, continuations) = (before.0 + frame.length, before.1);
        if bytes > self.max_block || continuations > self.max_continuations {
            return Err(Abuse::ContinuationFlood);
        }
        self.block = Some(Block { bytes, continuations, ends: frame.ends_headers() });
        Ok(())
    }
}

/// What `frame` is paid as; `None` for what moves requests and bodies.
fn counted(frame: &Frame) -> Option<Counted> {
    if frame.asks_for_an_error() {
        return Some(Counted::Malformed);
    }
    match frame.kind {
        // A stream can be ended only once. Padding counts against the window.
        Kind::Data => (frame.length == 0 && !frame.ends_stream()).then_some(Counted::Empty),
        Kind::Headers | Kind::PushPromise | Kind::Continuation => {
            (frame.length == 0 && !frame.ends_headers()).then_some(Counted::Empty)
        }
        Kind::Priority => Some(Counted::Priority),
        Kind::Reset => Some(Counted::Reset),
        Kind::Settings => Some(Counted::Settings),
        Kind::Ping => Some(Counted::Ping),
        Kind::WindowUpdate => Some(Counted::Window),
        Kind::GoAway | Kind::Unknown => Some(Counted::Unknown),
    }
}

#[cfg(test)]
mod tests;
