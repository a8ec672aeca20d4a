//! Upstreams: where their workers come from and what is expected of them.

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Address, App};

#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    pub workers: Workers,
    /// Checks by request; `None`: none.
    pub health: Option<Health>,
    /// How long the share of a worker that joins others grows to its full one; `None`: at once full.
    pub slow_start: Option<Duration>,
    pub connections: Connections,
}

/// Where an upstream's workers come from.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each upstream and it is not moved about"
)]
pub enum Workers {
    /// asgate starts and stops them.
    Supervised(App),
    /// They are there already; never empty.
    Fixed(Vec<Server>),
}

/// A fixed worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub address: Address,
    /// Share of the requests beside the other servers of the upstream.
    pub weight: NonZeroU16,
}

/// Reuse policy of worker connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    /// How long an unused connection is kept. Must stay below the worker's own keep-alive.
    pub idle_timeout: Duration,
    /// Unused connections kept per worker.
    pub max_idle: usize,
    /// Connections opened to a worker as soon as it joins; at most `max_idle`.
    pub prewarm: usize,
}

/// Regular requests that tell whether a worker is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Asked for with GET; a path that begins with `/`, with its query if it has one.
    pub path: String,
    /// From one check of a worker to the next.
    pub interval: Duration,
    /// For the whole answer.
    pub timeout: Duration,
    /// Passed checks in a row that make an unhealthy worker healthy.
    pub healthy_after: NonZeroU32,
    /// Failed checks in a row that make a healthy worker unhealthy.
    pub unhealthy_after: NonZeroU32,
    pub expect: Expect,
}

/// Which answers pass a check: both conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Any of these ranges within 200 to 599; never empty, and none of them is.
    pub status: Vec<RangeInclusive<u16>>,
    /// Text that occurs in the body; never empty. `None`: any body.
    pub body_contains: Option<String>,
}
