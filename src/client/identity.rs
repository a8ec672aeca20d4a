//! From peer, headers and connection to what the worker is told about the client.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::chain::{Chain, Origin};
use super::peer::{Peer, TrustedProxies};
use super::strip::Sender;
use crate::routing::host;

#[cfg(test)]
mod tests;

pub static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub static X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub static X_CLIENT_CERT_SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
pub static X_CLIENT_CERT_FINGERPRINT: HeaderName =
    HeaderName::from_static("x-client-cert-fingerprint");

/// The longest request id that is taken over from a trusted peer, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// How the client reached the first hop. A WebSocket is known by its HTTP scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// What is known about every request of a connection.
#[derive(Debug, Clone)]
pub struct Facts {
    scheme: Scheme,
    port: HeaderValue,
    certificate: Option<Certificate>,
}

/// Whom the certificate that a client showed belongs to. It was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The distinguished name in the form of RFC 4514.
    pub subject: HeaderValue,
    /// SHA-256 of the whole certificate, in lower-case hex.
    pub fingerprint: HeaderValue,
}

/// Who sent a request, and what the worker is told about it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The client's address; `None` behind a Unix socket. An IPv4-mapped IPv6 address is IPv4 here.
    pub ip: Option<IpAddr>,
    /// The client's port; known only when the client is the peer.
    pub port: Option<u16>,
    pub scheme: Scheme,
    /// Whether the peer is a trusted proxy, see [`super::strip::keep`].
    pub from_trusted: bool,
    /// The headers that trusted proxies may send and nobody else.
    pub reserved: Arc<[HeaderName]>,
    /// `X-Forwarded-For`: bare addresses, the client first, the peer last; `None` behind a Unix socket.
    pub forwarded_for: Option<HeaderValue>,
    /// `X-Forwarded-Host`: the host, with its port where the client named one; `None` when the
    /// request named no host.
    pub forwarded_host: Option<HeaderValue>,
    /// `X-Forwarded-Port`: the port that the client connected to.
    pub forwarded_port: HeaderValue,
    /// `X-Request-Id`: visible ASCII, at most 128 bytes.
    pub request_id: HeaderValue,
    /// `X-Client-Cert-Subject` and `X-Client-Cert-Fingerprint`: of the certificate that the peer showed.
    pub certificate: Option<Certificate>,
}

/// Decides who the client is.
///
/// `Host` must have been checked before ([`host::parse`]), and `:authority` put there for HTTP/2.
/// Of an untrusted peer nothing but `Host` is read. Of a trusted one, each of these is taken where
/// it is valid on a single line, and replaced by what we see ourselves where it is not:
/// `X-Forwarded-Proto` (one of http, https, ws, wss), `X-Forwarded-Host`, `X-Forwarded-Port`,
/// `X-Request-Id`. `X-Forwarded-For` may have many lines; the client is the first hop, seen from
/// here, that is not trusted, or the farthest when all are; what stands left of it is dropped.
///
/// `new_id` makes a request id (a UUIDv7) when the peer gave none to keep.
pub fn identify(
    peer: &Peer,
    headers: &HeaderMap,
    trusted: &TrustedProxies,
    connection: &Facts,
    new_id: impl FnOnce() -> Uuid,
) -> Identity {
    if peer.ip().is_some_and(|ip| trusted.contains(ip)) {
        return behind_proxy(peer, headers, trusted, connection, new_id);
    }
    Identity {
        ip: peer.ip(),
        port: peer.port(),
        scheme: connection.scheme,
        from_trusted: false,
        reserved: Arc::clone(trusted.headers()),
        forwarded_for: peer.text().cloned(),
        forwarded_host: headers.get(HOST).cloned(),
        forwarded_port: connection.port.clone(),
        request_id: id_value(new_id()),
        certificate: connection.certificate.clone(),
    }
}

