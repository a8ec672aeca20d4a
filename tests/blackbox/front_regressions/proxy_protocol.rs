//! Whom the word of a PROXY header stands for, and for what.

use std::net::SocketAddr;

use super::values;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::proxied::{tls_field, v2, v2_of};
use crate::support::stub::Stub;

/// What a proxy may say of its client, and a client may not say of itself.
const CLAIMS: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: evil.example\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n";

/// An edge whose clients come through a trusted proxy. `/inside` is for one network, and for the proxy itself.
fn edge(stub: &Stub) -> Edge {
    let routes = "  - { match: { path: /inside }, upstream: u, allow: [6.6.6.0/24, 127.0.0.1] }\n  \
        - { upstream: u, headers: { request: { set: { X-Seen: \"<{client_ip}> <{scheme}> <{tls_version}>\" } } } }";
    Front {
        listeners: &["proxy_protocol: true"],
        routes,
        file: "trusted_proxies: [127.0.0.1, 198.51.100.7]",
    }
    .before(stub.address())
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A client that somebody announced without saying who it is.
fn strangers() -> [(&'static str, Vec<u8>); 4] {
    [
        ("v1, unknown", b"PROXY UNKNOWN\r\n".to_vec()),
        ("v1, unknown and more", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec()),
        ("v2, unspecified", v2_of(0x21, 0x00, &[])),
        ("v2, a Unix socket", v2_of(0x21, 0x31, &[b'a'; 216])),
    ]
}

/// Nobody is in a network, and nobody is the proxy.
#[test]
fn a_client_without_an_address_gets_in_where_all_get_in() {
    let stub = Stub::echoing();
    let edge = edge(&stub);
    for (what, header) in strangers() {
        let mut client = edge.connect();
        client.send(&header);
        let got = client.get_with("/", CLAIMS).text();
        for forged in ["6.6.6.6", "evil.example"] {
            assert!(!got.contains(forged), "{what}: {forged} reached the worker: {got}");
        }
        assert_eq!(values(&got, "x-seen"), ["<> <http> <>"], "{what}: {got}");
        for claims in ["", CLAIMS] {
            let response = client.get_with("/inside", claims);
            assert_eq!(response.status, 403, "{what}, with {claims:?}: {response:?}");
        }
    }
}

/// The control: a proxy speaks for itself, and one of ours for those it names; others are who they are.
#[test]
fn who_has_an_address_is_believed_by_it() {
    let stub = Stub::echoing();
    let edge = edge(&stub);
    let named = |source: &str| v2(address(source), address("192.0.2.1:80"), &[]);
    for (what, header, seen, status) in [
        ("a proxy", v2_of(0x20, 0, &[]), "<6.6.6.6> <https> <>", 200),
        ("another of ours behind it", named("198.51.100.7:1"), "<6.6.6.6> <https> <>", 200),
        ("any other", named("203.0.113.9:1"), "<203.0.113.9> <http> <>", 403),
    ] {
        let mut client = edge.connect();
        client.send(&header);
        let got = client.get_with("/", CLAIMS).text();
        assert_eq!(values(&got, "x-seen"), [seen], "{what}: {got}");
        assert_eq!(client.get_with("/inside", CLAIMS).status, status, "{what}");
    }
}

#[test]
fn the_version_of_tls_that_a_proxy_tells_is_known() {
    let stub = Stub::echoing();
    let edge = edge(&stub);
    let (source, to) = (address("203.0.113.9:1"), address("192.0.2.1:443"));
    let mut client = edge.connect();
    client.send(v2(source, to, &tls_field("TLSv1.3")));
    // As it is called where TLS ends here.
    let got = client.get("/").text();
    assert_eq!(values(&got, "x-seen"), ["<203.0.113.9> <https> <1.3>"], "{got}");
}

#[test]
fn a_port_of_zero_is_none() {
    let stub = Stub::echoing();
    let edge = edge(&stub);
    let source = address("203.0.113.9:1");
    for (to, expected) in
        [("192.0.2.1:8443", "8443".to_owned()), ("192.0.2.1:0", edge.address().port().to_string())]
    {
        let mut client = edge.connect();
        client.send(v2(source, address(to), &[]));
        let got = client.get("/").text();
        assert_eq!(values(&got, "x-forwarded-port"), [expected.as_str()], "to {to}: {got}");
    }
}
