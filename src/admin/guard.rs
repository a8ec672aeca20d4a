//! Who may ask: local processes, but no web page that a local browser shows. Pure.
//!
//! A browser lets any page send a POST to loopback, though not read the answer; it then says so in `Origin` (Fetch
//! standard, §3.2). And a page whose own host name suddenly means 127.0.0.1 (DNS rebinding) could even read the
//! answers; its requests carry that name in `Host`.

use std::net::{IpAddr, Ipv6Addr};

use http::Method;
use http::header::{HOST, HeaderMap, ORIGIN};

use crate::proxy::{Asked, Transport};

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error(
        "the Host header must be an IP address or localhost, so that no other name can lead here"
    )]
    Host,
    #[error("requests from web pages of other origins are refused")]
    Origin,
}

/// Whether the request may be answered.
///
/// # Errors
/// [`Forbidden`].
pub fn admit(asked: &Asked<'_>) -> Result<(), Forbidden> {
    match asked.transport {
        // No browser speaks to Unix sockets, and a client has no sensible name for one.
        Transport::Unix => {}
        Transport::Tcp if is_unmistakable(asked.host) => {}
        Transport::Tcp => return Err(Forbidden::Host),
    }
    let changes_nothing = *asked.method == Method::GET || *asked.method == Method::HEAD;
    if changes_nothing || is_same_origin(asked.headers) {
        return Ok(());
    }
    Err(Forbidden::Origin)
}

/// Whether nobody can make `host` mean another machine. No host at all is HTTP/1.0, which browsers do not speak and
/// health checks of load balancers do.
fn is_unmistakable(host: &str) -> bool {
    let is_ip = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok(),
    };
    is_ip || host == "localhost" || host.is_empty()
}

/// Whether no `Origin` says otherwise. The admin API is never served over TLS.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let own = |origin: &[u8]| {
        let host = headers.get(HOST)?.as_bytes();
        let named = origin.strip_prefix(b"http://")?;
        Some(named.eq_ignore_ascii_case(host))
    };
    headers.get_all(ORIGIN).iter().all(|origin| own(origin.as_bytes()).unwrap_or(false))
}
