//! What workers print: read to the end, cut into lines, handed to a sink, the last ones kept for error messages.
//!
//! Reading never waits for anything but the worker, so that the worker never waits for us on a full pipe.

use std::collections::VecDeque;
use std::sync::Arc;

use memchr::memchr;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Notify;

use super::WorkerId;

/// Longer lines are handed on in pieces of at most this many bytes.
const MAX_LINE: usize = 16 * 1024;
/// Bytes asked for in one read.
const READ: usize = 16 * 1024;
/// Lines kept of each worker.
const KEPT_LINES: usize = 50;

/// Takes the lines that workers print. Called from the tasks that read them, by several at a time.
pub trait OutputSink: Send + Sync {
    /// Must not block: a sink that cannot keep up has to drop lines, not hold up the reader.
    fn line(&self, line: OutputLine<'_>);
}

/// One line of a worker, or a piece of one that is longer than 16 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLine<'a> {
    pub upstream: &'a str,
    /// [`WorkerId::index`].
    pub worker: u16,
    /// [`WorkerId::generation`].
    pub generation: u64,
    pub pid: u32,
    pub stream: Stream,
    /// Without its line ending. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub text: &'a str,
}

/// Where a worker printed a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// One process as the source of lines.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) upstream: Arc<str>,
    pub(super) id: WorkerId,
    pub(super) pid: u32,
    pub(super) sink: Arc<dyn OutputSink>,
    pub(super) tail: Tail,
}

/// What asyncio says when it closes a listener because one connection failed (CPython gh-93821).
const ACCEPT_FAILED: &str = "Accept failed on a socket";

/// The last lines of a process, both streams together. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    lines: Arc<Mutex<VecDeque<String>>>,
    accept_failed: Arc<Notify>,
}

// === impl Source ===

impl Source {
    /// Reads `from` until its end, which comes when no process holds the other side any more.
    pub(super) async fn read(self, stream: Stream, mut from: impl AsyncRead + Unpin) {
        let mut emit = |line: &[u8]| self.emit(stream, line);
        let mut pending = Vec::new();
        loop {
            pending.reserve(READ);
            match from.read_buf(&mut pending).await {
                Ok(0) => break,
                Ok(_) => take_lines(&mut pending, &mut emit),
                Err(error) => {
                    let Self { upstream, id, .. } = &self;
                    log::warn!(
                        "Cannot read worker output: upstream={upstream} worker={id} error={error}"
                    );
                    break;
                }
            }
        }
        if !pending.is_empty() {
            emit(&pending);
        }
    }

    fn emit(&self, stream: Stream, line: &[u8]) {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        self.tail.push(stream, &text);
        self.sink.line(OutputLine {
            upstream: &self.upstream,
            worker: self.id.index,
            generation: self.id.generation,
            pid: self.pid,
            stream,
            text: &text,
        });
    }
}

/// Emits every whole line of `pending`, and pieces of the last one while it is too long; what remains stays.
fn take_lines(pending: &mut Vec<u8>, emit: &mut impl FnMut(&[u8])) {
    let mut rest = pending.as_slice();
    loop {
        let window = rest.get(..=MAX_LINE).unwrap_or(rest);
        if let Some(end) = memchr(b'\n', window) {
            let (line, after) = rest.split_at(end);
            emit(line);
            rest = after.get(1..).unwrap_or_default();
        } else if rest.len() > MAX_LINE {
            let (piece, after) = rest.split_at(piece_length(rest));
            emit(piece);
            rest = after;
        } else {
            break;
        }
    }
    let taken = pending.len() - rest.len();
    pending.drain(..taken);
}

/// At most `MAX_LINE`, and a little less where that would cut a UTF-8 character (RFC 3629: at most three
/// continuation bytes, `10xxxxxx`).
fn piece_length(line: &[u8]) -> usize {
    let starts_character = |at: &usize| line.get(*at).is_some_and(|byte| byte & 0xc0 != 0x80);
    (MAX_LINE - 3..=MAX_LINE).rev().find(starts_character).unwrap_or(MAX_LINE)
}

// === impl Tail ===

impl Tail {
    fn push(&self, stream: Stream, line: &str) {
        // What an app prints on stdout may be anybody's text.
        if stream == Stream::Stderr && line.contains(ACCEPT_FAILED) {
            self.accept_failed.notify_one();
        }
        let mut lines = self.lines.lock();
        // The oldest line's memory serves the newest: a worker may print millions.
        let mut kept = match lines.len() {
            KEPT_LINES.. => lines.pop_front().unwrap_or_default(),
            _ => String::new(),
        };
        kept.clear();
        kept.push_str(line);
        lines.push_back(kept);
    }

    /// The lines kept, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }

    /// Told when the worker says that it lost its listener.
    pub(super) fn accept_failed(&self) -> Arc<Notify> {
        Arc::clone(&self.accept_failed)
    }
}

#[cfg(test)]
mod tests;
