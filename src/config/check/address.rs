//! Addresses: `ip:port`, `[v6]:port`, `name:port`, `unix:/path`, and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::super::checked::{Address, ServerAddress};
use super::super::problem::quoted;
use super::text::is_dns_name;

/// Whether the system and its runtime have Unix sockets.
const HAS_UNIX_SOCKETS: bool = cfg!(unix);

/// Longest path that fits `sun_path` (unix(7): 108 bytes with the closing NUL).
const LONGEST_SOCKET_PATH: usize = 107;

/// What the address of a fixed worker looks like.
pub const SERVER: &str = Use::Server.allowed();

/// The port of name servers (RFC 1035 §4.2).
const DNS: u16 = 53;

/// What an address is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Port 0 lets the system choose.
    Listen,
    Connect,
    /// To connect to a worker, of which the name may be given instead.
    Server,
}

impl Use {
    /// What an address looks like.
    const fn allowed(self) -> &'static str {
        match (self, HAS_UNIX_SOCKETS) {
            (Self::Listen | Self::Connect, true) => "ip:port, [v6]:port or unix:/path",
            (Self::Listen | Self::Connect, false) => "ip:port or [v6]:port",
            (Self::Server, true) => "ip:port, [v6]:port, name:port or unix:/path",
            (Self::Server, false) => "ip:port, [v6]:port or name:port",
        }
    }
}

/// An address, or what is wrong and what is allowed.
pub fn parse(text: &str, base: &Path, used_to: Use) -> Result<Address, (String, String)> {
    let allowed = used_to.allowed();
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path, base, allowed);
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(("is not an address".to_owned(), allowed.to_owned()));
    };
    // An IPv4 client in IPv6 clothes would be compared with nothing else.
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    match used_to {
        Use::Listen => Ok(Address::Tcp(address)),
        Use::Connect | Use::Server => one_machine(address).map(Address::Tcp),
    }
}

/// The address of a fixed worker, or of several behind one name.
pub fn server(text: &str, base: &Path) -> Result<ServerAddress, (String, String)> {
    match name_and_port(text) {
        Some((host, port)) => Ok(ServerAddress::Name { host: host.to_owned(), port: real(port)? }),
        None => parse(text, base, Use::Server).map(ServerAddress::Known),
    }
}

/// The address of a name server: that of the machine is enough.
pub fn name_server(text: &str) -> Result<SocketAddr, (String, String)> {
    let address = match text.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, DNS)),
        Err(_) => text.parse(),
    };
    match address {
        Ok(address) => one_machine(address),
        Err(_) => Err(("is not an address".to_owned(), "ip, ip:port or [v6]:port".to_owned())),
    }
}

/// Something that can be connected to.
fn one_machine(address: SocketAddr) -> Result<SocketAddr, (String, String)> {
    real(address.port())?;
    if address.ip().is_unspecified() {
        let allowed = "the address of one machine, such as 127.0.0.1".to_owned();
        return Err(("is every address and none to connect to".to_owned(), allowed));
    }
    Ok(address)
}

/// A port that something can listen on.
fn real(port: u16) -> Result<u16, (String, String)> {
    match port {
        0 => Err(("has port 0".to_owned(), "a port from 1 to 65535".to_owned())),
        port => Ok(port),
    }
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

fn unix(path: &str, base: &Path, forms: &str) -> Result<Address, (String, String)> {
    let wrong = |what: &str, allowed: &str| Err((what.to_owned(), allowed.to_owned()));
    if !HAS_UNIX_SOCKETS {
        return wrong("is a Unix socket, which Windows does not have", forms);
    }
    if path.is_empty() {
        return wrong("has no path", forms);
    }
    let path: PathBuf = base.join(path).components().collect();
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        let allowed = format!("at most {LONGEST_SOCKET_PATH} bytes, made absolute");
        return wrong("is too long a path for a socket", &allowed);
    }
    Ok(Address::Unix(path))
}

/// `name:port`; `None` when it is something else, a mistyped IP address too.
fn name_and_port(text: &str) -> Option<(&str, u16)> {
    // `unix:80` is a socket.
    let (host, port) = text.rsplit_once(':').filter(|(host, _)| *host != "unix")?;
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_number)?;
    let name = host.strip_suffix('.').unwrap_or(host);
    is_dns_name(name).then_some((host, port))
}
