//! HTTP/2 frames on their way to the engine: counted, and with a deadline where the engine has none.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use log::Level;
use tokio::time::Instant;

use crate::http2::{Abuse, Answers, Gate, PREFACE};
use crate::listener::{Connection, Facts};
use crate::net::deadline::Deadline;

/// Follows what a client sends on an HTTP/2 connection.
#[derive(Debug)]
pub struct FrameReader {
    gate: Gate,
    answers: Answers,
    delivered: Arc<AtomicU64>,
    /// For the connection preface and for each header block, however many frames it comes in.
    limit: Duration,
    deadline: Deadline,
    /// What the deadline is for.
    awaited: Awaited,
    /// Bytes of the preface that are still to come.
    preface: usize,
}

/// What has to come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Preface,
    /// The rest of a header block, by its number.
    Block(u64),
    Nothing,
}

impl FrameReader {
    /// For a connection whose preface comes next.
    pub fn new(facts: &Facts) -> Self {
        let mut deadline = Deadline::default();
        deadline.arm(Some(facts.header_timeout));
        let gate = Gate::new(facts.max_header_list(), Instant::now().into_std());
        Self {
            gate,
            answers: Answers::default(),
            delivered: Arc::default(),
            limit: facts.header_timeout,
            deadline,
            awaited: Awaited::Preface,
            preface: PREFACE.len(),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Abuse`]: the connection is to be closed.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Abuse> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.gate.feed(bytes, Instant::now().into_std())?;
        self.preface = self.preface.saturating_sub(bytes.len());
        let awaited = match self.gate.open_block() {
            _ if self.preface > 0 => Awaited::Preface,
            Some(block) => Awaited::Block(block),
            None => Awaited::Nothing,
        };
        if awaited != self.awaited {
            self.awaited = awaited;
            self.deadline.arm((awaited != Awaited::Nothing).then_some(self.limit));
        }
        Ok(())
    }

    /// These bytes were written to the client.
    pub fn sent(&mut self, bytes: &[u8]) {
        let answers = self.answers.sent(bytes);
        self.gate.sent(answers);
        self.delivered.fetch_add(answers as u64, Ordering::Relaxed);
    }

    /// Counts the bytes of responses that were written.
    pub fn delivered(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.delivered)
    }

    /// Ready when a header block, or the preface, has taken too long.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.deadline.poll(cx)
    }
}

/// Says that a connection is closed for `abuse`, and what the engine is told instead of what came.
pub fn closed_for(abuse: Abuse, connection: &Connection) -> io::Error {
    let Connection { peer, listener, .. } = connection;
    listener.metrics.abused(abuse.as_str());
    let (level, others) = listener.floods.level(Level::Warn);
    let name = &listener.name;
    log::log!(
        level,
        "HTTP/2 connection closed: {abuse} listener={name} client={peer} others={others}"
    );
    io::Error::other(abuse.as_str())
}
