use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use examples::{INET, binary, field, headers, inet, tls_field, with_checksum};

mod examples;

#[test]
fn headers_say_who_is_at_the_other_end() {
    for (bytes, header) in headers() {
        assert_eq!(read(&bytes), Ok(Progress::Done(header)), "{}", bytes.escape_ascii());
    }
}

/// Reads as `listener` does: what is asked for, of which `steps` bytes at most come at a time.
fn read_in_steps(bytes: &[u8], steps: usize) -> (usize, Result<Header, Fault>) {
    let (mut have, mut reads) = (0, 0);
    loop {
        match read(&bytes[..have]) {
            Ok(Progress::Done(header)) => {
                assert_eq!(have, bytes.len(), "done with all of {}", bytes.escape_ascii());
                return (reads, Ok(header));
            }
            Ok(Progress::Need(count)) => {
                assert_ne!(count, 0, "a reason to wait, after {have} of {}", bytes.escape_ascii());
                let left = bytes.len() - have;
                assert!(count <= left, "{count} after {have} of {}", bytes.escape_ascii());
                have += count.min(steps);
                reads += 1;
            }
            Err(fault) => return (reads, Err(fault)),
        }
    }
}

#[test]
fn no_byte_beyond_the_header_is_asked_for() {
    for (bytes, header) in headers() {
        for steps in 1..=bytes.len().min(64) {
            let (_, result) = read_in_steps(&bytes, steps);
            assert_eq!(result.as_ref(), Ok(&header), "{} by {steps}", bytes.escape_ascii());
        }
        let (reads, _) = read_in_steps(&bytes, usize::MAX);
        assert!(reads <= 20 || bytes.starts_with(b"PROXY U"), "{reads}: {}", bytes.escape_ascii());
    }
}

#[test]
fn beginnings_are_not_headers() {
    for (bytes, _) in headers() {
        for length in 0..bytes.len() {
            let progress = read(&bytes[..length]);
            assert!(
                matches!(progress, Ok(Progress::Need(_))),
                "{length} of {}",
                bytes.escape_ascii()
            );
        }
        let more = [&bytes[..], b"G"].concat();
        assert!(
            !matches!(read(&more), Ok(Progress::Done(_))),
            "and a byte: {}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn lines_that_are_not_as_the_text_says_are_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(92));
    let cases = [
        ("GET / HTTP/1.1\r\n", Fault::Signature, "a request"),
        ("\x16\x03\x01\x02\x00\x01", Fault::Signature, "a TLS handshake"),
        ("proxy UNKNOWN\r\n", Fault::Signature, "lower case"),
        (" PROXY UNKNOWN\r\n", Fault::Signature, "a space before it"),
        ("PROXY\tUNKNOWN\r\n", Fault::Signature, "a tab"),
        ("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", Fault::Line, "two spaces"),
        ("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", Fault::Line, "two spaces later"),
        ("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", Fault::Line, "UDP"),
        ("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", Fault::Line, "lower case later"),
        ("PROXY UNKNOWNX\r\n", Fault::Line, "another word"),
        ("PROXY UNKNOWN a\n", Fault::Line, "LF alone"),
        ("PROXY UNKNOWN a\rb\r\n", Fault::Line, "CR within"),
        ("PROXY UNKNOWN a\nb\r\n", Fault::Line, "LF within"),
        ("PROXY UNKNOWN a\r\r\n", Fault::Line, "two CR"),
        ("PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n", Fault::Line, "two headers"),
        (&long, Fault::Line, "108 bytes"),
        (&endless, Fault::Line, "106 bytes and no end"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", Fault::Line, "no destination port"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", Fault::Line, "a third port"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", Fault::Line, "a space at the end"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3", Fault::Line, "a third port on its way"),
        ("PROXY TCP4 ::1 ::2 1 2\r\n", Fault::Address, "the other family"),
        ("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", Fault::Address, "the other family for IPv6"),
        ("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n", Fault::Address, "256"),
        ("PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n", Fault::Address, "a leading zero"),
        ("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", Fault::Address, "three numbers"),
        ("PROXY TCP4 1.2.3.4 example.com 1 2\r\n", Fault::Address, "a name"),
        ("PROXY TCP6 [::1] ::2 1 2\r\n", Fault::Address, "brackets"),
        ("PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", Fault::Address, "a zone"),
        ("PROXY TCP6 1::2::3 ::2 1 2\r\n", Fault::Address, "two gaps"),
        ("PROXY TCP6 00001::2 ::2 1 2\r\n", Fault::Address, "five digits"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", Fault::Port, "a leading zero in a port"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 00 2\r\n", Fault::Port, "two zeros"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", Fault::Port, "a sign"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", Fault::Port, "65536"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n", Fault::Port, "hexadecimal"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n", Fault::Port, "no port"),
    ];
    for (line, fault, why) in cases {
        assert_eq!(read(line.as_bytes()), Err(fault), "{why}: {line:?}");
    }
}

#[test]
fn a_line_ends_within_107_bytes() {
    let line =
        |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16)).into_bytes();
    assert_eq!(read(&line(106)), Ok(Progress::Done(Header::default())), "106 bytes");
    assert_eq!(read(&line(107)), Ok(Progress::Done(Header::default())), "107 bytes");
    assert_eq!(read(&line(108)), Err(Fault::Line), "108 bytes");
}

