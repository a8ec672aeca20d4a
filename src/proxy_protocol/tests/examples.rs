//! Headers that are fine, and what to build others from.

use std::net::SocketAddr;

use super::super::{Header, ProxiedTls, Speaker, crc32c, v2};

fn socket(text: &str) -> Option<SocketAddr> {
    Some(text.parse().expect("an address and a port"))
}

fn local() -> Header {
    Header { speaker: Speaker::Proxy, ..Header::default() }
}

fn relayed(source: &str, destination: &str) -> Header {
    Header { source: socket(source), destination: socket(destination), ..Header::default() }
}

/// A binary header around `content`.
pub fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short one").to_be_bytes();
    [v2::SIGNATURE, &[command, family], &length, content].concat()
}

pub fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("a short one").to_be_bytes();
    [&[kind], &length[..], value].concat()
}

/// The field for TLS as HAProxy fills it.
pub fn tls_field(flags: u8, fields: &[u8]) -> Vec<u8> {
    field(0x20, &[&[flags, 0, 0, 0, 1], fields].concat())
}

pub const INET: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];
const INET_SAYS: (&str, &str) = ("192.0.2.1:56324", "198.51.100.2:443");

pub fn inet(fields: &[u8]) -> Vec<u8> {
    binary(0x21, 0x11, &[&INET[..], fields].concat())
}

/// `header`, which has a checksum of zeros, with the right one.
pub fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c(header.iter().copied()).to_be_bytes();
    let at = header.windows(7).position(|field| field == [3, 0, 4, 0, 0, 0, 0]).expect("a place");
    header[at + 3..at + 7].copy_from_slice(&sum);
    header
}

/// Headers that are fine, with what they say.
pub fn headers() -> Vec<(Vec<u8>, Header)> {
    let tls = |version: Option<&str>| Header {
        tls: Some(ProxiedTls { version: version.map(str::to_owned) }),
        ..relayed(INET_SAYS.0, INET_SAYS.1)
    };
    let plain = || relayed(INET_SAYS.0, INET_SAYS.1);
    let longest6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let text = |line: &str| line.as_bytes().to_vec();
    let v6 = [[0x20, 1, 0xd, 0xb8], [0; 4], [0; 4], [0, 0, 0, 1]].concat();
    let v6 = [&v6[..], &[0; 15], &[1], &[0, 80], &[0, 0]].concat();
    let nested = [field(0x21, b"TLSv1.3"), field(0x23, b"TLS_AES_128_GCM_SHA256")].concat();
    vec![
        // The examples of the text, longest and shortest lines.
        (
            text("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
            relayed("192.168.0.1:56324", "192.168.0.11:443"),
        ),
        (
            text("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
            relayed("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (
            text(&format!("PROXY TCP6 {longest6} {longest6} 65535 65535\r\n")),
            relayed(&format!("[{longest6}]:65535"), &format!("[{longest6}]:65535")),
        ),
        (text("PROXY UNKNOWN\r\n"), Header::default()),
        (text("PROXY UNKNOWN \r\n"), Header::default()),
        (text(&format!("PROXY UNKNOWN {longest6} {longest6} 65535 65535\r\n")), Header::default()),
        (b"PROXY UNKNOWN \x00\xff whatever  may\tstand here\r\n".to_vec(), Header::default()),
        (text("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), relayed("0.0.0.0:0", "0.0.0.0:0")),
        (text("PROXY TCP6 :: :: 0 0\r\n"), relayed("[::]:0", "[::]:0")),
        (text("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n"), relayed("[2001:db8::1]:1", "[::1]:2")),
        (
            text("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"),
            relayed("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2"),
        ),
        // Binary: addresses.
        (inet(&[]), plain()),
        (binary(0x21, 0x21, &v6), relayed("[2001:db8::1]:80", "[::1]:0")),
        (binary(0x21, 0x31, &[b'/'; 216]), Header::default()),
        // The proxy itself.
        (binary(0x20, 0x00, &[]), local()),
        (binary(0x20, 0x11, &INET), local()),
        (binary(0x20, 0xff, &[7; 100]), local()),
        (binary(0x20, 0x00, &[0; 4096]), local()),
        // Nobody to speak of.
        (binary(0x21, 0x00, &[]), Header::default()),
        (binary(0x21, 0x00, &[7; 100]), Header::default()),
        (binary(0x21, 0x01, &INET), Header::default()),
        (binary(0x21, 0x10, &INET), Header::default()),
        // Extra fields.
        (inet(&field(4, &[])), plain()),
        (
            inet(&[field(1, b"h2"), field(2, b"example.com"), field(0xea, b"\x01vpce")].concat()),
            plain(),
        ),
        (inet(&field(4, &[0; 4096 - 12 - 3])), plain()),
        (inet(&tls_field(1, &field(0x21, b"TLSv1.3"))), tls(Some("1.3"))),
        (inet(&tls_field(7, &nested)), tls(Some("1.3"))),
        (inet(&tls_field(1, &field(0x21, b"SSLv3"))), tls(Some("SSLv3"))),
        (inet(&tls_field(1, &[])), tls(None)),
        (inet(&tls_field(0, &field(0x21, b"TLSv1.3"))), plain()),
        (with_checksum(inet(&field(3, &[0; 4]))), plain()),
        (with_checksum(inet(&[field(4, b"before"), field(3, &[0; 4])].concat())), plain()),
        (
            with_checksum(inet(&[field(3, &[0; 4]), tls_field(1, &nested)].concat())),
            tls(Some("1.3")),
        ),
        (
            binary(0x21, 0x31, &[&[0; 216][..], &tls_field(1, &[])].concat()),
            Header { tls: Some(ProxiedTls::default()), ..Header::default() },
        ),
    ]
}
