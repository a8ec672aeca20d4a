//! `routes`: which request is whose, and what may become of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{OrOff, Size, Span};
use super::front::{Headers, RateLimit};
use super::seconds;

/// Bytes of a head, unless a route says otherwise: that of a request without a route too, and of one
/// for the admin API.
pub const DEFAULT_HEAD: usize = 64 << 10;

/// Header lines, likewise.
pub const DEFAULT_LINES: u16 = 100;

/// Match conditions and exactly one action: `upstream`, `redirect` or `respond`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// The name of the route in logs and metrics: unique, 64 characters at most. Default: `route-N`
    /// with N counted from 1 in the order of the file.
    pub name: Option<String>,

    /// What a request must look like. Left out: every request.
    #[serde(rename = "match")]
    pub matches: Match,

    /// Pass the request to this upstream.
    pub upstream: Option<String>,

    /// Answer with a redirect.
    pub redirect: Option<Redirect>,

    /// Answer with a fixed text.
    pub respond: Option<Respond>,

    /// Change the path before the app sees it. Only with `upstream`.
    pub rewrite: Option<Rewrite>,

    /// Pass the client's `Host` header on; with `false` the worker gets its own address instead and
    /// the app builds wrong URLs unless it reads `X-Forwarded-Host`. Only with `upstream`.
    /// Default: `true`.
    pub preserve_host: Option<bool>,

    /// Change headers of the request and of the response.
    pub headers: Headers,

    /// How long each phase of a request may take.
    pub timeouts: Timeouts,

    /// What a request may be at most.
    pub limits: Limits,

    /// Clients that get in: addresses (`192.0.2.7`) or networks (`10.0.0.0/8`). Others are answered
    /// with 403, and so are those without an address, on a Unix socket. The client is who
    /// `trusted_proxies` make of it. Without this key everybody gets in.
    pub allow: Option<Vec<String>>,

    /// Clients that do not get in, whatever `allow` says. `match.path` has been brought to one spelling
    /// before; `/admin` and `//admin` are two paths all the same, and an app that takes them for one
    /// needs a route for either.
    pub deny: Vec<String>,

    /// How many requests a client may send. Without this section as many as it likes.
    pub rate_limit: Option<RateLimit>,
}

/// What a request must look like; it must meet all that is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// Host names, any of them: `api.example.com`, or `*.example.com` for one or more labels before
    /// the dot (not `example.com` itself). Letter case, port and a dot at the end do not matter.
    /// Names with other letters than ASCII are written in their `xn--` form. Left out: every host.
    pub host: Option<OneOrMany>,

    /// `/api` is a prefix on segment boundaries: it takes `/api` and `/api/x`, not `/apix`; `/api/`
    /// takes what begins with it. `=/ping` is the exact path. `~^/v[0-9]+/` is a regular expression
    /// (Rust's `regex` syntax, linear time), which is not anchored unless it says so; it is asked only
    /// where no prefix takes the path, so beside a route for every path of the same host it gets
    /// nothing, and `asgate check` says so. The query is not part of the path. Left out: `/`, which is
    /// every path.
    #[schemars(extend("examples" = ["/api/"]))]
    pub path: Option<String>,

    /// Methods, any of them, in capitals. Left out: every method. `GET` does not include `HEAD`.
    pub method: Option<OneOrMany>,

    /// Header names and the exact value each must have on one of its lines.
    pub header: BTreeMap<String, String>,

    /// Query parameters and the exact value each must have, percent-decoded.
    pub query: BTreeMap<String, String>,
}

/// One text, or a list of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Answer with a redirect.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redirect {
    /// Where to: `https://…`, or a path on the same host. `{scheme}`, `{host}`, `{path}` and
    /// `{query}` are those of the request; its query is appended when the text has neither
    /// `{query}` nor a `?`.
    #[schemars(extend("x-required" = true, "examples" = ["https://new.example.com{path}"]))]
    pub to: Option<String>,

    /// 301, 302, 303, 307 or 308. With 307 and 308 the client repeats method and body; 301 and 308
    /// are remembered by browsers.
    #[schemars(range(min = 301, max = 308))]
    pub status: u16,
}