fn behind_proxy(
    peer: &Peer,
    headers: &HeaderMap,
    trusted: &TrustedProxies,
    connection: &Facts,
    new_id: impl FnOnce() -> Uuid,
) -> Identity {
    let chain = Chain::read(headers, trusted);
    let (ip, own_port) = match chain.origin() {
        Origin::Peer => (peer.ip(), peer.port()),
        Origin::Hop(client) => (Some(client), None),
        Origin::Hidden => (None, None),
    };
    let scheme = single(headers, &X_FORWARDED_PROTO).and_then(Scheme::parse);
    let named = single(headers, &X_FORWARDED_HOST)
        .and_then(|value| Some((value, host::parse(value.as_bytes()).ok()?)));
    // The proxy's own account of the port goes first; knowing the scheme alone, it is that of the
    // scheme.
    let port = single(headers, &X_FORWARDED_PORT)
        .filter(|value| is_port(value))
        .cloned()
        .or_else(|| named.as_ref().and_then(|(_, host)| host.port).map(HeaderValue::from))
        .or_else(|| scheme.map(Scheme::default_port));
    Identity {
        ip,
        port: own_port,
        scheme: scheme.unwrap_or(connection.scheme),
        from_trusted: true,
        reserved: Arc::clone(trusted.headers()),
        forwarded_for: chain.extended_by(peer),
        forwarded_host: named.map(|(value, _)| value).or_else(|| headers.get(HOST)).cloned(),
        forwarded_port: port.unwrap_or_else(|| connection.port.clone()),
        request_id: single(headers, &X_REQUEST_ID)
            .filter(|value| is_request_id(value))
            .cloned()
            .unwrap_or_else(|| id_value(new_id())),
        certificate: connection.certificate.clone(),
    }
}

/// The value of a header that is there on one line only.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn is_port(value: &HeaderValue) -> bool {
    let digits = value.as_bytes();
    let number = || str::from_utf8(digits).ok()?.parse::<u16>().ok();
    digits.iter().all(u8::is_ascii_digit) && number().is_some_and(|port| port > 0)
}

fn is_request_id(value: &HeaderValue) -> bool {
    let id = value.as_bytes();
    (1..=MAX_REQUEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

fn id_value(id: Uuid) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    // Hex digits and hyphens are always a legal value.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer))
        .unwrap_or(HeaderValue::from_static(""))
}

// === impl Scheme ===

impl Scheme {
    /// As in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn parse(value: &HeaderValue) -> Option<Self> {
        let is = |name: &[u8]| value.as_bytes().eq_ignore_ascii_case(name);
        if is(b"https") || is(b"wss") {
            Some(Self::Https)
        } else if is(b"http") || is(b"ws") {
            Some(Self::Http)
        } else {
            None
        }
    }

    fn default_port(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Http => "80",
            Self::Https => "443",
        })
    }
}

// === impl Facts ===

impl Facts {
    /// `port` is what the client connected to; a Unix socket has none and counts as the default port
    /// of `scheme`.
    pub fn new(scheme: Scheme, port: Option<u16>) -> Self {
        let port = port.map_or_else(|| scheme.default_port(), HeaderValue::from);
        Self { scheme, port, certificate: None }
    }

    /// By which the client came.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The same of a client that showed this certificate.
    #[must_use]
    pub fn certified(self, certificate: Option<Certificate>) -> Self {
        Self { certificate, ..self }
    }
}

// === impl Identity ===

impl Identity {
    /// The headers that the worker gets, each on one line, after [`super::strip::keep`] took away
    /// what the client sent under these names.
    pub fn headers(&self) -> impl Iterator<Item = (&'static HeaderName, HeaderValue)> {
        let scheme = HeaderValue::from_static(self.scheme.as_str());
        let certificate = self.certificate.as_ref();
        [
            (&X_FORWARDED_FOR, self.forwarded_for.clone()),
            (&X_FORWARDED_PROTO, Some(scheme)),
            (&X_FORWARDED_HOST, self.forwarded_host.clone()),
            (&X_FORWARDED_PORT, Some(self.forwarded_port.clone())),
            (&X_REQUEST_ID, Some(self.request_id.clone())),
            (&X_CLIENT_CERT_SUBJECT, certificate.map(|shown| shown.subject.clone())),
            (&X_CLIENT_CERT_FINGERPRINT, certificate.map(|shown| shown.fingerprint.clone())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// For [`super::strip::keep`].
    pub fn sender(&self) -> Sender<'_> {
        Sender {
            is_trusted: self.from_trusted,
            is_certified: self.certificate.is_some(),
            reserved: &self.reserved,
        }
    }

    /// Whether a header of the request says nothing else of its client than we do. A proxy that writes `X-Forwarded-For`
    /// may well pass on the `X-Real-IP` that its client made up.
    pub fn agrees_with(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        if name != "x-real-ip" {
            return true;
        }
        let said = value.to_str().ok().and_then(|said| said.parse::<IpAddr>().ok());
        said.is_some_and(|said| Some(said.to_canonical()) == self.ip)
    }

    /// [`Identity::request_id`] as text.
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}
