//! Telemetry: the access log, what workers print, and the metrics.
//!
//! One call per finished request writes its line and counts it, so that neither can be
//! forgotten. Nothing here waits for an output: lines are handed to a thread of their own
//! (`telemetry/writer.rs`), and are lost and counted rather than hold up a request. Knows
//! neither HTTP engine nor proxy; every value comes in as plain data.
//!
//! Read on in `telemetry/access.rs` for the line and `telemetry/metrics.rs` for the metrics.

use std::io;
use std::time::{Duration, SystemTime};

pub mod access;
mod json;
mod metrics;
mod output;
mod process;
#[cfg(test)]
mod tests;
mod timestamp;
mod trace;
mod writer;

pub use access::{ClientCertificate, Exchange, TERMINATION_OK, TlsLine};
pub use metrics::{
    CheckResult, ConnectResult, ConnectionGuard, ConnectionKind, ConnectionRefusal, GaugeGuard,
    HandshakeResult, ListenerMetrics, Metrics, RateLimitMode, RouteMetrics, UpstreamMetrics,
    WorkerMetrics,
};
pub use output::{Stream, WorkerOrigin};
pub use timestamp::in_seconds;
pub use writer::Output;

use writer::Writer;

/// Room for a usual line. A buffer kept by each thread instead is no faster (`finish` benchmark),
/// and would stay as long as the longest line it ever held.
const LINE_BYTES: usize = 1024;

/// Whether finished requests are written, and how. They are counted in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    /// One JSON object a line with ECS names.
    Ecs,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot start the thread that writes log lines")]
    Thread(#[source] io::Error),
    #[error("cannot register the metrics")]
    Metrics(#[source] prometheus::Error),
}

/// Where everything that is worth telling goes. Made once, then shared.
pub struct Telemetry {
    access: AccessLog,
    metrics: Metrics,
    lines: Writer,
}

impl Telemetry {
    /// Starts the thread that writes to `output`, for standard output
    /// `Box::new(std::io::stdout())`. With [`AccessLog::Off`] it still gets what workers print.
    pub fn new(access: AccessLog, output: Output) -> Result<Self, StartError> {
        let metrics = Metrics::new().map_err(StartError::Metrics)?;
        let lines = Writer::start(output, writer::QUEUE_BYTES, metrics.log_lines_dropped())
            .map_err(StartError::Thread)?;
        Ok(Self { access, metrics, lines })
    }

    /// Writes the one line of a finished request and counts it. To be called exactly once for
    /// each request, refused ones included.
    pub fn finish(&self, exchange: &Exchange<'_>) {
        self.metrics.count(exchange);
        match self.access {
            AccessLog::Off => {}
            AccessLog::Ecs => self.write(|line| access::append_line(line, exchange)),
        }
    }

    /// Writes one line that a worker printed, with or without its line end.
    pub fn worker_line(&self, origin: &WorkerOrigin<'_>, stream: Stream, text: &[u8]) {
        let mut line = Vec::with_capacity(LINE_BYTES);
        output::append_worker_line(&mut line, SystemTime::now(), origin, stream, text);
        // A worker that prints without end must not cost requests their lines.
        self.lines.push_lesser(&line);
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Writes what is left, waiting at most for `patience`; later lines are dropped. Blocks the
    /// calling thread: for the end of the program, outside of any request. Returns whether the
    /// output took everything, or failed to, in time.
    pub fn close(&self, patience: Duration) -> bool {
        self.lines.close(patience)
    }

    fn write(&self, append: impl FnOnce(&mut Vec<u8>)) {
        let mut line = Vec::with_capacity(LINE_BYTES);
        append(&mut line);
        self.lines.push(&line);
    }
}
