//! An upgraded connection: bytes both ways until one side ends it or it is idle for too long.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use parking_lot::Mutex;
use pingora::http::ResponseHeader;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::net::Stream;
use crate::net::deadline::Deadline;
use crate::outcome::Cause;
use crate::upstream::Connection;

use super::downstream::Downstream;
use super::exchange::Exchange;
use super::relay::Bounds;

/// Read at once in either direction.
const READ_SIZE: usize = 16 * 1024;
/// How long the other side may take to end, once one side has: a WebSocket's closing handshake is over by then.
const CLOSING: Duration = Duration::from_secs(5);

/// The first byte of a WebSocket's control frames: final, opcodes 8 to 10 (RFC 6455 section 5.2).
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// The most that a control frame of a worker holds besides its two first bytes (RFC 6455 section 5.5).
const MAX_PAYLOAD: u8 = 125;
/// What is kept of the end: the largest Close frame, and a few other control frames after it.
const MAX_END: usize = 512;

/// One end of a tunnel, with what was read from it before the tunnel began.
struct Side {
    stream: Stream,
    read_ahead: BytesMut,
}

/// Passes the worker's word on that it switches protocols, then everything else, and writes into `exchange` what happened.
pub async fn switch(
    mut client: Box<Downstream>,
    connection: Connection,
    head: ResponseHeader,
    bounds: &Bounds<'_>,
    exchange: &mut Exchange,
) {
    exchange.sent_status = Some(StatusCode::SWITCHING_PROTOCOLS.as_u16());
    let switched = match client.write_head(head).await {
        Ok(()) => client.flush().await,
        Err(cause) => Err(cause),
    };
    let stream = match (switched, client.into_stream()) {
        (Ok(()), Some(stream)) => stream,
        (switched, _) => {
            connection.close();
            exchange.tunnelled(Some(switched.err().unwrap_or(Cause::Internal)));
            return;
        }
    };
    let (stream, read_ahead) = stream.into_parts();
    let client = Side { stream, read_ahead };
    let (stream, read_ahead, _held) = connection.into_parts();
    let traffic = run(client, Side { stream, read_ahead }, bounds).await;
    exchange.request_body = traffic.from_client;
    exchange.response_body = traffic.to_client;
    exchange.tunnelled(traffic.cause);
}

/// Bytes moved through a tunnel, and why it ended if not because a side ended it.
#[derive(Debug, Default)]
struct Traffic {
    from_client: u64,
    to_client: u64,
    cause: Option<Cause>,
}

/// Which direction came to its end first.
enum First {
    FromClient(Result<(), Broken>),
    ToClient(Result<(), Broken>),
    Nothing(Cause),
}

/// Which side of a direction failed.
enum Broken {
    From,
    To,
}

/// Moves bytes until both directions are at their end. The end of one side is passed on to the other as FIN.
async fn run(client: Side, worker: Side, bounds: &Bounds<'_>) -> Traffic {
    let (client_read, client_write) = tokio::io::split(client.stream);
    let (worker_read, worker_write) = tokio::io::split(worker.stream);
    let moved = Moved::new();
    let mut up = pin!(copy(client_read, worker_write, client.read_ahead, &moved.up));
    let mut down = pin!(copy(worker_read, client_write, worker.read_ahead, &moved.down));
    let first = tokio::select! {
        ended = &mut up => First::FromClient(ended),
        ended = &mut down => First::ToClient(ended),
        cause = expiry(&moved, bounds) => First::Nothing(cause),
        () = bounds.cut.cancelled() => First::Nothing(Cause::Stopping),
    };
    let cause = match first {
        First::FromClient(ended) => {
            let late = timeout(CLOSING, down).await.is_err();
            match ended {
                Err(Broken::To) if !moved.ends_with_close() => Some(Cause::UpstreamClosed),
                _ => late.then_some(Cause::ClientClosed),
            }
        }
        First::ToClient(ended) => {
            // A client that does not end its side has lost nothing.
            let _ = timeout(CLOSING, up).await;
            let client_is_gone = matches!(ended, Err(Broken::To));
            // Whatever the client said: a worker that has heard its Close frame answers with one.
            let broke_off = !client_is_gone && !moved.ends_with_close();
            broke_off.then_some(Cause::UpstreamClosed)
        }
        First::Nothing(cause) => Some(cause),
    };
    Traffic { from_client: moved.up.bytes(), to_client: moved.down.bytes(), cause }
}

/// Copies until `from` ends, in order or not, then ends `to`.
async fn copy(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    read_ahead: BytesMut,
    moved: &Counter,
) -> Result<(), Broken> {
    let copied = copy_all(from, &mut to, read_ahead, moved).await;
    // That the other side is gone already is no news by now.
    let _ = to.shutdown().await;
    copied
}

