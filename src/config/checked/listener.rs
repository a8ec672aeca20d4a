//! Listeners: where clients come in, how many of them, and TLS.

use std::path::PathBuf;
use std::time::Duration;

use http::header::HeaderValue;

use super::Address;
use crate::pki;

#[derive(Debug, Clone)]
pub struct Listener {
    pub address: Address,
    /// With `tls`: offered by ALPN. Without: accepted with prior knowledge (h2c) beside HTTP/1.1.
    pub http2: bool,
    /// Open client connections; one more is closed at once.
    pub max_connections: usize,
    /// Open connections of one client address (IPv6: of one /64), trusted proxies exempt; not 0. `None`: no limit.
    pub max_connections_per_address: Option<usize>,
    /// From the first byte of a request to the end of its header block.
    pub header_timeout: Duration,
    /// Between two requests on a kept-alive connection, and before the first.
    pub idle_timeout: Duration,
    /// Requests that did not come over TLS are sent to `https` at this port, not 0. `None`: they are served. Never
    /// together with `tls`.
    pub redirect_to_https: Option<u16>,
    /// Each connection begins with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Only on a TCP address. `None`: plain HTTP.
    pub tls: Option<ListenerTls>,
}

/// TLS to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Never empty, each readable and whole when it was checked; the first is the default.
    pub certificates: Vec<pki::Files>,
    pub min_version: TlsVersion,
    /// `None`: certificates are not asked for.
    pub client_auth: Option<ClientAuth>,
    /// From the connection to the end of the handshake.
    pub handshake_timeout: Duration,
    /// Handshakes under way; one more waits for its place. Not 0.
    pub max_handshakes: usize,
    /// `Strict-Transport-Security` (RFC 6797 §6.1), ready to send.
    pub hsts: Option<HeaderValue>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Certificates in PEM of who issues them; an absolute path.
    pub ca: PathBuf,
    /// Lists of revoked certificates; absolute paths.
    pub crl: Vec<PathBuf>,
    pub demand: Demand,
}

/// What becomes of a client without a certificate. One that is not valid is refused in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// It is let in.
    Optional,
    /// It is refused.
    Required,
}
