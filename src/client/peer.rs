//! The neighbour on the other end of a connection, and which neighbours are believed.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

/// The peer of one connection. Made once when it is accepted, so that its address is put into text
/// once.
#[derive(Debug, Clone)]
pub struct Peer {
    address: Option<SocketAddr>,
    text: Option<HeaderValue>,
}

impl Peer {
    /// A TCP peer. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn tcp(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        Self {
            address: Some(SocketAddr::new(ip, address.port())),
            text: HeaderValue::try_from(ip.to_string()).ok(),
        }
    }

    /// A peer without an address, as on a Unix socket: it is never trusted.
    pub fn nameless() -> Self {
        Self { address: None, text: None }
    }

    /// `None` for a Unix-socket peer.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip())
    }

    /// `None` for a Unix-socket peer.
    pub fn port(&self) -> Option<u16> {
        self.address.map(|address| address.port())
    }

    /// The address without port and brackets, as a header carries it.
    pub(super) fn text(&self) -> Option<&HeaderValue> {
        self.text.as_ref()
    }
}

/// `ip:port`, or `unknown`.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("unknown"),
        }
    }
}

/// What is counted as one client: an IPv4 address, or a /64 of IPv6, which is what a household gets and can choose
/// addresses from at will. An IPv4-mapped IPv6 address is IPv4.
pub fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

/// The peers whose `X-Forwarded-*` and `X-Request-Id` are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    headers: Arc<[HeaderName]>,
}

impl TrustedProxies {
    pub fn new(networks: &[IpNet]) -> Self {
        Self { networks: networks.to_vec(), headers: Arc::default() }
    }

    /// The same, of whom these headers come and of nobody else.
    pub fn with_headers(self, headers: &[HeaderName]) -> Self {
        Self { headers: headers.into(), ..self }
    }

    /// The headers that only they may send.
    pub(super) fn headers(&self) -> &Arc<[HeaderName]> {
        &self.headers
    }

    /// Whether `ip` is one of them. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }
}
