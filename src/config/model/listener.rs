//! `listeners`: where clients come in, how many of them, and TLS.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::Span;
use super::health::Off;
use super::seconds;
use super::tls::ListenerTls;

/// An address asgate accepts connections on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// `ip:port`, `[v6]:port`, or `unix:/path`.
    ///
    /// `0.0.0.0` is every IPv4 address of the machine, `[::]` every address, IPv4 included. Port 0
    /// lets the system choose one. A relative socket path is relative to the configuration file;
    /// Unix sockets do not exist on Windows.
    #[schemars(extend("x-required" = true, "examples" = ["0.0.0.0:80"]))]
    pub address: Option<String>,

    /// Answer each request that a route takes with 308 and the same URL with `https`, path and query
    /// included. The port is that of the first listener with `tls`, or 443 when there is none or it
    /// has port 0. Requests that came over TLS to a trusted proxy, as its `X-Forwarded-Proto` says,
    /// are served. Not together with `tls`.
    ///
    /// The first request of a client that was told `http` still travels in the clear, cookies
    /// included: see `hsts`.
    pub redirect_to_https: bool,

    /// Each connection begins with a header of the PROXY protocol, version 1 or 2, which says who the
    /// client is; one that does not is closed. Such a header is a claim that anyone can make, so on a
    /// TCP address only peers in `trusted_proxies` get in. Peers on a Unix socket always do.
    ///
    /// A header that names nobody (`UNKNOWN`, an address that is none of TCP) makes a client without an
    /// address: nothing it says of itself is believed, and `allow` does not let it in. With `LOCAL` the
    /// proxy speaks for itself.
    pub proxy_protocol: bool,

    /// Accept HTTP/2 beside HTTP/1.1. With `tls` the client and asgate agree on it in the handshake
    /// (ALPN), and it is on unless this says `false`. Without, it is HTTP/2 with prior knowledge
    /// (h2c), and off unless this says `true`: browsers never speak it, other proxies and gRPC clients
    /// do. Default: whether there is `tls`.
    pub http2: Option<bool>,

    /// Open client connections. One more is closed at once, so that a flood cannot take all file
    /// descriptors. Each takes one, and a request to a worker one more: asgate raises its soft limit of
    /// them to the hard one when it starts. When all listeners together want more than three quarters
    /// of that, each gets its part of these, and a warning says so.
    #[schemars(range(min = 1))]
    pub max_connections: u32,

    /// Open connections from one client address; one more is closed at once. An IPv6 client counts by
    /// its /64, which is what one household has. Addresses in `trusted_proxies` are not counted, for
    /// many clients stand behind them; with `proxy_protocol` the address in its header counts.
    ///
    /// Beware of clients that share an address: an office, a mobile network. A browser opens six
    /// connections of HTTP/1.1.
    pub max_connections_per_address: NumberOrOff,

    /// From the first byte of a request to the end of its header block. A client that is slower is
    /// answered with 408, and over HTTP/2 its connection ends: this is the defence against clients that
    /// send a byte now and then. With `proxy_protocol` that header has as long again, before anything else.
    pub header_timeout: Span,

    /// Between two requests on a kept-alive connection, and before the first.
    pub idle_timeout: Span,

    /// Speak TLS here, on a TCP address. Without this section the listener speaks plain HTTP.
    pub tls: Option<ListenerTls>,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            address: None,
            redirect_to_https: false,
            proxy_protocol: false,
            http2: None,
            max_connections: 10_000,
            max_connections_per_address: NumberOrOff::Off(Off::Off),
            header_timeout: seconds(10),
            idle_timeout: seconds(60),
            tls: None,
        }
    }
}

/// A number that is not zero, or the word `off`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberOrOff {
    Off(Off),
    Number(NonZeroU32),
}
