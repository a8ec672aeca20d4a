//! `upstreams.*.health`: what tells whether a worker is well.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::status::StatusRange;
use super::super::units::{Percent, Span};
use super::seconds;

/// Two ways to find workers that are not well. Checks, with `path`, are regular requests to each: a
/// worker that fails them gets no traffic while others can take it, until it passes them again; a
/// supervised one is replaced. `passive` is about what becomes of the clients' requests.
///
/// Without this section there are no checks, and `passive` has its defaults.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// What is asked for with GET: a path, with a query if need be. It should be cheap, and say
    /// nothing about services that all workers share: when their database is down, a check that
    /// asks for it takes all workers out of service at once. Left out: there are no checks, a worker
    /// is judged by its listener and by `passive`, and the other keys of checks are refused.
    #[schemars(extend("examples" = ["/healthz"]))]
    pub path: Option<String>,

    /// From one check of a worker to the next.
    pub interval: Span,

    /// How long the whole answer may take. A check whose answer comes later has failed; the next
    /// question is asked when it came, or after four times this time.
    pub timeout: Span,

    /// So many passed checks in a row make an unhealthy worker healthy.
    pub healthy_after: NonZeroU32,

    /// So many failed checks in a row make a healthy worker unhealthy.
    pub unhealthy_after: NonZeroU32,

    /// Which answers pass: by default every success and every redirect.
    pub expect: Expect,

    /// Take a worker out for a while when requests on it fail.
    pub passive: Passive,
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
            passive: Passive::default(),
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

/// Ejection, or the word `off`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Passive {
    Off(Off),
    On(Ejection),
}

impl Default for Passive {
    fn default() -> Self {
        Self::On(Ejection::default())
    }
}

/// The word alone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    Off,
}

/// A worker on which so many requests failed within `window` gets no traffic for a while. A failure
/// is a request that got no answer: no connection, a new one that ended first, nonsense, or nothing in
/// time while nobody else got anything either, for a slow request is no sick worker. What a client
/// does wrong is none. The last worker is never taken out, and when there is no other,
/// one that is out is tried rather than the request refused.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ejection {
    /// So many failures take the worker out.
    pub failures: NonZeroU32,

    /// The time within which they count.
    pub window: Span,

    /// How long the worker is out. Then it is tried again.
    pub eject_for: Span,

    /// The share of the upstream's workers that may be out at once; with `0%` none ever is.
    pub max_ejected: Percent,

    /// Answers with these statuses are failures too: `503`, or a range such as `502-504`, from 500
    /// to 599. Beware: if a client can provoke such an answer, it can put workers out of service for
    /// everyone.
    pub status: Vec<StatusRange>,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: NonZeroU32::MIN.saturating_add(4),
            window: seconds(10),
            eject_for: seconds(30),
            max_ejected: Percent::saturating(50),
            status: Vec::new(),
        }
    }
}
