//! A request in its one form: the target split, spelled and addressed as it is matched, logged and forwarded.
//!
//! HTTP/1.1 heads were checked byte by byte before the engine parsed them (`http1::request`); here the forms of a
//! target (RFC 9112 §3.2) and of `Host` are brought together, and what is ambiguous is refused.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::{Method, Version};

use crate::http1::request::Framing;
use crate::listener::Head;
use crate::outcome::{BadRequest, Cause};
use crate::routing::{self, host, path};

use super::downstream::{Downstream, Line};

/// How the body is framed on its way to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    None,
    Length(u64),
    Chunked,
}

/// One request, checked.
#[derive(Debug)]
pub struct Request {
    pub method: Method,
    pub version: Version,
    /// Lower case, without port; empty when an HTTP/1.0 client named none.
    pub host: String,
    /// Canonical: what is matched is what is forwarded.
    pub path: String,
    pub query: Option<String>,
    pub body: Body,
    /// Asks for a WebSocket (RFC 6455 §4.1).
    pub websocket: bool,
    /// Sends no other request on this connection. The engine looks at the first line of `Connection` only.
    pub closes: bool,
    /// Waits for `100 Continue` before it sends its body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Bytes of the head; for HTTP/2 of its names and values.
    pub head_size: usize,
    /// Bytes of the target as it came.
    pub target_size: usize,
    /// Header lines.
    pub lines: usize,
}

impl Request {
    /// Reads the request that `client` has sent, and puts `Host` where HTTP/2 has `:authority`.
    ///
    /// # Errors
    /// The [`Cause`] to answer it with.
    pub fn read(client: &mut Downstream) -> Result<Self, Cause> {
        match client.line() {
            Line::Http1(Head { raw, parts }) => {
                let part = |range| raw.get(range).unwrap_or_default();
                let body = match parts.framing {
                    Framing::Length(0) => Body::None,
                    Framing::Length(length) => Body::Length(length),
                    Framing::Chunked => Body::Chunked,
                };
                let target = part(parts.target);
                let host = parts.host.map(part).unwrap_or_default();
                Self::check(client, target, host, body).map(|request| Self {
                    head_size: raw.len(),
                    lines: parts.lines,
                    ..request
                })
            }
            Line::Http2 { target, authority, bodiless } => {
                if let Some(authority) = &authority {
                    client.set_host(authority)?;
                }
                let host = client.headers().get(HOST).cloned();
                let body = match declared_length(client.headers())? {
                    _ if bodiless => Body::None,
                    Some(length) => Body::Length(length),
                    None => Body::Chunked,
                };
                let host = host.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
                Self::check(client, &target, host, body)
            }
        }
    }

    fn check(client: &Downstream, target: &[u8], host: &[u8], body: Body) -> Result<Self, Cause> {
        let (headers, method) = (client.headers(), client.method());
        let version = client.version();
        if *method == Method::CONNECT || *method == Method::TRACE {
            return Err(Cause::MethodRefused);
        }
        let named = match host {
            [] if version == Version::HTTP_10 => None,
            _ => Some(host::parse(host).map_err(|_| Cause::BadRequest(BadRequest::Host))?),
        };
        let origin = origin_form(target, host)?;
        let (raw_path, raw_query) = path::split(origin);
        let path = path::canonical(raw_path)
            .map_err(|_| Cause::BadRequest(BadRequest::Path))?
            .into_owned();
        let query = raw_query
            .map(path::query)
            .transpose()
            .map_err(|_| Cause::BadRequest(BadRequest::Path))?;
        Ok(Self {
            method: method.clone(),
            version,
            host: named.map(|host| host.name.into_owned()).unwrap_or_default(),
            path,
            query: query.map(|query| query.into_owned()),
            body,
            websocket: is_websocket(headers, method, version) && body == Body::None,
            closes: is_connection_option(headers, b"close"),
            expects_continue: version != Version::HTTP_10 && expects_continue(headers),
            head_size: headers
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len() + 4)
                .sum(),
            target_size: target.len(),
            lines: lines(headers, version),
        })
    }

    /// What routing looks at.
    pub fn for_routing<'a>(&'a self, headers: &'a HeaderMap) -> routing::Request<'a> {
        routing::Request {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            headers,
        }
    }

    /// Whether it has a body that its method has no use for (RFC 9110 §9.3.1). A worker that does not read it would take
    /// it for the next request on its connection, and the next client would get the answer.
    pub fn has_unusual_body(&self) -> bool {
        let bodiless = [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS];
        self.body != Body::None && bodiless.contains(&self.method)
    }

    /// Whether it can be sent again when a worker closed the connection unanswered: sending it twice has the effect of
    /// sending it once (RFC 9110 §9.2.2), and its body is among the `kept` bytes that are kept of one.
    pub fn is_replayable(&self, kept: usize) -> bool {
        self.method.is_idempotent()
            && match self.body {
                Body::None => true,
                Body::Length(length) => length <= kept as u64,
                // Of unknown length.
                Body::Chunked => false,
            }
    }
}

