use std::net::IpAddr;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::{Facts, Identity, Peer, Scheme, TrustedProxies, identify};

const NEW_ID: &str = "01920000-0000-7000-8000-000000000001";

fn trusted() -> TrustedProxies {
    let networks = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].map(|net| net.parse().unwrap());
    TrustedProxies::new(&networks)
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn identified(peer: &Peer, lines: &[(&'static str, &str)]) -> Identity {
    let listener = Facts::new(Scheme::Http, Some(8080));
    let new_id = || Uuid::parse_str(NEW_ID).unwrap();
    identify(peer, &headers(lines), &trusted(), &listener, new_id)
}

fn tcp(address: &str) -> Peer {
    Peer::tcp(address.parse().unwrap())
}

fn text(value: &Option<HeaderValue>) -> Option<&str> {
    value.as_ref().map(|value| value.to_str().unwrap())
}

/// What the worker is told, as `name: value` lines without `x-`.
fn told(identity: &Identity) -> Vec<String> {
    let line = |(name, value): (&HeaderName, HeaderValue)| {
        format!("{}: {}", name.as_str().trim_start_matches("x-"), value.to_str().unwrap())
    };
    identity.headers().map(line).collect()
}

#[test]
fn an_untrusted_peer_can_forge_nothing() {
    let forged = [
        ("host", "a.example:8443"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-request-id", "forged"),
    ];
    for (peer, ip) in [
        ("203.0.113.9:5555", "203.0.113.9"),
        ("[2001:db8::1]:5555", "2001:db8::1"),
        ("[::ffff:203.0.113.9]:5555", "203.0.113.9"),
    ] {
        let seen = identified(&tcp(peer), &forged);
        assert_eq!(seen.ip, Some(ip.parse().unwrap()), "client of {peer}");
        assert_eq!(seen.port, Some(5555), "the client is the peer");
        assert_eq!(seen.scheme, Scheme::Http, "the listener's");
        assert!(!seen.from_trusted, "{peer} is not trusted");
        let expected = [
            format!("forwarded-for: {ip}"),
            "forwarded-proto: http".to_owned(),
            "forwarded-host: a.example:8443".to_owned(),
            "forwarded-port: 8080".to_owned(),
            format!("request-id: {NEW_ID}"),
        ];
        assert_eq!(told(&seen), expected, "told about {peer}");
    }
}

#[test]
fn a_unix_peer_has_no_address_and_no_trust() {
    let seen = identified(&Peer::nameless(), &[("x-forwarded-for", "1.1.1.1"), ("host", "a")]);
    assert_eq!((seen.ip, seen.port, seen.from_trusted), (None, None, false), "nothing known");
    let expected = [
        "forwarded-proto: http".to_owned(),
        "forwarded-host: a".to_owned(),
        "forwarded-port: 8080".to_owned(),
        format!("request-id: {NEW_ID}"),
    ];
    assert_eq!(told(&seen), expected, "no X-Forwarded-For");
}

#[test]
fn the_chain_of_a_trusted_peer_is_kept_from_the_client_on() {
    for (lines, chain, client) in [
        (&[][..], "10.0.0.1", "10.0.0.1"),
        (&["203.0.113.7"], "203.0.113.7, 10.0.0.1", "203.0.113.7"),
        // What the client claimed of the way before it is dropped.
        (&["1.1.1.1, 203.0.113.7"], "203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (&["203.0.113.7, 10.0.0.2"], "203.0.113.7, 10.0.0.2, 10.0.0.1", "203.0.113.7"),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3, 10.0.0.2, 10.0.0.1", "10.0.0.3"),
        // Lines in their order.
        (&["1.1.1.1", "203.0.113.7", "10.0.0.2"], "203.0.113.7, 10.0.0.2, 10.0.0.1", "203.0.113.7"),
        // Blanks and empty elements.
        (&[" 203.0.113.7 ,\t10.0.0.2,, ", ""], "203.0.113.7, 10.0.0.2, 10.0.0.1", "203.0.113.7"),
        (&[",,"], "10.0.0.1", "10.0.0.1"),
        // Ports and brackets.
        (&["203.0.113.7:5555"], "203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (&["[2001:DB8:0::1]:5555, [fd00::1]"], "2001:db8::1, fd00::1, 10.0.0.1", "2001:db8::1"),
        (&["2001:db8::1"], "2001:db8::1, 10.0.0.1", "2001:db8::1"),
        (&["::ffff:203.0.113.7"], "203.0.113.7, 10.0.0.1", "203.0.113.7"),
        (&["[::ffff:10.0.0.9]:1"], "10.0.0.9, 10.0.0.1", "10.0.0.9"),
        // Garbage ends what is known about the way.
        (&["1.1.1.1, unknown, 203.0.113.7"], "203.0.113.7, 10.0.0.1", "203.0.113.7"),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let seen = identified(&tcp("10.0.0.1:5555"), &lines);
        assert_eq!(text(&seen.forwarded_for), Some(chain), "chain of {lines:?}");
        assert_eq!(seen.ip, Some(client.parse().unwrap()), "client of {lines:?}");
        let is_peer = chain == "10.0.0.1";
        assert_eq!(seen.port, is_peer.then_some(5555), "the port of the peer is the peer's");
    }
}

/// The proxies behind it are not the client, whatever their addresses may do.
#[test]
fn a_client_whose_proxy_tells_no_address_is_nobody() {
    for lines in [
        &["1.1.1.1", "nonsense"][..],
        &["1.1.1.1, _hidden, 10.0.0.2"],
        &["10.0.0.3, unknown"],
        &["unknown"],
        &["1.1.1.1:99999"],
        &["1.1.1.1 2.2.2.2"],
        &["01.1.1.1"],
        &["[1.1.1.1]"],
        &["[::1"],
        &["fe80::1%eth0"],
        &["\"1.1.1.1\""],
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let seen = identified(&tcp("10.0.0.1:5555"), &headers);
        assert_eq!(seen.forwarded_for, None, "no chain for {lines:?}");
        assert_eq!((seen.ip, seen.port), (None, None), "nobody, with {lines:?}");
    }
}

#[test]
fn opaque_bytes_in_a_chain_are_one_garbage_entry() {
    let mut map = HeaderMap::new();
    let line = HeaderValue::from_bytes(b"1.1.1.1, \xff\xfe, 203.0.113.7").unwrap();
    map.append("x-forwarded-for", line);
    let listener = Facts::new(Scheme::Http, None);
    let seen = identify(&tcp("127.0.0.1:1"), &map, &trusted(), &listener, Uuid::nil);
    assert_eq!(
        text(&seen.forwarded_for),
        Some("203.0.113.7, 127.0.0.1"),
        "what stands right of it"
    );
}

#[test]
fn a_chain_of_ten_thousand_entries_is_read_once() {
    let line = vec!["10.9.8.7:1"; 10_000].join(",");
    let seen = identified(&tcp("10.0.0.1:1"), &[("x-forwarded-for", &line)]);
    let sent = text(&seen.forwarded_for).unwrap();
    assert_eq!(sent.split(", ").count(), 10_001, "every entry and the peer");
    assert_eq!(seen.ip, Some(IpAddr::from([10, 9, 8, 7])), "all are trusted: the farthest");
}

#[test]
fn the_scheme_is_a_single_token_of_a_trusted_peer() {
    for (lines, expected) in [
        (&[][..], Scheme::Http),
        (&["https"], Scheme::Https),
        (&["HTTPS"], Scheme::Https),
        (&["wss"], Scheme::Https),
        (&["http"], Scheme::Http),
        (&["ws"], Scheme::Http),
        (&["https, http"], Scheme::Http),
        (&["https", "https"], Scheme::Http),
        (&["https\""], Scheme::Http),
        (&["ftp"], Scheme::Http),
        (&[""], Scheme::Http),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-proto", *line)).collect();
        assert_eq!(identified(&tcp("10.0.0.1:1"), &lines).scheme, expected, "{lines:?}");
    }
}

#[test]
fn host_and_port_of_a_trusted_peer() {
    let host = ("host", "inner.example");
    for (lines, expected_host, expected_port) in [
        (vec![host], "inner.example", "8080"),
        (vec![host, ("x-forwarded-host", "a.example")], "a.example", "8080"),
        (vec![host, ("x-forwarded-host", "a.example:8443")], "a.example:8443", "8443"),
        (vec![host, ("x-forwarded-host", "a.example, b.example")], "inner.example", "8080"),
        (vec![host, ("x-forwarded-host", "a b")], "inner.example", "8080"),
        (
            vec![host, ("x-forwarded-host", "a.example"), ("x-forwarded-host", "b.example")],
            "inner.example",
            "8080",
        ),
        (vec![host, ("x-forwarded-proto", "https")], "inner.example", "443"),
        (vec![host, ("x-forwarded-host", "a:1"), ("x-forwarded-port", "2")], "a:1", "2"),
        (vec![host, ("x-forwarded-port", "0")], "inner.example", "8080"),
        (vec![host, ("x-forwarded-port", "+80")], "inner.example", "8080"),
        (vec![host, ("x-forwarded-port", "65536")], "inner.example", "8080"),
        (vec![host, ("x-forwarded-port", "443, 80")], "inner.example", "8080"),
        (vec![host, ("x-forwarded-port", "")], "inner.example", "8080"),
    ] {
        let seen = identified(&tcp("10.0.0.1:1"), &lines);
        assert_eq!(text(&seen.forwarded_host), Some(expected_host), "host of {lines:?}");
        assert_eq!(seen.forwarded_port, expected_port, "port of {lines:?}");
    }
}

#[test]
fn the_request_id_of_a_trusted_peer_is_kept_when_sane() {
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (lines, expected) in [
        (&["abc-123"][..], "abc-123"),
        (&[longest.as_str()], &longest),
        (&[too_long.as_str()], NEW_ID),
        (&[""], NEW_ID),
        (&["a b"], NEW_ID),
        (&["a\tb"], NEW_ID),
        (&["\u{e9}"], NEW_ID),
        (&["one", "two"], NEW_ID),
        (&[], NEW_ID),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("x-request-id", *line)).collect();
        assert_eq!(identified(&tcp("10.0.0.1:1"), &lines).request_id(), expected, "{lines:?}");
    }
}

#[test]
fn a_listener_without_a_port_counts_as_its_scheme() {
    for (scheme, port) in [(Scheme::Http, "80"), (Scheme::Https, "443")] {
        let listener = Facts::new(scheme, None);
        let none = HeaderMap::new();
        let seen = identify(&Peer::nameless(), &none, &trusted(), &listener, Uuid::nil);
        assert_eq!(seen.forwarded_port, port, "{}", scheme.as_str());
        assert_eq!(seen.forwarded_host, none.get(HOST).cloned(), "no host was named");
    }
}
