//! What tells whether a worker is well.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::units::Percent;

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

/// So many failed requests within `window` take a worker out for `eject_for`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    pub failures: NonZeroU32,
    pub window: Duration,
    pub eject_for: Duration,
    /// Workers of the upstream that may be out at once.
    pub max_ejected: Percent,
    /// Answers that count as failures, beside requests without one: ranges within 500 to 599, none of them empty.
    pub status: Vec<RangeInclusive<u16>>,
}