async fn copy_all(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    mut buffer: BytesMut,
    moved: &Counter,
) -> Result<(), Broken> {
    loop {
        if !buffer.is_empty() {
            moved.add(&buffer);
            to.write_all(&buffer).await.map_err(|_| Broken::To)?;
            buffer.clear();
        }
        buffer.reserve(READ_SIZE);
        if from.read_buf(&mut buffer).await.map_err(|_| Broken::From)? == 0 {
            return Ok(());
        }
    }
}

/// Waits until nothing has moved for the idle limit, or the total is over.
async fn expiry(moved: &Moved, bounds: &Bounds<'_>) -> Cause {
    let idle = bounds.phases.websocket_idle;
    let mut deadline = Deadline::default();
    loop {
        let quiet_until = idle.and_then(|idle| moved.last().checked_add(idle));
        deadline.arm_at(quiet_until.into_iter().chain(bounds.total).min());
        deadline.passed().await;
        if bounds.total.is_some_and(|total| total <= Instant::now()) {
            return Cause::TotalTimeout;
        }
        if idle.is_some_and(|idle| moved.last().elapsed() >= idle) {
            return Cause::WebsocketIdle;
        }
    }
}

/// What moved in both directions, and when.
struct Moved {
    up: Counter,
    down: Counter,
}

struct Counter {
    bytes: AtomicU64,
    last: Mutex<Last>,
}

/// The last movement.
struct Last {
    at: Instant,
    /// The bytes that may hold a Close frame; `None` where nobody asks.
    end: Option<Vec<u8>>,
}

impl Moved {
    fn new() -> Self {
        Self { up: Counter::new(None), down: Counter::new(Some(Vec::new())) }
    }

    /// Whether the worker has sent a Close frame. One that ends the connection without it has not closed it but gone.
    fn ends_with_close(&self) -> bool {
        self.down.last.lock().end.as_deref().is_some_and(ends_with_close)
    }

    fn last(&self) -> Instant {
        self.up.last.lock().at.max(self.down.last.lock().at)
    }
}

impl Counter {
    fn new(end: Option<Vec<u8>>) -> Self {
        Self { bytes: 0.into(), last: Last { at: Instant::now(), end }.into() }
    }

    fn add(&self, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut last = self.last.lock();
        last.at = Instant::now();
        if let Some(end) = &mut last.end {
            end.extend_from_slice(
                bytes.get(bytes.len().saturating_sub(MAX_END)..).unwrap_or(bytes),
            );
            let too_much = end.len().saturating_sub(MAX_END);
            end.drain(..too_much);
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Whether what a worker sent ends with a Close frame, which is not masked. No data follows it, but other control frames
/// may: the client's pings are answered until its own Close has come (RFC 6455 sections 5.5.1 and 5.5.2).
fn ends_with_close(sent: &[u8]) -> bool {
    (0..sent.len()).any(|start| {
        let mut rest = sent.get(start..).and_then(|from| after_frame(&[CLOSE], from));
        while let Some(frames @ [_, ..]) = rest {
            rest = after_frame(&[PING, PONG], frames);
        }
        rest.is_some()
    })
}

/// What follows the control frame that `bytes` begin with, if that is a whole one of these kinds.
fn after_frame<'b>(kinds: &[u8], bytes: &'b [u8]) -> Option<&'b [u8]> {
    match bytes {
        [kind, size @ ..=MAX_PAYLOAD, payload @ ..] if kinds.contains(kind) => {
            payload.get(usize::from(*size)..)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_is_known_at_the_end_of_what_moved() {
        let long = [b"\x88\x7d".as_slice(), &[b'x'; 125]].concat();
        let many = [long.as_slice(), &b"\x8a\x04ping".repeat(40)].concat();
        let cases: [(&[&[u8]], bool); 13] = [
            (&[], false),
            (&[b"\x81\x02hi"], false),
            (&[b"\x88\x00"], true),
            (&[b"\x81\x02hi", b"\x88\x02\x03\xe8"], true),
            (&[b"\x81\x02hi\x88", b"\x02\x03", b"\xe8"], true),
            (&[&[0; 1000], &long], true),
            (&[&long, b"\x81\x02hi"], false),
            (&[&long, b"\x8a\x00", b"\x89\x02hi"], true),
            (&[&[0; 1000], &many], true),
            (&[&long, b"\x8a\x00", b"\x81\x02hi"], false),
            (&[&long, b"\x8a\x03hi"], false),
            (&[b"\x8a\x00"], false),
            (&[b"\x88\x82mask\x03\xe8"], false),
        ];
        for (pieces, expected) in cases {
            let moved = Moved::new();
            pieces.iter().for_each(|piece| moved.down.add(piece));
            assert_eq!(moved.ends_with_close(), expected, "{pieces:?}");
        }
    }
}
