//! PROXY protocol headers: read to their last byte and not a byte further, however they come.

use std::net::SocketAddr;

use asgate::proxy_protocol::{Header, Progress, read};

use super::shown;

/// Prefixes that are tried; a header with more bytes than that has only fields left out behind them.
const PREFIXES: usize = 512;

/// `input` begins with a header, or not.
pub fn check(input: &[u8]) {
    let Some((length, header)) = read_exactly(input) else { return };
    let bytes = &input[..length];
    for cut in (0..length).take(PREFIXES) {
        match read(&bytes[..cut]) {
            Ok(Progress::Need(more)) => {
                assert!(more > 0 && cut + more <= length, "{more} after {cut} of {}", shown(bytes));
            }
            other => panic!("{other:?} after {cut} bytes of {}", shown(bytes)),
        }
    }
    assert_eq!(header.source.is_some(), header.destination.is_some(), "one address of two");
    if let Some(version) = header.tls.as_ref().and_then(|tls| tls.version.as_ref()) {
        assert!(version.len() <= 32 && version.bytes().all(|b| b.is_ascii_graphic()), "{version}");
    }
    let (Some(source), Some(destination)) = (header.source, header.destination) else { return };
    let addresses = Header { tls: None, ..header };
    for written in [text(source, destination), binary(source, destination)] {
        let again = read(&written);
        assert_eq!(
            again,
            Ok(Progress::Done(addresses.clone())),
            "written anew: {}",
            shown(written)
        );
    }
}

/// Reads as a listener does, so many bytes at a time as are asked for. `None`: refused, or the input ended.
fn read_exactly(input: &[u8]) -> Option<(usize, Header)> {
    let mut have = 0;
    loop {
        match read(input.get(..have)?).ok()? {
            Progress::Need(more) => have += more,
            Progress::Done(header) => return Some((have, header)),
        }
    }
}

/// The text form of the same addresses.
fn text(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// The binary form, without extra fields.
fn binary(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address {
        SocketAddr::V4(v4) => v4.ip().octets().to_vec(),
        SocketAddr::V6(v6) => v6.ip().octets().to_vec(),
    };
    let addresses = [octets(source), octets(destination)].concat();
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let (family, length) = if source.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
    [b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec(), vec![family, 0, length], addresses, ports].concat()
}
