use std::borrow::Cow;

use super::{HostError, parse};

#[test]
fn hosts_are_normalised() {
    for (raw, name, port) in [
        ("example.com", "example.com", None),
        ("EXAMPLE.com", "example.com", None),
        ("example.com.", "example.com", None),
        ("Example.Com.:8443", "example.com", Some(8443)),
        ("example.com:", "example.com", None),
        ("a_b-c~d.x1", "a_b-c~d.x1", None),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
        ("127.0.0.1:80", "127.0.0.1", Some(80)),
        ("localhost:00080", "localhost", Some(80)),
        ("[::1]", "[::1]", None),
        ("[2001:DB8::A]:65535", "[2001:db8::a]", Some(65535)),
        ("[::ffff:127.0.0.1]:", "[::ffff:127.0.0.1]", None),
    ] {
        let host = parse(raw.as_bytes());
        let seen = host.as_ref().map(|host| (&*host.name, host.port));
        assert_eq!(seen, Ok((name, port)), "parse({raw:?})");
    }
}

#[test]
fn hosts_that_are_refused() {
    let long = "a".repeat(254);
    for (raw, error) in [
        ("", HostError::Empty),
        (".", HostError::Empty),
        (":80", HostError::Empty),
        (long.as_str(), HostError::TooLong),
        ("a b", HostError::Character),
        (" a", HostError::Character),
        ("a/b", HostError::Character),
        ("a<b>", HostError::Character),
        ("a\\b", HostError::Character),
        ("user@a", HostError::Character),
        ("a,b", HostError::Character),
        ("a%41", HostError::Character),
        ("a?b", HostError::Character),
        ("a#b", HostError::Character),
        ("a\0", HostError::Character),
        ("b\u{fc}cher.example", HostError::Character),
        ("..", HostError::EmptyLabel),
        ("a..b", HostError::EmptyLabel),
        (".a", HostError::EmptyLabel),
        ("a..", HostError::EmptyLabel),
        ("a:b", HostError::Port),
        ("a:+80", HostError::Port),
        ("a:0", HostError::Port),
        ("a:65536", HostError::Port),
        ("user:secret@a", HostError::Port),
        ("::1", HostError::Port),
        ("fe80::1", HostError::Port),
        ("[", HostError::Ipv6),
        ("[]", HostError::Ipv6),
        ("[[::1]]", HostError::Ipv6),
        ("[::1%25eth0]", HostError::Ipv6),
        ("[v1.x]", HostError::Ipv6),
        ("[127.0.0.1]", HostError::Ipv6),
        ("[::1]80", HostError::Character),
        ("[::1].", HostError::Character),
    ] {
        assert_eq!(parse(raw.as_bytes()), Err(error), "parse({raw:?})");
    }
    assert_eq!(parse(b"\xff"), Err(HostError::Character), "not even UTF-8");
}

#[test]
fn a_lower_case_host_is_borrowed() {
    let host = parse(b"api.example.com:8080");
    let borrowed = matches!(host, Ok(ref host) if matches!(host.name, Cow::Borrowed(_)));
    assert!(borrowed, "nothing to change, nothing to allocate");
}