/// Path and query of a target in origin form or in absolute form; the latter must name the same host as `Host` does.
///
/// # Errors
/// [`BadRequest::Path`] for any other form, [`BadRequest::Host`] for another host.
pub fn origin_form<'a>(target: &'a [u8], host: &[u8]) -> Result<&'a [u8], Cause> {
    if target.starts_with(b"/") {
        return Ok(target);
    }
    let scheme = |name: &[u8]| {
        let (found, rest) = target.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then_some(rest)
    };
    let rest = scheme(b"http://")
        .or_else(|| scheme(b"https://"))
        .ok_or(Cause::BadRequest(BadRequest::Path))?;
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at(end);
    if !authority.eq_ignore_ascii_case(host) {
        return Err(Cause::BadRequest(BadRequest::Host));
    }
    match origin {
        [] => Ok(b"/"),
        [b'/', ..] => Ok(origin),
        // `http://host?query` has an empty path, which origin form cannot write.
        _ => Err(Cause::BadRequest(BadRequest::Path)),
    }
}

fn declared_length(headers: &HeaderMap) -> Result<Option<u64>, Cause> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match (digits.and_then(|text| text.parse().ok()), values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(Cause::BadRequest(BadRequest::Framing)),
    }
}

fn is_websocket(headers: &HeaderMap, method: &Method, version: Version) -> bool {
    method == Method::GET
        && version == Version::HTTP_11
        && has_token(headers.get(UPGRADE), b"websocket")
        && is_connection_option(headers, b"upgrade")
}

fn is_connection_option(headers: &HeaderMap, option: &[u8]) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| has_token(Some(value), option))
}

/// Header lines as HTTP/1.1 would have them: HTTP/2 clients send cookies one by one (RFC 9113 §8.2.3).
fn lines(headers: &HeaderMap, version: Version) -> usize {
    let cookies = match version {
        Version::HTTP_2 => headers.get_all(COOKIE).iter().count(),
        _ => 0,
    };
    headers.len().saturating_sub(cookies.saturating_sub(1))
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn has_token(value: Option<&HeaderValue>, token: &[u8]) -> bool {
    value.is_some_and(|value| {
        let mut tokens = value.as_bytes().split(|&byte| byte == b',');
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_down_to_origin_form() {
        type Case = (&'static [u8], &'static [u8], Result<&'static [u8], Cause>);
        let cases: [Case; 9] = [
            (b"/a?b", b"h", Ok(b"/a?b")),
            (b"http://H:80/a?b", b"h:80", Ok(b"/a?b")),
            (b"HTTPS://h", b"h", Ok(b"/")),
            (b"http://h?q", b"h", Err(Cause::BadRequest(BadRequest::Path))),
            (b"http://other/a", b"h", Err(Cause::BadRequest(BadRequest::Host))),
            (b"http://u@h/a", b"h", Err(Cause::BadRequest(BadRequest::Host))),
            (b"ftp://h/a", b"h", Err(Cause::BadRequest(BadRequest::Path))),
            (b"*", b"h", Err(Cause::BadRequest(BadRequest::Path))),
            (b"h:80", b"h:80", Err(Cause::BadRequest(BadRequest::Path))),
        ];
        for (target, host, expected) in cases {
            let what = String::from_utf8_lossy(target);
            assert_eq!(origin_form(target, host), expected, "{what}");
        }
    }
}
