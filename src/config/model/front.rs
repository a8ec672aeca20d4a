//! `routes`: who is let in, how often, and which headers change.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::Span;
use super::seconds;

/// Changes of headers, on the way to the app and on the way back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Headers {
    /// Of the request, before the worker gets it. Only with `upstream`.
    pub request: HeaderChanges,

    /// Of the response, before the client gets it; of asgate's own answers on this route too.
    pub response: HeaderChanges,
}

/// Lines that are changed: first those of `remove` go, then those of `set` are put in their place, then
/// those of `add` come on top.
///
/// Values may hold variables: `{client_ip}`, `{client_port}`, `{request_id}`, `{host}`, `{method}`,
/// `{path}` and `{query}` (as the route was found by them), `{scheme}`, `{port}` (that the client connected
/// to), `{route}` (its name), `{tls_version}`, `{tls_cipher}`, `{tls_server_name}`,
/// `{client_cert_subject}`, `{client_cert_fingerprint}`. What is not known is empty. `{{` and `}}` are
/// braces. A header whose value would hold a control character is left out.
///
/// Refused are headers that frame a message or are for one hop (`Content-Length`, `Connection`,
/// `Proxy-*` …) and those that asgate writes itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderChanges {
    /// Headers that have exactly this value then, whatever was there before. Beware of `Set-Cookie` in
    /// a response: all cookies of the app give way to the one.
    pub set: BTreeMap<String, String>,

    /// Lines that come beside those that are there.
    pub add: BTreeMap<String, String>,

    /// Headers that are taken out, all lines of them.
    pub remove: Vec<String>,
}

/// How many requests a client may send: a bucket that holds `requests` + `burst` of them, full at first
/// and filled with `requests` in each `per`. One that finds it empty is answered with 429 and
/// `Retry-After`. Each asgate counts by itself, and anew from each start.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimit {
    /// So many requests in each `per`.
    #[schemars(extend("x-required" = true))]
    pub requests: Option<NonZeroU32>,

    /// The time that `requests` are for.
    pub per: Span,

    /// So many more at once, after a pause. A page that loads fifty images needs it.
    pub burst: u32,

    /// What has a bucket of its own: `client_ip` (IPv6 by /64), `header:NAME`, `cookie:NAME`, or
    /// `route` for one that all requests of the route share. Requests without the header or cookie
    /// share one, and so do clients without an address: all those on a Unix socket without
    /// `proxy_protocol`.
    ///
    /// A client chooses its headers and cookies: with those as key it gets as many buckets as it sends
    /// values. Use them where something before asgate has checked them.
    #[schemars(extend("examples" = ["client_ip"]))]
    pub key: String,

    /// Count and log, and refuse nobody: to find the numbers.
    pub dry_run: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            requests: None,
            per: seconds(1),
            burst: 0,
            key: "client_ip".to_owned(),
            dry_run: false,
        }
    }
}
