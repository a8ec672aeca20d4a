//! Connections that a proxy announced: headers of the PROXY protocol as HAProxy's specification has them
//! (proxy-protocol.txt, version 2.8 of 2020).

use std::net::{IpAddr, SocketAddr};

/// A header of version 1, in text: `TCP4` or `TCP6` by the addresses.
pub fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
    .into_bytes()
}

/// A header of version 2 for a TCP connection, with these type-length-value fields.
pub fn v2(source: SocketAddr, destination: SocketAddr, fields: &[u8]) -> Vec<u8> {
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let body = [octets(source), octets(destination), ports, fields.to_vec()].concat();
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    v2_of(0x21, family, &body)
}

/// A header of version 2 with these bytes for version and command, and for family and protocol.
pub fn v2_of(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short header").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, body].concat()
}

/// The field that says that the client came over this version of TLS (PP2_TYPE_SSL).
pub fn tls_field(version: &str) -> Vec<u8> {
    let field = |kind: u8, value: &[u8]| {
        let length = u16::try_from(value.len()).expect("a short value").to_be_bytes();
        [&[kind][..], &length, value].concat()
    };
    // PP2_CLIENT_SSL, no certificate verified, and PP2_SUBTYPE_SSL_VERSION.
    let inner = [&[0x01, 0, 0, 0, 1][..], &field(0x21, version.as_bytes())].concat();
    field(0x20, &inner)
}
