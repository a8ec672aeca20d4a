//! An upgraded connection: bytes both ways until one side ends it or it is idle for too long.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::net::Stream;
use crate::net::deadline::Deadline;
use crate::outcome::Cause;

use super::relay::Bounds;

/// Read at once in either direction.
const READ_SIZE: usize = 16 * 1024;
/// How long the other side may take to end, once one side has: a WebSocket's closing handshake is over by then.
const CLOSING: Duration = Duration::from_secs(5);

/// One end of a tunnel, with what was read from it before the tunnel began.
pub struct Side {
    pub stream: Stream,
    pub read_ahead: BytesMut,
}

/// Bytes moved through a tunnel, and why it ended if not because a side ended it.
#[derive(Debug, Default)]
pub struct Traffic {
    pub from_client: u64,
    pub to_client: u64,
    pub cause: Option<Cause>,
}

/// Which direction came to its end first.
enum First {
    FromClient,
    ToClient,
    Nothing(Cause),
}

/// Moves bytes until both directions are at their end. The end of one side is passed on to the other as FIN.
pub async fn run(client: Side, worker: Side, bounds: &Bounds<'_>) -> Traffic {
    let (client_read, client_write) = tokio::io::split(client.stream);
    let (worker_read, worker_write) = tokio::io::split(worker.stream);
    let moved = Moved::new();
    let mut up = pin!(copy(client_read, worker_write, client.read_ahead, &moved.up));
    let mut down = pin!(copy(worker_read, client_write, worker.read_ahead, &moved.down));
    let first = tokio::select! {
        _ = &mut up => First::FromClient,
        _ = &mut down => First::ToClient,
        cause = expiry(&moved, bounds) => First::Nothing(cause),
        () = bounds.cut.cancelled() => First::Nothing(Cause::Stopping),
    };
    let cause = match first {
        First::FromClient => timeout(CLOSING, down).await.err().map(|_| Cause::ClientClosed),
        First::ToClient => timeout(CLOSING, up).await.err().map(|_| Cause::UpstreamClosed),
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
) -> io::Result<()> {
    let copied = copy_all(from, &mut to, read_ahead, moved).await;
    to.shutdown().await.and(copied)
}

async fn copy_all(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    mut buffer: BytesMut,
    moved: &Counter,
) -> io::Result<()> {
    loop {
        if !buffer.is_empty() {
            moved.add(buffer.len());
            to.write_all(&buffer).await?;
            buffer.clear();
        }
        buffer.reserve(READ_SIZE);
        if from.read_buf(&mut buffer).await? == 0 {
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
    bytes: std::sync::atomic::AtomicU64,
    last: parking_lot::Mutex<Instant>,
}

impl Moved {
    fn new() -> Self {
        Self { up: Counter::new(), down: Counter::new() }
    }

    fn last(&self) -> Instant {
        (*self.up.last.lock()).max(*self.down.last.lock())
    }
}

impl Counter {
    fn new() -> Self {
        Self { bytes: 0.into(), last: Instant::now().into() }
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed);
        *self.last.lock() = Instant::now();
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(std::sync::atomic::Ordering::Relaxed)
    }
}
