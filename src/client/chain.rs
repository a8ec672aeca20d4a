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
pub(super) struct Chain {
    hops: Vec<IpAddr>,
    /// The first hop that is not trusted has no address that its successor knew, or told.
    is_hidden: bool,
}

/// Who a chain says the client is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// There is no chain: the client is the peer.
    Peer,
    Hop(IpAddr),
    /// Nobody knows. It is certainly not one of the proxies behind it, whose address may open doors.
    Hidden,
}

impl Chain {
    /// Reads all lines in their order. Ports and brackets are dropped, empty elements skipped (RFC
    /// 9110 §5.6.1.2). An entry that is no address ends what is known about the way: it and
    /// everything left of it are dropped. Linear.
    pub(super) fn read(headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let lines = headers.get_all(&X_FORWARDED_FOR).into_iter();
        let entries = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let (mut hops, mut is_cut) = (Vec::new(), false);
        for entry in entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
            match address(entry) {
                Some(ip) => hops.push(ip),
                None => {
                    hops.clear();
                    is_cut = true;
                }
            }
        }
        let client = hops.iter().rposition(|hop| !trusted.contains(*hop));
        hops.drain(..client.unwrap_or_default());
        Self { hops, is_hidden: is_cut && client.is_none() }
    }

    /// The first untrusted hop seen from here; the farthest one when all are trusted.
    pub(super) fn origin(&self) -> Origin {
        match self.hops.first() {
            _ if self.is_hidden => Origin::Hidden,
            Some(client) => Origin::Hop(*client),
            None => Origin::Peer,
        }
    }

    /// The chain with the peer as its last hop, as one header value; `None` when it would not begin with the client.
    pub(super) fn extended_by(&self, peer: &Peer) -> Option<HeaderValue> {
        let ip = peer.ip().filter(|_| !self.is_hidden)?;
        if self.hops.is_empty() {
            return peer.text().cloned();
        }
        let mut text = String::with_capacity((self.hops.len() + 1) * 17);
        for hop in &self.hops {
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