#[test]
fn binary_headers_that_are_not_as_the_text_says_are_refused() {
    let unix = |length| binary(0x21, 0x31, &vec![0; length]);
    let cases = [
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Fault::Signature, "another last byte"),
        (binary(0x11, 0x11, &INET), Fault::Version, "version 1"),
        (binary(0x31, 0x11, &INET), Fault::Version, "version 3"),
        (binary(0x22, 0x11, &INET), Fault::Command, "a third command"),
        (binary(0x21, 0x12, &INET), Fault::Datagram, "UDP"),
        (binary(0x21, 0x22, &[0; 36]), Fault::Datagram, "UDP over IPv6"),
        (binary(0x21, 0x32, &[0; 216]), Fault::Datagram, "datagrams of a Unix socket"),
        (binary(0x21, 0x02, &[]), Fault::Datagram, "datagrams of who knows"),
        (binary(0x21, 0x13, &INET), Fault::Family, "a third transport"),
        (binary(0x21, 0x41, &INET), Fault::Family, "a fourth family"),
        (binary(0x21, 0x40, &INET), Fault::Family, "a fourth family of no transport"),
        (binary(0x21, 0x11, &INET[..11]), Fault::Length, "a byte short"),
        (binary(0x21, 0x21, &[0; 35]), Fault::Length, "a byte short for IPv6"),
        (unix(215), Fault::Length, "a byte short for paths"),
        (binary(0x20, 0x00, &[0; 4097]), Fault::Length, "longer than anybody needs"),
        (inet(&field(4, &[0; 4097 - 12 - 3])), Fault::Length, "and with addresses"),
        ([inet(&[]), vec![0]].concat(), Fault::Length, "a byte after it"),
        (inet(&[4]), Fault::Tlv, "a type alone"),
        (inet(&[4, 0]), Fault::Tlv, "half a length"),
        (inet(&[4, 0, 1]), Fault::Tlv, "no value"),
        (inet(&[4, 0xff, 0xff, 1]), Fault::Tlv, "most of a value missing"),
        (inet(&field(0x20, &[1, 0, 0, 0])), Fault::Tlv, "TLS without its flags"),
        (inet(&tls_field(1, &[0x21, 0, 7])), Fault::Tlv, "a version that is missing"),
        (inet(&tls_field(1, &field(0x21, b"TLSv1.3\n"))), Fault::Tlv, "a line end in a version"),
        (inet(&tls_field(1, &field(0x21, &[b'1'; 33]))), Fault::Tlv, "a long version"),
        (inet(&tls_field(1, &field(0x21, b"\xc3\xbc"))), Fault::Tlv, "a version not of ASCII"),
        (inet(&tls_field(1, &field(0x21, b"1.3").repeat(2))), Fault::Tlv, "two versions"),
        (inet(&[tls_field(1, &[]), tls_field(1, &[])].concat()), Fault::Tlv, "TLS twice"),
        (inet(&[tls_field(0, &[]), tls_field(1, &[])].concat()), Fault::Tlv, "no TLS and TLS"),
        (inet(&field(3, &[0; 3])), Fault::Tlv, "a short checksum"),
        (inet(&field(3, &[0; 4])), Fault::Checksum, "a checksum of zeros"),
        (
            with_checksum(inet(&[field(3, &[0; 4]), field(3, &[1; 4])].concat())),
            Fault::Tlv,
            "two checksums",
        ),
    ];
    for (bytes, fault, why) in cases {
        assert_eq!(read(&bytes), Err(fault), "{why}: {}", bytes.escape_ascii());
    }
}

