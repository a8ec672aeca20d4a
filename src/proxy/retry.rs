//! When a request may be sent again, and why.
//!
//! Never once a byte of a response came, but for two kinds of answers that are turned down whole. Whatever is sent again
//! was either never seen by an app, as far as can be told, or can be seen twice (RFC 9110 section 9.2.2).

use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SERVER};

use crate::config;
use crate::http1::response::ResponseHead;
use crate::telemetry::UpstreamMetrics;
use crate::upstream::Upstream;

/// Why an attempt may be followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// There was no connection, or its worker never accepted it: nothing was seen of the request.
    Connect,
    /// A connection that was kept turned out to be closed.
    Stale,
    /// A new connection ended without an answer, most likely with its worker.
    Closed,
    /// The worker had no room for the request and did not begin with it.
    Refused,
    /// The worker answered with a status after which another is to be tried.
    Status(u16),
}

impl Retry {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Stale => "stale",
            Self::Closed => "closed",
            Self::Refused => "refused_503",
            Self::Status(502) => "502",
            Self::Status(503) => "503",
            Self::Status(_) => "504",
        }
    }
}

/// What an upstream's `retry` allows one request.
#[derive(Clone, Copy)]
pub struct Retries<'a> {
    pub policy: &'a config::Retry,
    pub pool: &'a Upstream,
    pub metrics: &'a UpstreamMetrics,
}

impl Retries<'_> {
    /// Whether a request with `attempts` behind it may be sent again for this reason. Counts against the budget.
    pub fn grant(&self, retry: Retry, attempts: u32) -> Option<Retry> {
        if !self.is_allowed(retry) || attempts >= self.policy.attempts.get() {
            return None;
        }
        if !self.pool.may_retry() {
            self.metrics.retry_refused();
            return None;
        }
        Some(retry)
    }

    fn is_allowed(&self, retry: Retry) -> bool {
        let on = &self.policy.on;
        match retry {
            Retry::Connect => on.connect,
            Retry::Stale => on.stale,
            Retry::Closed => on.closed,
            Retry::Refused => on.refused_503,
            Retry::Status(status) => on.statuses.contains(&status),
        }
    }
}

/// Whether this is what Uvicorn answers in the app's stead when `--limit-concurrency` is reached: its text has 19 bytes,
/// and it closes the connection. An app that says the same of itself does not close.
///
/// With `--no-server-header` it cannot be told from another server's. Not to be asked where the connection would be closed
/// anyway: by the request, or by a worker that stops.
pub fn is_limit_of_uvicorn(head: &ResponseHead) -> bool {
    let is = |name, value: &str| head.headers.get(name).is_some_and(|found| found == value);
    head.status == StatusCode::SERVICE_UNAVAILABLE
        && !head.keep_alive
        && is(CONTENT_LENGTH, "19")
        && is(CONTENT_TYPE, "text/plain; charset=utf-8")
        && is(SERVER, "uvicorn")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::response;

    #[test]
    fn uvicorns_own_503_is_told_from_the_apps() {
        let uvicorn = "date: x\r\nserver: uvicorn\r\ncontent-type: text/plain; charset=utf-8\r\n\
                       content-length: 19\r\nconnection: close\r\n";
        let cases = [
            ("503 Service Unavailable", uvicorn.to_owned(), true),
            ("503 Service Unavailable", uvicorn.replace("server: uvicorn\r\n", ""), false),
            ("503 Service Unavailable", uvicorn.replace("connection: close\r\n", ""), false),
            ("503 Service Unavailable", uvicorn.replace("19", "20"), false),
            ("503 Service Unavailable", uvicorn.replace("uvicorn", "nginx"), false),
            ("503 Service Unavailable", uvicorn.replace("text/plain", "text/html"), false),
            ("500 Internal Server Error", uvicorn.to_owned(), false),
        ];
        for (status, headers, expected) in cases {
            let text = format!("HTTP/1.1 {status}\r\n{headers}\r\n");
            let (head, _) = response::parse(text.as_bytes()).expect("HTTP").expect("whole");
            assert_eq!(is_limit_of_uvicorn(&head), expected, "{text}");
        }
    }
}
