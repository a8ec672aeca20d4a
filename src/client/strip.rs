//! Which headers end at the edge.
//!
//! Hop-by-hop headers (RFC 9110 §7.6.1) concern one connection only. `Transfer-Encoding` and
//! `Upgrade` are among them: whoever writes the message on the other side frames it anew and
//! repeats the handshake of an upgrade that it carries on. Headers that say who the client is are
//! the edge's to write. Applications behind WSGI or CGI bridges cannot tell `X_Forwarded_For` from
//! `X-Forwarded-For`, so `_` counts as `-` in all of them.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// A client may nominate so many headers in `Connection`; one more is an attack on whoever looks
/// them up.
const MAX_NOMINATED: usize = 10;

/// Headers that a sender cannot declare hop-by-hop: without them the message would mean something
/// else to the next hop.
const END_TO_END: [&str; 11] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "set-cookie",
    "x-real-ip",
    "x-request-id",
];

/// Whether a header of a client's request is passed to the worker.
pub fn keep(name: &HeaderName, from: Sender<'_>) -> bool {
    if let Some(reserved) = from.reserved.iter().find(|reserved| are_alike(reserved, name)) {
        // Only in its usual spelling: of two that are alike an app takes either.
        return from.may_say_more(name) && reserved == name;
    }
    let name = name.as_str().as_bytes();
    match name {
        b"x-real-ip" => from.is_trusted,
        [b'x', b'-' | b'_', rest @ ..] => keep_x(rest),
        [b'c', ..] => !is_certificate(name) && !is_hop_by_hop(name),
        [b's', ..] => !begins(name, "ssl-client-"),
        [b'f', ..] => !same(name, "forwarded"),
        [b'r', ..] => !same(name, "remote-user"),
        _ => !is_hop_by_hop(name),
    }
}

/// Whether a header says of its sender what that may not say: nobody must look at it, and choose a route by it, say.
pub fn is_presumed(name: &HeaderName, from: Sender<'_>) -> bool {
    !from.is_trusted && !keep(name, from) && !is_hop_by_hop(name.as_str().as_bytes())
}

/// Who sent a request's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender<'a> {
    /// It is a trusted proxy.
    pub is_trusted: bool,
    /// The peer showed a certificate of its own.
    pub is_certified: bool,
    /// Headers that trusted proxies may send and nobody else.
    pub reserved: &'a [HeaderName],
}

impl Sender<'_> {
    /// Whether it may send the header `name`, which is reserved. Of certificates nobody has to tell us where we saw one.
    fn may_say_more(self, name: &HeaderName) -> bool {
        self.is_trusted && !(self.is_certified && is_certificate(name.as_str().as_bytes()))
    }
}

/// Headers that tell of a client's certificate: those of RFC 9440, ours, and what other proxies call them.
fn is_certificate(name: &[u8]) -> bool {
    ["client-cert", "x-client-cert", "x-ssl-client-", "ssl-client-"]
        .into_iter()
        .any(|known| begins(name, known))
}

/// Whether a header of a worker's response is passed to the client.
pub fn keep_response(name: &HeaderName) -> bool {
    !is_hop_by_hop(name.as_str().as_bytes())
}

/// `rest` follows `x-`.
fn keep_x(rest: &[u8]) -> bool {
    match rest {
        [b'f', ..] => !begins(rest, "forwarded-"),
        [b'a', ..] => !same(rest, "arr-clientcert"),
        [b'c', ..] => !begins(rest, "client-cert"),
        [b's', ..] => !begins(rest, "ssl-client-"),
        [b'i', ..] => !same(rest, "iis-windowsauthtoken"),
        [b'm', ..] => !begins(rest, "ms-client-principal"),
        [b'r', ..] => ["real-ip", "request-id", "remote-user"].iter().all(|own| !same(rest, own)),
        _ => true,
    }
}

fn is_hop_by_hop(name: &[u8]) -> bool {
    let known: &[&str] = match name.first().map(u8::to_ascii_lowercase) {
        Some(b'c') => &["connection"],
        Some(b'k') => &["keep-alive"],
        Some(b'p') => &["proxy-connection", "proxy-authenticate", "proxy-authorization"],
        Some(b't') => &["te", "trailer", "transfer-encoding"],
        Some(b'u') => &["upgrade"],
        _ => return false,
    };
    known.iter().any(|known| same(name, known))
}

/// Whether an app may take one for the other: equal when `_` counts as `-`.
pub fn are_alike(one: &HeaderName, other: &HeaderName) -> bool {
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| folded(*a) == folded(*b))
}

/// Equal when `_` counts as `-` and upper case as lower.
fn same(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && begins(name, known)
}

fn begins(name: &[u8], known: &str) -> bool {
    name.len() >= known.len() && name.iter().zip(known.bytes()).all(|(a, b)| folded(*a) == b)
}

const fn folded(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// The headers that a message declares hop-by-hop in `Connection` (RFC 9110 §7.6.1).
#[derive(Debug, Clone, Copy, Default)]
pub struct Nominated<'a> {
    names: [&'a [u8]; MAX_NOMINATED],
    count: usize,
}

/// Why the nominations of a request are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NominationError {
    #[error("`Connection` has an element that is no header name")]
    NoName,
    #[error("`Connection` names more than {MAX_NOMINATED} headers")]
    TooMany,
    #[error("`Connection` names a header that is not the connection's")]
    EndToEnd,
}

impl<'a> Nominated<'a> {
    /// Reads all lines of `Connection`. Options that are hop-by-hop anyway, `close` and
    /// `keep-alive` among them, are left out, so that there is nothing to look up for nearly every
    /// message.
    ///
    /// # Errors
    /// [`NominationError`]: a bad request, or an invalid response.
    pub fn read(headers: &'a HeaderMap) -> Result<Self, NominationError> {
        let mut nominated = Self::default();
        for line in headers.get_all(CONNECTION) {
            for option in line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                nominated.add(option)?;
            }
        }
        Ok(nominated)
    }

    fn add(&mut self, option: &'a [u8]) -> Result<(), NominationError> {
        let is = |known: &str| same(option, known);
        if option.is_empty() || is("close") || is_hop_by_hop(option) {
            return Ok(());
        }
        if HeaderName::from_bytes(option).is_err() {
            return Err(NominationError::NoName);
        }
        if END_TO_END.into_iter().any(is) || begins(option, "x-forwarded-") {
            return Err(NominationError::EndToEnd);
        }
        *self.names.get_mut(self.count).ok_or(NominationError::TooMany)? = option;
        self.count += 1;
        Ok(())
    }

    /// Whether the header must not be passed on.
    pub fn contains(&self, name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        self.names.iter().take(self.count).any(|nominated| nominated.eq_ignore_ascii_case(name))
    }
}