#[test]
fn a_fault_shows_as_soon_as_it_can() {
    let cases = [
        (&b"G"[..], Fault::Signature, "not the first byte of either"),
        (b"PROXX", Fault::Signature, "the fifth byte"),
        (b"\r\n\r\nG", Fault::Signature, "the fifth byte of a binary header"),
        (b"PROXY TCP5 1.2.", Fault::Line, "the kind"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\x00\x0c", Fault::Datagram, "before the addresses"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\x01", Fault::Length, "before what is too long"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x0c", Fault::Length, "before what is too short"),
    ];
    for (bytes, fault, why) in cases {
        assert_eq!(read(bytes), Err(fault), "{why}");
    }
}

#[test]
fn a_checksum_protects_the_addresses() {
    let header = with_checksum(inet(&[field(3, &[0; 4]), tls_field(1, &[])].concat()));
    for at in 16..16 + INET.len() {
        for bit in 0..8 {
            let mut forged = header.clone();
            forged[at] ^= 1 << bit;
            assert_eq!(read(&forged), Err(Fault::Checksum), "bit {bit} of byte {at}");
        }
    }
}

fn text_headers() -> impl Strategy<Value = (Vec<u8>, Header)> {
    let ports = || (any::<u16>(), any::<u16>());
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>(), ports())
        .prop_map(|(from, to, ports)| (IpAddr::from(from), IpAddr::from(to), ports, "TCP4"));
    let v6 = (any::<[u16; 8]>(), any::<[u16; 8]>(), ports())
        .prop_map(|(from, to, ports)| (IpAddr::from(from), IpAddr::from(to), ports, "TCP6"));
    prop_oneof![v4, v6].prop_map(|(from, to, ports, kind)| {
        let line = format!("PROXY {kind} {from} {to} {} {}\r\n", ports.0, ports.1);
        let header = Header {
            source: Some(SocketAddr::new(from, ports.0)),
            destination: Some(SocketAddr::new(to, ports.1)),
            ..Header::default()
        };
        (line.into_bytes(), header)
    })
}

/// Bytes that look like a header to some degree.
fn nearly_headers() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let text =
        "PROXY (TCP4|TCP6|UNKNOWN) [0-9a-f:. \r\n]{0,90}(\r\n)?".prop_map(String::into_bytes);
    let known = prop::sample::select(headers()).prop_map(|(bytes, _)| bytes);
    let changed =
        (known, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
    let command = prop_oneof![Just(0x20u8), Just(0x21)];
    let family = prop_oneof![Just(0x11u8), Just(0x21), Just(0x31), any::<u8>()];
    let framed = (command, family, bytes())
        .prop_map(|(command, family, content)| binary(command, family, &content));
    prop_oneof![bytes(), text, changed, framed]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_headers_come_back(case in text_headers(), steps in 1..40usize) {
        let (bytes, header) = case;
        let (_, result) = read_in_steps(&bytes, steps);
        prop_assert_eq!(result, Ok(header));
    }

    /// Nothing makes it panic. What is refused stays refused whatever comes behind it, and a header has one end: so
    /// it does not matter in which pieces it comes.
    #[test]
    fn every_beginning_has_one_meaning(bytes in nearly_headers()) {
        let mut refused = None;
        let mut done = false;
        for length in 0..=bytes.len() {
            let progress = read(&bytes[..length]);
            if let Some(at) = refused {
                prop_assert!(progress.is_err(), "refused at {}, not at {}", at, length);
            }
            match progress {
                Err(_) => refused = refused.or(Some(length)),
                Ok(Progress::Need(_)) => prop_assert!(!done, "more to come after the end"),
                Ok(Progress::Done(_)) => {
                    prop_assert!(!done, "two ends");
                    done = true;
                }
            }
        }
    }
}
