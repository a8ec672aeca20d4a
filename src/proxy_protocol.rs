//! The PROXY protocol, versions 1 and 2 (HAProxy's `doc/proxy-protocol.txt`): who is at the other end of a proxy.
//!
//! [`read`] takes what has come of a header and says how many bytes to wait for, never beyond its end: the next byte
//! may belong to a TLS handshake that somebody else reads. It refuses whatever the text of the protocol does not
//! allow, because a header that two servers read differently is a way to forge an address.
//!
//! Own code, because that is what the crates for it do not offer: neither `ppp` nor `proxy-header` says how much of
//! a text header may still be read, `proxy-header` takes ports such as `+80` and `080`, and neither checks the
//! checksum as it reads.
//!
//! Pure. Must not know a socket, or decide whether a peer may send a header: that is `listener`'s.

use std::net::SocketAddr;

mod crc32c;
mod tlv;
mod v1;
mod v2;

/// What has been found out about a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// At least so many bytes more belong to the header; never 0. To be asked again with these behind the others.
    Need(usize),
    /// The bytes are the header, all of it and nothing else.
    Done(Header),
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speaker {
    /// The proxy's own (LOCAL), a health check perhaps: its own addresses count.
    Proxy,
    /// A client's, also when its address is none of TCP (UNKNOWN, `AF_UNSPEC`, `AF_UNIX`).
    #[default]
    Client,
}

/// What a header says. No addresses are in it when the peer speaks for itself, or for somebody whose address is none of
/// TCP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    pub speaker: Speaker,
    /// The client.
    pub source: Option<SocketAddr>,
    /// What the client connected to.
    pub destination: Option<SocketAddr>,
    /// Present if the client spoke TLS with the proxy. `AF_UNIX` may have it too.
    pub tls: Option<ProxiedTls>,
}

/// What the proxy tells of the client's TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxiedTls {
    /// As in `1.3`; what the proxy calls it if that is not of the form `TLSv1.3`. Printable ASCII, at most 32 bytes.
    pub version: Option<String>,
}

/// Why a header is refused. The connection is to be closed; there is nobody to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first bytes are of neither version (§2.2).
    #[error("its first bytes are none")]
    Signature,
    /// A text header that is not `PROXY TCP4|TCP6 source destination port port`, or too long (§2.1).
    #[error("malformed line")]
    Line,
    /// An address that is not of the family announced (§2.1).
    #[error("malformed address")]
    Address,
    /// A port that is no number up to 65535, or begins with a zero (§2.1).
    #[error("malformed port")]
    Port,
    /// A binary header of a version other than 2 (§2.2).
    #[error("unsupported version")]
    Version,
    /// A command other than LOCAL and PROXY (§2.2).
    #[error("unknown command")]
    Command,
    /// An address family or a transport that is not defined (§2.2).
    #[error("unknown address family or transport")]
    Family,
    /// UDP and other datagrams, which have no connection to relay (§2.2).
    #[error("datagrams cannot be relayed over a connection")]
    Datagram,
    /// Too short for its addresses, longer than anybody needs, or not that of the bytes.
    #[error("wrong length")]
    Length,
    /// Extra fields that do not add up or are there twice (§2.2).
    #[error("malformed extra field")]
    Tlv,
    /// The checksum is that of other bytes (§2.2.3).
    #[error("wrong checksum")]
    Checksum,
}

/// Reads `bytes`, the first that came on a connection. With none it says how many the shortest header has.
///
/// # Errors
/// [`Fault`] as soon as the bytes cannot become a header any more.
pub fn read(bytes: &[u8]) -> Result<Progress, Fault> {
    if begins(bytes, v1::SIGNATURE) {
        v1::read(bytes)
    } else if begins(bytes, v2::SIGNATURE) {
        v2::read(bytes)
    } else {
        Err(Fault::Signature)
    }
}

/// Whether `bytes` begin with `signature`, as far as they go.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

#[cfg(test)]
mod tests;
