//! Addresses: `ip:port`, `[v6]:port`, `unix:/path`, and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::super::checked::Address;
use super::super::pending;
use super::super::problem::quoted;
use super::text::is_host_name;

/// Whether the system and its runtime have Unix sockets.
const HAS_UNIX_SOCKETS: bool = cfg!(unix);

/// Longest path that fits `sun_path` (unix(7): 108 bytes with the closing NUL).
const LONGEST_SOCKET_PATH: usize = 107;

/// What an address looks like.
pub const ALLOWED: &str =
    if HAS_UNIX_SOCKETS { "ip:port, [v6]:port or unix:/path" } else { "ip:port or [v6]:port" };

/// What is to be connected to, or listened on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Port 0 lets the system choose.
    Listen,
    Connect,
}

/// An address, or what is wrong and what is allowed.
pub fn parse(text: &str, base: &Path, used_to: Use) -> Result<Address, (String, String)> {
    let wrong = |what: &str| (what.to_owned(), ALLOWED.to_owned());
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path, base);
    }
    let address = match text.parse::<SocketAddr>() {
        // An IPv4 client in IPv6 clothes would be compared with nothing else.
        Ok(address) => SocketAddr::new(address.ip().to_canonical(), address.port()),
        Err(_) if used_to == Use::Connect && is_name_and_port(text) => {
            return Err((format!("host names are {}", pending::WHAT), ALLOWED.to_owned()));
        }
        Err(_) => return Err(wrong("is not an address")),
    };
    if used_to == Use::Connect {
        if address.port() == 0 {
            return Err(("has port 0".to_owned(), "a port from 1 to 65535".to_owned()));
        }
        if address.ip().is_unspecified() {
            let allowed = "the address of one machine, such as 127.0.0.1".to_owned();
            return Err(("is every address and none to connect to".to_owned(), allowed));
        }
    }
    Ok(Address::Tcp(address))
}

impl Address {
    /// Reads an address to connect to from the command line. A relative path is relative to the current directory.
    ///
    /// # Errors
    /// `what is wrong (got X, allowed Y)`.
    pub fn to_connect(text: &str) -> Result<Self, String> {
        let here = std::path::absolute(".").unwrap_or_default();
        parse(text, &here, Use::Connect)
            .map_err(|(what, allowed)| format!("{what} (got {}, allowed {allowed})", quoted(text)))
    }
}

/// Whether the two cannot be listened on at the same time.
pub fn overlap(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Unix(a), Address::Unix(b)) => a == b,
        (Address::Tcp(a), Address::Tcp(b)) => {
            a.port() == b.port()
                && a.port() != 0
                && (covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
        }
        _ => false,
    }
}

/// An address, or a network without host bits.
pub fn network(text: &str) -> Result<IpNet, (String, String)> {
    const NETWORK: &str = "an address such as 192.0.2.7 or a network such as 10.0.0.0/8";
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet =
        text.parse().map_err(|_| ("is not a network".to_owned(), NETWORK.to_owned()))?;
    if network != network.trunc() {
        let meant =
            format!("{} for the network, {} for the address", network.trunc(), network.addr());
        return Err(("has bits set beyond its prefix".to_owned(), meant));
    }
    Ok(canonical(network))
}

/// Peers are compared as IPv4 when they are IPv4, so networks must be too.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(MAPPED_BITS)) {
        (address @ IpAddr::V4(_), Some(bits)) if network.addr().is_ipv6() => {
            IpNet::new(address, bits).unwrap_or(network)
        }
        _ => network,
    }
}

/// Whether a socket bound to `wide` takes what one bound to `narrow` would. `[::]` takes IPv4 too.
fn covers(wide: IpAddr, narrow: IpAddr) -> bool {
    match wide {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => narrow.is_ipv4(),
        _ => wide == narrow,
    }
}

fn unix(path: &str, base: &Path) -> Result<Address, (String, String)> {
    let wrong = |what: &str, allowed: &str| Err((what.to_owned(), allowed.to_owned()));
    if !HAS_UNIX_SOCKETS {
        return wrong("is a Unix socket, which Windows does not have", ALLOWED);
    }
    if path.is_empty() {
        return wrong("has no path", ALLOWED);
    }
    let path: PathBuf = base.join(path).components().collect();
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        let allowed = format!("at most {LONGEST_SOCKET_PATH} bytes, made absolute");
        return wrong("is too long a path for a socket", &allowed);
    }
    Ok(Address::Unix(path))
}

/// `name:port`, to tell a host name from a slip.
fn is_name_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        is_host_name(host)
            && host.contains(|c: char| c.is_ascii_alphabetic())
            && port.parse::<u16>().is_ok()
    })
}
