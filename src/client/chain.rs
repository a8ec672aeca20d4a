//! The `X-Forwarded-For` chain of a trusted peer.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};

use super::identity::X_FORWARDED_FOR;
use super::peer::{Peer, TrustedProxies};

/// The hops before the peer, from the client to ours. Each was added by the one right of it.
///
/// It begins with the client: what stands left of the first hop that is not trusted is what that hop claimed, and a
/// server that trusts all hops, as Uvicorn does with `--forwarded-allow-ips *`, would take it for the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain(Vec<IpAddr>);

impl Chain {
    /// Reads all lines in their order. Ports and brackets are dropped, empty elements skipped (RFC
    /// 9110 §5.6.1.2). An entry that is no address ends what is known about the way: it and
    /// everything left of it are dropped. Linear.
    pub(super) fn read(headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let lines = headers.get_all(&X_FORWARDED_FOR).into_iter();
        let entries = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let mut hops = Vec::new();
        for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
            match address(entry) {
                Some(ip) => hops.push(ip),
                None => hops.clear(),
            }
        }
        if let Some(client) = hops.iter().rposition(|hop| !trusted.contains(*hop)) {
            hops.drain(..client);
        }
        Self(hops)
    }

    /// The first untrusted hop seen from here; the farthest one when all are trusted; `None` when
    /// there are none.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.0.first().copied()
    }

    /// The chain with the peer as its last hop, as one header value.
    pub(super) fn extended_by(&self, peer: &Peer) -> Option<HeaderValue> {
        let ip = peer.ip()?;
        if self.0.is_empty() {
            return peer.text().cloned();
        }
        let mut text = String::with_capacity((self.0.len() + 1) * 17);
        for hop in &self.0 {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{hop}, ");
        }
        let _ = write!(text, "{ip}");
        HeaderValue::try_from(text).ok()
    }
}

/// One hop, written as `ip`, `ip:port`, `[v6]` or `[v6]:port`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?;
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let ip = entry.parse().ok().or_else(with_port).or_else(bracketed)?;
    Some(ip.to_canonical())
}