impl Default for Redirect {
    fn default() -> Self {
        Self { to: None, status: 308 }
    }
}

/// Answer with a fixed text.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Respond {
    /// Any final status, 200 to 599.
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,

    /// Sent as `text/plain; charset=utf-8`. Must be empty with 204, 205 and 304, which have no body.
    pub body: String,
}

impl Default for Respond {
    fn default() -> Self {
        Self { status: 200, body: String::new() }
    }
}

/// Changes of the path, in the order of these keys: strip, replace, add. The query stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rewrite {
    /// Taken off where the path has it on a segment boundary; a `/` at the end makes no difference.
    /// The app must know of it to build right URLs: see `root_path` of the upstream's `app`.
    pub strip_prefix: String,

    /// A regular expression; its first match in the path gives way to `replace`. Anchor it with `^`
    /// unless it may match anywhere.
    pub regex: Option<String>,

    /// What stands for the match of `regex`: `$1`, `$2` … are its groups, `${1}` where a letter
    /// follows.
    pub replace: Option<String>,

    /// Put before the path; a `/` at the end makes no difference.
    pub add_prefix: String,
}

/// The deadlines of a request, phase by phase. `off` waits for ever: a client or worker that says
/// nothing then holds its connection as long as it likes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// TCP (or Unix socket) connection to the worker, with TLS if it speaks that. Answered with 504.
    /// At most four are being made to one worker at a time; while those come about, the wait for a
    /// turn does not count (it ends after 30 s).
    pub connect: OrOff<Span>,

    /// Request fully sent to response header: the longest a silent request may compute. Answered
    /// with 504.
    pub first_byte: OrOff<Span>,

    /// Between two reads of the response body. A stream of events needs a keep-alive comment more
    /// often than this, or a longer value.
    pub idle: OrOff<Span>,

    /// The whole exchange, from the request header to the end of the response. It ends streams and
    /// downloads too.
    pub total: OrOff<Span>,

    /// No byte in either direction of a WebSocket or another upgraded connection.
    pub websocket_idle: OrOff<Span>,

    /// Between two reads of the request body. Answered with 408.
    pub request_body: OrOff<Span>,

    /// The client does not take its bytes. Its connection is closed.
    pub client_write: OrOff<Span>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let after = |span| OrOff(Some(span));
        Self {
            connect: after(seconds(1)),
            first_byte: after(seconds(2 * 60)),
            idle: after(seconds(60)),
            total: OrOff(None),
            websocket_idle: after(seconds(60 * 60)),
            request_body: after(seconds(30)),
            client_write: after(seconds(60)),
        }
    }
}

/// What a request may be at most.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The request body; more is answered with 413. `0B` allows none.
    pub body: OrOff<Size>,

    /// The header block with the request line; more is answered with 431. Less than 1MiB, which is
    /// what the HTTP engine takes. It is read before its route is known, up to the largest of these
    /// limits of all routes (64KiB at least).
    pub header: Size,

    /// The request target, that is path and query; more is answered with 414. At most 64KiB.
    pub uri: Size,

    /// Number of header lines; more is answered with 431. At most 256, which is what the HTTP
    /// engine takes.
    #[schemars(range(min = 1, max = 256))]
    pub headers: u16,

    /// Bytes in each second that a request body has to come in with, over the time that asgate waits
    /// for the client. One that is 10 s behind is answered with 408; being ahead counts for a minute at
    /// most, and once the answer has begun it does not matter any more. This is the defence against
    /// clients that keep within `request_body` with a byte now and then.
    pub min_request_rate: OrOff<Size>,

    /// Bytes in each second that a client has to take of a response, counted likewise. The connection
    /// of one that is `client_write` behind is closed, but at 10 s at the earliest and at 60 s at the
    /// latest. Systems with large buffers tell in steps of what a slow client takes: what comes to
    /// less than a step in that time looks like nothing.
    pub min_response_rate: OrOff<Size>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: OrOff(Some(Size(100_000_000))),
            header: Size(DEFAULT_HEAD as u64),
            uri: Size(8 << 10),
            headers: DEFAULT_LINES,
            min_request_rate: OrOff(Some(Size(240))),
            min_response_rate: OrOff(Some(Size(240))),
        }
    }
}
