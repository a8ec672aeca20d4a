//! `upstreams.*.health`: requests that tell whether a worker is well.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::status::StatusRange;
use super::super::units::Span;
use super::seconds;

/// Regular requests to each worker. One that fails them gets no traffic while others can take it,
/// until it passes them again; a supervised one is replaced.
///
/// Without this section a worker is judged by its listener and by what becomes of its requests.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// What is asked for with GET: a path, with a query if need be. It should be cheap, and say
    /// nothing about services that all workers share: when their database is down, a check that
    /// asks for it takes all workers out of service at once.
    #[schemars(extend("x-required" = true, "examples" = ["/healthz"]))]
    pub path: Option<String>,

    /// From one check of a worker to the next.
    pub interval: Span,

    /// How long the whole answer may take. A check whose answer comes later has failed; the next
    /// question is asked when it came.
    pub timeout: Span,

    /// So many passed checks in a row make an unhealthy worker healthy.
    pub healthy_after: NonZeroU32,

    /// So many failed checks in a row make a healthy worker unhealthy.
    pub unhealthy_after: NonZeroU32,

    /// Which answers pass: by default every success and every redirect.
    pub expect: Expect,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            path: None,
            interval: seconds(5),
            timeout: seconds(5),
            healthy_after: NonZeroU32::MIN.saturating_add(1),
            unhealthy_after: NonZeroU32::MIN.saturating_add(2),
            expect: Expect::default(),
        }
    }
}

/// An answer that passes: the status is one of these and the body holds that text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// Statuses (`200`) and ranges of them (`200-399`), any of them.
    pub status: Vec<StatusRange>,

    /// Text that occurs in the body, letter case included. Left out: any body.
    pub body_contains: Option<String>,
}

impl Default for Expect {
    fn default() -> Self {
        Self { status: vec![StatusRange(200..=399)], body_contains: None }
    }
}
