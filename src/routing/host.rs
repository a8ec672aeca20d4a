//! The host that a request names: `Host`, `:authority` or `X-Forwarded-Host`.
//!
//! RFC 9110 §7.2 and RFC 3986 §3.2.2, narrowed: of a registered name only letters, digits and `-`
//! `.` `_` `~` are taken. Percent-encoding and `!$&'()*+,;=` are legal there but occur in no DNS
//! name, and a `,` would pass for a second entry in the headers that carry the host on.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use thiserror::Error;

#[cfg(test)]
mod tests;

/// The longest DNS name in text, without the trailing dot (RFC 1035 §2.3.4).
const MAX_LENGTH: usize = 253;

/// A valid host, in the form that routes are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host<'a> {
    /// Lower case, without port and without one trailing dot; an IPv6 address in its brackets.
    pub name: Cow<'a, str>,
    /// 1 to 65535; `None` when there is none or it is empty (`host:`).
    pub port: Option<u16>,
}

/// Why a host is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HostError {
    #[error("the host is empty")]
    Empty,
    #[error("the host has more than 253 characters")]
    TooLong,
    #[error("the host has a character that no host name has")]
    Character,
    #[error("the host has an empty label")]
    EmptyLabel,
    #[error("the host is not an IPv6 address in brackets")]
    Ipv6,
    #[error("the port of the host is not a number from 1 to 65535")]
    Port,
}

/// Takes `host[:port]` apart. Borrows when the name is in lower case already.
///
/// # Errors
/// [`HostError`]; userinfo, paths, spaces, lists and zone identifiers are all refused as wrong
/// characters or addresses.
pub fn parse(raw: &[u8]) -> Result<Host<'_>, HostError> {
    let text = str::from_utf8(raw).map_err(|_| HostError::Character)?;
    if text.starts_with('[') {
        return ipv6(text);
    }
    let (name, port) = match text.split_once(':') {
        Some((name, digits)) => (name, port(digits)?),
        None => (text, None),
    };
    Ok(Host { name: registered_name(name)?, port })
}

fn registered_name(name: &str) -> Result<Cow<'_, str>, HostError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > MAX_LENGTH {
        return Err(HostError::TooLong);
    }
    let mut upper = false;
    let mut previous = b'.';
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {}
            b'A'..=b'Z' => upper = true,
            b'.' if previous == b'.' => return Err(HostError::EmptyLabel),
            b'.' => {}
            _ => return Err(HostError::Character),
        }
        previous = byte;
    }
    if previous == b'.' {
        return Err(HostError::EmptyLabel);
    }
    Ok(lower(name, upper))
}

fn ipv6(text: &str) -> Result<Host<'_>, HostError> {
    let end = text.find(']').ok_or(HostError::Ipv6)?;
    let (name, after) = text.split_at_checked(end + 1).ok_or(HostError::Ipv6)?;
    let address = name.trim_start_matches('[').trim_end_matches(']');
    if name.len() != address.len() + 2 || address.parse::<Ipv6Addr>().is_err() {
        return Err(HostError::Ipv6);
    }
    let port = match after.strip_prefix(':') {
        Some(digits) => port(digits)?,
        None if after.is_empty() => None,
        None => return Err(HostError::Character),
    };
    Ok(Host { name: lower(name, name.bytes().any(|byte| byte.is_ascii_uppercase())), port })
}

fn lower(name: &str, has_upper: bool) -> Cow<'_, str> {
    if has_upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) }
}

/// RFC 3986 §3.2.3 allows no digits at all; a sign, which `parse` would take, is not a digit.
fn port(digits: &str) -> Result<Option<u16>, HostError> {
    if digits.is_empty() {
        return Ok(None);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(HostError::Port),
        Ok(port) => Ok(Some(port)),
    }
}
