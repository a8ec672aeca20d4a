//! `connections`, `queue` and `retry` of an upstream: what requests find on their way to a worker.

use std::borrow::Cow;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::super::units::{OrOff, Percent, Size, Span};
use super::seconds;

/// When a connection to a worker is used again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Which requests a kept connection may serve.
    ///
    /// - `safe`: any. Before one that cannot be sent twice (a POST, say) asgate asks the kernel
    ///   whether the connection is still open, which costs a system call.
    /// - `always`: any, without asking. A POST may meet a connection that its worker is just closing
    ///   and be answered with 502.
    /// - `never`: none. Each request has a connection of its own and says `Connection: close`.
    /// - `per_client`: those of one client connection only, and all of them while both last. For
    ///   workers that authenticate connections instead of requests.
    ///
    /// Whatever is set here, a connection on which NTLM or Negotiate was spoken is treated as with
    /// `per_client`: others would act in the name of that client. (With `never` nobody gets through
    /// the handshake of NTLM, which takes several requests on one connection.) Users that a trusted
    /// proxy sends over one connection are told apart by their addresses; where they share one, that
    /// proxy has to keep their connections apart.
    ///
    /// After a 500, after a HEAD, and after a 204 or 304 with a length a connection is closed (with
    /// `always`, too) unless it serves one client only: Uvicorn may close it then or send more on it,
    /// does not say so, and a POST that came upon that would be lost. WebSockets get connections of
    /// their own. What cannot be known of: when an app fails after it has answered with another status
    /// (in a background task, say), Uvicorn closes the connection, under the next request perhaps.
    pub reuse: Reuse,

    /// How long an unused connection is kept. Default: `4s` for `servers`, `60s` for `app`.
    ///
    /// Must stay below the worker's own keep-alive timeout (Uvicorn's default is 5 seconds), or
    /// requests are sent into connections that the worker is just closing. Supervised Uvicorn
    /// workers are started with one that is 15 seconds longer (75 seconds at least); for `servers`
    /// and `command` it is yours to compare. `asgate check` warns of `5s` and more for `servers`.
    pub idle_timeout: Option<Span>,

    /// How long a connection is used for new requests at most. Each one takes up to a tenth off, at
    /// random, so that those which were opened together do not close together. A request that is on
    /// its way is never cut off by it.
    pub max_age: OrOff<Span>,

    /// How many requests a connection serves at most; 0 is no limit.
    pub max_requests: u64,

    /// Unused connections kept for each worker; 0 opens a connection for each request. Those that are
    /// kept for one client come on top of it.
    pub max_idle: u32,

    /// Connections opened to a worker as soon as it joins, so that its first requests do not wait
    /// for one; at most `max_idle`. Default: 1 for `app`, 0 for `servers` and with `reuse: never`.
    pub prewarm: Option<u32>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            reuse: Reuse::default(),
            idle_timeout: None,
            max_age: OrOff(Some(seconds(600))),
            max_requests: 0,
            max_idle: 64,
            prewarm: None,
        }
    }
}

/// Which requests a kept connection may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    #[default]
    Safe,
    Always,
    Never,
    PerClient,
}

/// Requests that wait because every worker has as many as it may have.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// How many may wait at once; one more is answered with 503 and `Retry-After` at once. With 0
    /// none waits. Each holds its client's connection and its header block in memory. Requests that
    /// wait for their own worker (`affinity`) leave a quarter of the places to the others.
    pub size: u32,

    /// How long one waits at most, then it is answered with 503 and `Retry-After`. A client that
    /// leaves gives its place up at once.
    pub timeout: Span,
}

impl Default for Queue {
    fn default() -> Self {
        Self { size: 1000, timeout: seconds(30) }
    }
}

/// Requests that are sent again, to another worker where there is one. Never after the first byte of
/// an answer, and never when a worker may have acted on one that must not be repeated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How often a request is sent at most, the first time included; 1 is never again.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: NonZeroU32,

    /// The share of the upstream's requests that may be retries, beside a few each second that are
    /// always allowed; `0%` allows none. It keeps retries from multiplying the load on workers that
    /// fail because they have too much of it.
    pub budget: Percent,

    /// What a request is sent again after.
    ///
    /// - `connect`: no connection came about. Any method.
    /// - `stale`: a kept connection turned out to be closed. Methods that are idempotent, and any
    ///   when nothing of the request was sent.
    /// - `closed`: a new connection ended before an answer. Idempotent methods only.
    /// - `refused_503`: the worker is a Uvicorn that has as many connections as its
    ///   `--limit-concurrency` allows and said so. Any method: the app never saw the request. An app
    ///   that gives exactly this answer itself is not told from it: leave the word out for such.
    /// - `502`, `503`, `504`: the worker answered with this status and another worker is there.
    ///   Idempotent methods only. A request that fails everywhere costs every worker its time.
    pub on: Vec<RetryCause>,

    /// How much of a request's body is kept to be sent again, at most `64MiB`. A longer body is sent
    /// only once. Each request in flight may need so much memory.
    pub body_buffer: Size,
}

impl Default for Retry {
    fn default() -> Self {
        use RetryCause::{Closed, Connect, Refused503, Stale};
        Self {
            attempts: NonZeroU32::MIN.saturating_add(2),
            budget: Percent::saturating(20),
            on: vec![Connect, Stale, Closed, Refused503],
            body_buffer: Size(64 << 10),
        }
    }
}

/// What a request is sent again after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetryCause {
    #[serde(rename = "connect")]
    Connect,
    #[serde(rename = "stale")]
    Stale,
    #[serde(rename = "closed")]
    Closed,
    #[serde(rename = "refused_503")]
    Refused503,
    #[serde(rename = "502")]
    BadGateway,
    #[serde(rename = "503")]
    ServiceUnavailable,
    #[serde(rename = "504")]
    GatewayTimeout,
}

impl JsonSchema for RetryCause {
    fn schema_name() -> Cow<'static, str> {
        "RetryCause".into()
    }

    /// The words are what a scalar of either kind is read as. The numbers are for editors, which
    /// tell `502` from `"502"`.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "enum": [
                "connect", "stale", "closed", "refused_503", "502", "503", "504", 502, 503, 504
            ]
        })
    }
}
