//! HTTP/2 frames on their way to the engine: counted, and with a deadline where the engine has none.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::http2::{Abuse, Gate};
use crate::listener::{Connection, Facts};
use crate::net::deadline::Deadline;

/// Bytes of the connection preface (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// Follows what a client sends on an HTTP/2 connection.
#[derive(Debug)]
pub struct FrameReader {
    gate: Gate,
    /// For the connection preface and for each header block, however many frames it comes in.
    limit: Duration,
    deadline: Deadline,
    is_armed: bool,
    /// Bytes of the preface that are still to come.
    preface: usize,
}

impl FrameReader {
    /// For a connection whose preface comes next.
    pub fn new(facts: &Facts) -> Self {
        let mut deadline = Deadline::default();
        deadline.arm(Some(facts.header_timeout));
        let gate = Gate::new(Instant::now().into_std());
        Self { gate, limit: facts.header_timeout, deadline, is_armed: true, preface: PREFACE }
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
        let waits = self.preface > 0 || self.gate.is_in_header_block();
        if waits != self.is_armed {
            self.is_armed = waits;
            self.deadline.arm(waits.then_some(self.limit));
        }
        Ok(())
    }

    /// So many bytes were written to the client.
    pub fn sent(&mut self, bytes: usize) {
        self.gate.sent(bytes);
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
    log::warn!("HTTP/2 connection closed: {abuse} listener={} client={peer}", listener.name);
    io::Error::other(abuse.as_str())
}
