//! The request head that a worker gets.

use bytes::{BufMut, Bytes, BytesMut};
use http::Version;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue};

use crate::client::Identity;
use crate::client::strip::{self, Nominated};
use crate::config::Address;
use crate::outcome::{BadRequest, Cause};
use crate::upstream::Location;

use super::exchange::Changes;
use super::request::{Body, Request};

/// Room for a head, so that most need one allocation.
const USUAL_HEAD: usize = 1024;

/// Where the request goes and under which name.
pub struct Target<'a> {
    /// After rewriting; begins with `/`.
    pub path: &'a str,
    pub location: &'a Location,
    pub preserve_host: bool,
    pub persistence: Persistence,
}

/// What the worker is to do with the connection after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    KeepAlive,
    Close,
}

/// Writes the head: what the client sent less what only concerned its connection or pretended to be ours, changed as
/// its route says, then what the edge says of the client.
///
/// # Errors
/// [`BadRequest::Header`] when `Connection` takes away what is not the connection's.
pub fn request_head(
    request: &Request,
    headers: &HeaderMap,
    identity: &Identity,
    target: &Target<'_>,
    changes: &Changes<'_>,
) -> Result<Bytes, Cause> {
    let nominated = Nominated::read(headers).map_err(|_| Cause::BadRequest(BadRequest::Header))?;
    let mut head = BytesMut::with_capacity(USUAL_HEAD);
    head.put_slice(request.method.as_str().as_bytes());
    head.put_u8(b' ');
    head.put_slice(target.path.as_bytes());
    if let Some(query) = &request.query {
        head.put_u8(b'?');
        head.put_slice(query.as_bytes());
    }
    head.put_slice(b" HTTP/1.1\r\n");
    put(&mut head, "host", host(headers, target).as_bytes());
    for (name, value) in headers {
        if is_passed_on(name, request)
            && strip::keep(name, identity.sender())
            && identity.agrees_with(name, value)
            && !nominated.contains(name)
            && !changes.drops(name)
        {
            put(&mut head, name.as_str(), value.as_bytes());
        }
    }
    if !changes.drops(&COOKIE) {
        put_cookies(&mut head, headers, request.version);
    }
    for (name, value) in changes.added() {
        put(&mut head, name.as_str(), value.as_bytes());
    }
    for (name, value) in identity.headers() {
        put(&mut head, name.as_str(), value.as_bytes());
    }
    match request.body {
        Body::None if has_empty_body(request, headers) => put(&mut head, "content-length", b"0"),
        Body::None => {}
        Body::Length(length) => {
            put(&mut head, "content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        Body::Chunked => put(&mut head, "transfer-encoding", b"chunked"),
    }
    if request.websocket {
        put(&mut head, "connection", b"Upgrade");
        put(&mut head, "upgrade", b"websocket");
    } else if target.persistence == Persistence::Close {
        put(&mut head, "connection", b"close");
    }
    head.put_slice(b"\r\n");
    Ok(head.freeze())
}

/// Whether a length of zero must be said (RFC 9110 §8.6): by methods for which a body has a meaning.
fn has_empty_body(request: &Request, headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH)
        || request.method == http::Method::POST
        || request.method == http::Method::PUT
        || request.method == http::Method::PATCH
}

/// Whether a header goes as it is; the others are written by themselves or not at all.
fn is_passed_on(name: &HeaderName, request: &Request) -> bool {
    let crumbled = name == COOKIE && request.version == Version::HTTP_2;
    let answered = name == EXPECT && !request.expects_continue;
    !(name == HOST || name == CONTENT_LENGTH || crumbled || answered)
}

/// HTTP/2 clients send cookies one by one; HTTP/1.1 has one line for all (RFC 9113 §8.2.3).
fn put_cookies(head: &mut BytesMut, headers: &HeaderMap, version: Version) {
    if version == Version::HTTP_2 && headers.contains_key(COOKIE) {
        let crumbs: Vec<&[u8]> =
            headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        put(head, COOKIE.as_str(), &crumbs.join(&b"; "[..]));
    }
}

fn host(headers: &HeaderMap, target: &Target<'_>) -> String {
    let named = headers.get(HOST).filter(|_| target.preserve_host);
    if let Some(host) = named.and_then(|host| host.to_str().ok()) {
        return host.to_owned();
    }
    match (&target.location.host, &target.location.address) {
        (Some(host), Address::Tcp(address)) => format!("{host}:{}", address.port()),
        (None, Address::Tcp(address)) => address.to_string(),
        (_, Address::Unix(_)) => "localhost".to_owned(),
    }
}

fn put(head: &mut BytesMut, name: &str, value: &[u8]) {
    head.reserve(name.len() + value.len() + 4);
    head.put_slice(name.as_bytes());
    head.put_slice(b": ");
    head.put_slice(value);
    head.put_slice(b"\r\n");
}
