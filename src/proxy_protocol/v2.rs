//! The binary header (§2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Fault, Header, Progress, Speaker, tlv};

pub const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

/// The most that may follow. Addresses take 216 bytes at most; the rest is for certificates' names and the like.
const LONGEST: usize = 4096;

/// Two paths of 108 bytes.
const UNIX_ADDRESSES: usize = 216;

/// What follows the fixed part.
#[derive(Clone, Copy)]
enum Content {
    /// To be left out, because the proxy speaks for itself.
    Local,
    /// To be left out, because nothing is known of the client.
    Anything,
    Inet,
    Inet6,
    Unix,
}

/// Reads what begins as a binary header.
pub fn read(bytes: &[u8]) -> Result<Progress, Fault> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::Need(FIXED.saturating_sub(bytes.len())));
    };
    let [.., command, family, high, low] = *fixed;
    let content = content(command, family)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST || length < content.shortest() {
        return Err(Fault::Length);
    }
    match length.checked_sub(rest.len()) {
        Some(0) => header(content, bytes, rest).map(Progress::Done),
        Some(lacking) => Ok(Progress::Need(lacking)),
        None => Err(Fault::Length),
    }
}

/// What the bytes for version, command, family and transport announce.
fn content(command: u8, family: u8) -> Result<Content, Fault> {
    match (command >> 4, command & 0xf) {
        // LOCAL: "discard the protocol block including the family which is ignored".
        (2, 0) => return Ok(Content::Local),
        (2, 1) => {}
        (2, _) => return Err(Fault::Command),
        _ => return Err(Fault::Version),
    }
    match (family >> 4, family & 0xf) {
        (0..=3, 2) => Err(Fault::Datagram),
        (0..=3, 0) | (0, 1) => Ok(Content::Anything),
        (1, 1) => Ok(Content::Inet),
        (2, 1) => Ok(Content::Inet6),
        (3, 1) => Ok(Content::Unix),
        _ => Err(Fault::Family),
    }
}

impl Content {
    fn shortest(self) -> usize {
        match self {
            Self::Local | Self::Anything => 0,
            Self::Inet => 2 * (4 + 2),
            Self::Inet6 => 2 * (16 + 2),
            Self::Unix => UNIX_ADDRESSES,
        }
    }
}

/// Reads `rest`, the whole of what follows the fixed part of `all`.
fn header(content: Content, all: &[u8], rest: &[u8]) -> Result<Header, Fault> {
    let (addresses, extra) = match content {
        Content::Local => return Ok(Header { speaker: Speaker::Proxy, ..Header::default() }),
        Content::Anything => return Ok(Header::default()),
        Content::Inet => addresses::<4, Ipv4Addr>(rest)?,
        Content::Inet6 => addresses::<16, Ipv6Addr>(rest)?,
        Content::Unix => {
            let (_, extra) = rest.split_at_checked(UNIX_ADDRESSES).ok_or(Fault::Length)?;
            (None, extra)
        }
    };
    let (source, destination) = addresses.unzip();
    Ok(Header { source, destination, tls: tlv::read(all, extra)?, ..Header::default() })
}

/// Source and destination, and what comes after them.
type Addresses<'a> = (Option<(SocketAddr, SocketAddr)>, &'a [u8]);

/// Two addresses of `N` bytes and two ports.
fn addresses<const N: usize, A>(bytes: &[u8]) -> Result<Addresses<'_>, Fault>
where
    A: From<[u8; N]> + Into<IpAddr>,
{
    let (source, bytes) = bytes.split_first_chunk::<N>().ok_or(Fault::Length)?;
    let (destination, bytes) = bytes.split_first_chunk::<N>().ok_or(Fault::Length)?;
    let (source_port, bytes) = bytes.split_first_chunk().ok_or(Fault::Length)?;
    let (destination_port, rest) = bytes.split_first_chunk().ok_or(Fault::Length)?;
    let socket = |address: &[u8; N], port: &[u8; 2]| {
        SocketAddr::new(A::from(*address).into(), u16::from_be_bytes(*port))
    };
    Ok((Some((socket(source, source_port), socket(destination, destination_port))), rest))
}
