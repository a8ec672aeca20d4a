//! What the system's table of listening sockets says about an address. How the table is read is the platform's; no
//! connection is opened for it, so it may be asked as often as one likes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Who listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listening {
    /// A process of the worker's group.
    Ours,
    /// Somebody, and nobody of the worker's group.
    Foreign,
    /// Nobody.
    Absent,
    /// The system does not say whether, or not who.
    Unknown,
}

/// Whether a socket that listens at `listener` gets the connections to `address`: the same port, and the same address
/// or a wildcard. `::` counts for IPv4 too: the tables do not tell whether it is `IPV6_V6ONLY` (ipv6(7)).
pub(super) fn covers(listener: SocketAddr, address: SocketAddr) -> bool {
    if listener.port() != address.port() {
        return false;
    }
    let (at, to) = (listener.ip().to_canonical(), address.ip().to_canonical());
    match at {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => to.is_ipv4(),
        IpAddr::V6(at) if at.is_unspecified() => true,
        IpAddr::V4(_) | IpAddr::V6(_) => at == to,
    }
}

#[cfg(test)]
mod tests;
