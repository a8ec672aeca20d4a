//! Asking a worker how it is: one request of asgate's own, and its answer.
//!
//! A question is never taken back: a connection that was opened and is dropped before the worker accepts it can cost a
//! Windows worker its listener (CPython gh-93821), and asking twice does not make anybody answer sooner. So it goes on
//! in a task of its own, whoever waits for it or does not, and its connection is parked or closed by FIN in the end.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::http1::Fault;
use crate::http1::download::Download;
use crate::http1::response::{self, ResponseHead};

use super::connection::{Check, Connection};
use super::idle::Keeping;
use super::worker::{ConnectError, Purpose, Worker};

/// How long a question that nobody answers is left with the worker.
const LEFT_FOR: Duration = Duration::from_secs(600);
/// Bytes of an answer's body that are looked at; a longer one is read no further.
const MAX_BODY: usize = 64 * 1024;

/// A request that asks a worker how it is.
#[derive(Debug, Clone)]
pub struct Probe {
    method: Method,
    bytes: Bytes,
    left_for: Duration,
}

/// On which connection to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One that was kept, where there is one: says whether the app answers.
    Kept,
    /// A new one: says whether the worker accepts as well.
    Fresh,
}

/// What a worker answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    /// The first 64 KiB of it.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("it does not accept connections: {0}")]
    Unreachable(io::Error),
    #[error("it accepted the connection and then said nothing")]
    Mute,
    #[error("it closed the connection without an answer")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("what it answered is not HTTP/1: {0}")]
    NotHttp(#[from] Fault),
}

impl Probe {
    /// A request for `path`, which asgate says it makes for `purpose` (`User-Agent: asgate-PURPOSE`).
    pub fn new(method: Method, path: &str, purpose: &str) -> Self {
        let bytes = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: asgate-{purpose}\r\nAccept: */*\r\n\r\n"
        );
        Self { method, bytes: bytes.into(), left_for: LEFT_FOR }
    }

    /// The same question, left with a worker that does not answer for this long; its connection is closed then.
    pub fn left_for(self, time: Duration) -> Self {
        Self { left_for: time, ..self }
    }
}

impl Worker {
    /// Asks, and goes on until there is an answer, the connection ends, or the probe was left long enough, whatever
    /// becomes of the handle.
    pub fn ask(
        self: &Arc<Self>,
        probe: &Probe,
        way: Way,
    ) -> JoinHandle<Result<Answer, ProbeError>> {
        let (worker, probe) = (Arc::clone(self), probe.clone());
        tokio::spawn(async move {
            // Given up, a connect goes on by itself.
            let found = timeout(probe.left_for, worker.way(way)).await;
            let (mut connection, is_own) = found.map_err(|_elapsed| ProbeError::Mute)??;
            connection.begin();
            let answered = timeout(probe.left_for, converse(&mut connection, &probe)).await;
            match answered {
                // Where connections are few, the one for checks is to be free for the next.
                Ok(Ok((answer, true))) if !(is_own && worker.is_limited()) => {
                    worker.park(connection, Keeping::Anybody, Check::Kernel);
                    Ok(answer)
                }
                Ok(Ok((answer, _))) => {
                    connection.close();
                    Ok(answer)
                }
                Ok(Err(error)) => {
                    connection.close();
                    Err(error)
                }
                Err(_elapsed) => {
                    connection.close();
                    Err(ProbeError::Mute)
                }
            }
        })
    }

    /// A connection, and whether it was made for this.
    async fn way(self: &Arc<Self>, way: Way) -> Result<(Connection, bool), ProbeError> {
        if way == Way::Kept
            && let Some(kept) = self.take_idle(Keeping::Anybody, Check::Kernel)
        {
            return Ok((kept, false));
        }
        let made = self.connect(Purpose::Check, None).await.map_err(|error| {
            ProbeError::Unreachable(match error {
                ConnectError::Failed(error) => error,
                ConnectError::TimedOut | ConnectError::NoRoom => io::ErrorKind::TimedOut.into(),
            })
        })?;
        Ok((made, true))
    }
}

/// The answer, and whether the connection can serve another request.
async fn converse(
    connection: &mut Connection,
    probe: &Probe,
) -> Result<(Answer, bool), ProbeError> {
    let mut rest = probe.bytes.clone();
    while !rest.is_empty() {
        let written = poll_fn(|cx| connection.poll_write(cx, &rest)).await?;
        let _ = rest.split_to(written);
    }
    let head = read_head(connection).await?;
    let mut download = Download::new(head.framing(&probe.method)?, head.keep_alive);
    let mut body = Vec::new();
    let mut closed = false;
    loop {
        let piece = download.take(connection.input(), closed)?;
        let room = MAX_BODY.saturating_sub(body.len()).min(piece.data.len());
        body.extend(piece.data.iter().take(room));
        if piece.complete {
            let reusable = download.leaves_reusable()
                && connection.input().is_empty()
                && !head.is_doubtful(&probe.method);
            return Ok((Answer { status: head.status, body }, reusable));
        }
        // The end of a body that nobody needs is not waited for, nor one that was cut off.
        if closed || body.len() >= MAX_BODY {
            return Ok((Answer { status: head.status, body }, false));
        }
        closed = poll_fn(|cx| connection.poll_fill(cx)).await? == 0;
    }
}

/// The head of the final response; interim ones (RFC 9110 section 15.2) are passed over.
async fn read_head(connection: &mut Connection) -> Result<ResponseHead, ProbeError> {
    loop {
        match response::parse(connection.input())? {
            Some((head, length)) => {
                let _ = connection.input().split_to(length);
                if !head.status.is_informational() {
                    return Ok(head);
                }
            }
            None => {
                if poll_fn(|cx| connection.poll_fill(cx)).await? == 0 {
                    return Err(ProbeError::Closed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
