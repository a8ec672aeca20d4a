//! Takes log lines off the hands of request threads and writes them on a thread of its own.
//!
//! Handing over a line copies it under a short lock; no request thread ever waits for the
//! output. Lines keep the order in which they were handed over and are never cut or mixed.
//! An output that is slow, full or closed costs lines, which are counted and reported in the
//! output itself once it takes lines again; it never costs a request.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

use super::output;

#[cfg(test)]
mod tests;

/// Where lines end up.
pub type Output = Box<dyn Write + Send>;

/// Bytes that may wait for the output; as many again may be on their way into it.
pub(super) const QUEUE_BYTES: usize = 8 << 20;

/// How long the first line of a batch waits for others, so that a busy edge wakes the writer
/// and calls the kernel once per batch, not once per line.
const GATHER: Duration = Duration::from_millis(5);

/// A batch of this size is written without waiting for more. Also the buffer that is kept.
const BATCH_BYTES: usize = 256 << 10;

/// Pause before trying again when the output is in non-blocking mode and full (a terminal or
/// pipe shared with another program may be set so by that program).
const FULL_OUTPUT_PAUSE: Duration = Duration::from_millis(5);

/// The request threads' end. Dropping it lets the thread write what is left, without waiting.
pub(super) struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// The writer thread waits here for lines.
    lines_ready: Condvar,
    /// Whoever closes waits here for the writer thread.
    finished: Condvar,
    queue_bytes: usize,
    dropped: IntCounter,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    /// Lines turned away since the writer thread last looked.
    lost: u64,
    closing: bool,
    finished: bool,
}

impl Writer {
    /// Starts the thread. At most `queue_bytes` wait at a time; every lost line is counted in
    /// `dropped`.
    pub fn start(output: Output, queue_bytes: usize, dropped: IntCounter) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            lines_ready: Condvar::new(),
            finished: Condvar::new(),
            queue_bytes,
            dropped,
        });
        let for_thread = Arc::clone(&shared);
        thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
            Sink { output, failing: false, torn: false, unreported: 0 }.drain(&for_thread);
            for_thread.queue.lock().finished = true;
            for_thread.finished.notify_all();
        })?;
        Ok(Self { shared })
    }

    /// Hands over whole lines, each with its newline. Never waits for the output.
    pub fn push(&self, lines: &[u8]) {
        self.push_within(self.shared.queue_bytes, lines);
    }

    /// As [`Self::push`], for lines that must not crowd out others: they get half of the room.
    pub fn push_lesser(&self, lines: &[u8]) {
        self.push_within(self.shared.queue_bytes / 2, lines);
    }

    fn push_within(&self, room: usize, lines: &[u8]) {
        let mut queue = self.shared.queue.lock();
        let before = queue.lines.len();
        let after = before + lines.len();
        if queue.closing || after > room {
            let count = count_lines(lines);
            queue.lost += count;
            self.shared.dropped.inc_by(count);
            return;
        }
        queue.lines.extend_from_slice(lines);
        drop(queue);
        // Between these two moments the thread is gathering or writing, and will look again.
        if before == 0 || (before < BATCH_BYTES && after >= BATCH_BYTES) {
            self.shared.lines_ready.notify_one();
        }
    }

    /// Waits, at most for `patience`, until everything handed over so far is written or given
    /// up. Lines that come later are dropped. Returns whether the writer finished in time.
    pub fn close(&self, patience: Duration) -> bool {
        self.shared.start_closing();
        let mut queue = self.shared.queue.lock();
        let working = |queue: &mut Queue| !queue.finished;
        self.shared.finished.wait_while_for(&mut queue, working, patience);
        queue.finished
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.start_closing();
    }
}

impl Shared {
    fn start_closing(&self) {
        self.queue.lock().closing = true;
        self.lines_ready.notify_one();
    }

    /// Waits for lines and swaps them for the empty `batch`. Returns how many were turned away
    /// since the last call, and whether these were the last.
    fn take(&self, batch: &mut Vec<u8>) -> (u64, bool) {
        let mut queue = self.queue.lock();
        while queue.lines.is_empty() && !queue.closing {
            self.lines_ready.wait(&mut queue);
        }
        if queue.lines.len() < BATCH_BYTES && !queue.closing {
            self.lines_ready.wait_for(&mut queue, GATHER);
        }
        mem::swap(&mut queue.lines, batch);
        (mem::take(&mut queue.lost), queue.closing)
    }
}

/// The writer thread's end: the output, and how it is doing.
struct Sink {
    output: Output,
    /// Whether the last batch could not be written.
    failing: bool,
    /// Whether the output ends in the middle of a line.
    torn: bool,
    /// Lost lines that the output was not told about yet.
    unreported: u64,
}

impl Sink {
    fn drain(mut self, shared: &Shared) {
        let mut batch = Vec::new();
        loop {
            let (turned_away, last) = shared.take(&mut batch);
            self.unreported += turned_away;
            if !batch.is_empty() || self.unreported > 0 {
                let lost = self.write_batch(&mut batch);
                shared.dropped.inc_by(lost);
            }
            if last {
                return;
            }
            batch.clear();
            batch.shrink_to(BATCH_BYTES);
        }
    }

    /// Writes the batch, and after it the notice of what was lost. Returns how many lines of
    /// the batch did not get through.
    fn write_batch(&mut self, batch: &mut Vec<u8>) -> u64 {
        let content = batch.len();
        if self.unreported > 0 {
            output::append_lost_lines(batch, SystemTime::now(), self.unreported);
        }
        let (accepted, result) = self.write(batch);
        let Err(error) = result else {
            self.failing = false;
            self.unreported = 0;
            return 0;
        };
        if !mem::replace(&mut self.failing, true) {
            log::warn!("log lines are being lost: cannot write to their output: {error}");
        }
        let lost = count_lines(batch.get(accepted..content).unwrap_or_default());
        self.unreported += lost;
        lost
    }

    /// Writes all of `batch` unless the output fails. Returns how many bytes it accepted.
    fn write(&mut self, batch: &[u8]) -> (usize, io::Result<()>) {
        if self.torn {
            if let (_, Err(error)) = write_until_error(&mut self.output, b"\n") {
                return (0, Err(error));
            }
            self.torn = false;
        }
        let (accepted, result) = write_until_error(&mut self.output, batch);
        if let Some(written) = batch.get(..accepted).filter(|written| !written.is_empty()) {
            self.torn = !written.ends_with(b"\n");
        }
        (accepted, result.and_then(|()| self.output.flush()))
    }
}

/// As [`Write::write_all`], but tells how far it came, and waits for an output that is in
/// non-blocking mode.
fn write_until_error(output: &mut Output, mut rest: &[u8]) -> (usize, io::Result<()>) {
    let length = rest.len();
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(0) => return (length - rest.len(), Err(ErrorKind::WriteZero.into())),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(FULL_OUTPUT_PAUSE);
            }
            Err(error) => return (length - rest.len(), Err(error)),
        }
    }
    (length, Ok(()))
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}
