//! Requests on their way to a worker: connections, places to wait in, second tries.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::super::units::Percent;

/// Reuse policy of worker connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    pub reuse: Reuse,
    /// How long an unused connection is kept. Must stay below the worker's own keep-alive.
    pub idle_timeout: Duration,
    /// How long a connection is used for new requests, less up to a tenth at random; `None`: no limit.
    pub max_age: Option<Duration>,
    /// Requests that a connection serves at most; `None`: no limit.
    pub max_requests: Option<NonZeroU64>,
    /// Unused connections kept per worker.
    pub max_idle: usize,
    /// Connections opened to a worker as soon as it joins; at most `max_idle`, 0 with [`Reuse::Never`].
    pub prewarm: usize,
}

/// Which requests a kept connection may serve. One on which NTLM or Negotiate was spoken is `PerClient` in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Any; before one that cannot be sent twice, the kernel is asked whether the connection is still open.
    Safe,
    /// Any, without asking.
    Always,
    /// None: `Connection: close` on each request.
    Never,
    /// Those of one client connection, and all of them.
    PerClient,
}

/// Requests that wait for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// So many at once; 0: none waits.
    pub size: usize,
    pub timeout: Duration,
}

/// When a request is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// From 1 (never again) to 10.
    pub attempts: NonZeroU32,
    /// Retries among requests, beside a few each second; 0%: none at all.
    pub budget: Percent,
    pub on: RetryOn,
    /// Bytes of a request body that are kept to be sent again; 64 MiB at most.
    pub body_buffer: usize,
}

/// What a request is sent again after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection came about. Any method.
    pub connect: bool,
    /// A kept connection had been closed. Idempotent methods, or nothing was sent.
    pub stale: bool,
    /// A new connection ended before an answer. Idempotent methods.
    pub closed: bool,
    /// Uvicorn's own answer when `--limit-concurrency` is reached. Any method.
    pub refused_503: bool,
    /// The worker's answer: of 502, 503 and 504, each at most once. Idempotent methods.
    pub statuses: Vec<u16>,
}
