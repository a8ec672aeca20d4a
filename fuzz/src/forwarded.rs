//! Who the client is: never by the word of an untrusted peer, and the same at the next edge.
//!
//! The first line is the peer's address, each further one a header as `name: value`.

use std::net::{IpAddr, SocketAddr};

use asgate::client::strip::{Nominated, Sender, keep};
use asgate::client::{Facts, Identity, Peer, Scheme, TrustedProxies, identify};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::shown;

/// Where a peer sits that no line names.
const STRANGER: SocketAddr =
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)), 4711);

/// Where this edge sits in the eyes of the next one.
const THIS_EDGE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 8, 7)), 80);

/// Names that no untrusted peer's header reaches a worker under, however they are spelled.
const OURS: [&str; 4] = ["forwarded", "remote-user", "x-real-ip", "x-request-id"];

/// What such names begin with.
const OUR_PREFIXES: [&str; 5] =
    ["client-cert", "ssl-client-", "x-client-cert", "x-forwarded-", "x-ssl-client-"];

/// `input` is a peer's address and the headers it sent.
pub fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next().and_then(|line| str::from_utf8(line).ok());
    let peer = Peer::tcp(first.and_then(|text| text.trim().parse().ok()).unwrap_or(STRANGER));
    let headers: HeaderMap = lines.filter_map(header).collect();
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
    let trusted = TrustedProxies::new(&networks);
    let seen = identity(&peer, &headers, &trusted);
    check_values(&seen);
    if peer.ip().is_some_and(|ip| trusted.contains(ip)) {
        check_chain(&seen, &peer, &trusted);
        check_next_edge(&seen, &trusted);
    } else {
        check_stranger(&seen, &peer, &headers, &trusted);
    }
    check_names(&headers);
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
    Some((HeaderName::from_bytes(name).ok()?, value))
}

fn identity(peer: &Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> Identity {
    identify(peer, headers, trusted, &Facts::new(Scheme::Http, Some(8080)), Uuid::nil)
}

/// What is written into headers is what belongs there.
fn check_values(seen: &Identity) {
    let id = seen.request_id.as_bytes();
    assert!((1..=128).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic), "{}", shown(id));
    let port = seen.forwarded_port.to_str().expect("a port is text");
    assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "port {port}");
    assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "port {port}");
}

/// Of a stranger nothing counts but its address and `Host`.
fn check_stranger(seen: &Identity, peer: &Peer, headers: &HeaderMap, trusted: &TrustedProxies) {
    let host = headers.get(HOST).map(|host| (HOST, host.clone()));
    let bare = identity(peer, &host.into_iter().collect(), trusted);
    assert_eq!(format!("{seen:?}"), format!("{bare:?}"), "a stranger's headers are believed");
    assert_eq!(
        (seen.ip, seen.port, seen.from_trusted),
        (peer.ip(), peer.port(), false),
        "stranger"
    );
}

/// The chain begins with the client and ends with the peer, and all between them are trusted.
fn check_chain(seen: &Identity, peer: &Peer, trusted: &TrustedProxies) {
    if seen.ip.is_none() {
        // The nearest proxy did not know either.
        assert_eq!((&seen.forwarded_for, seen.port), (&None, None), "a chain without a client");
        return;
    }
    let chain = seen.forwarded_for.as_ref().and_then(|value| value.to_str().ok());
    let hops: Vec<IpAddr> = chain
        .into_iter()
        .flat_map(|chain| chain.split(", "))
        .map(|hop| hop.parse().expect("a hop is an address"))
        .collect();
    assert_eq!(hops.first().copied(), seen.ip, "the client is first in {chain:?}");
    assert_eq!(hops.last().copied(), peer.ip(), "the peer is last in {chain:?}");
    assert!(hops.iter().skip(1).all(|hop| trusted.contains(*hop)), "a stranger within {chain:?}");
    assert!(seen.from_trusted, "the peer is trusted");
}

/// An edge that trusts this one sees the same client.
fn check_next_edge(seen: &Identity, trusted: &TrustedProxies) {
    let headers = seen.headers().map(|(name, value)| (name.clone(), value)).collect();
    let next = identity(&Peer::tcp(THIS_EDGE), &headers, trusted);
    // Of nobody there is nothing to tell.
    let client = seen.ip.or(Some(THIS_EDGE.ip()));
    assert_eq!(next.ip, client, "the client at the next edge");
    assert_eq!(next.scheme, seen.scheme, "the scheme at the next edge");
    assert_eq!(next.forwarded_port, seen.forwarded_port, "the port at the next edge");
    assert_eq!(next.request_id, seen.request_id, "the request id at the next edge");
}

/// No header that says who the client is passes under any spelling, and none can be nominated away.
fn check_names(headers: &HeaderMap) {
    let stranger = Sender { is_trusted: false, is_certified: false, reserved: &[] };
    for name in headers.keys() {
        let folded = name.as_str().replace('_', "-");
        let ours = OURS.contains(&folded.as_str())
            || OUR_PREFIXES.iter().any(|prefix| folded.starts_with(prefix));
        assert!(!(ours && keep(name, stranger)), "{name} of a stranger is passed on");
    }
    let Ok(nominated) = Nominated::read(headers) else { return };
    for name in ["host", "content-length", "x-forwarded-for", "x-request-id", "cookie"] {
        assert!(!nominated.contains(&HeaderName::from_static(name)), "{name} is nominated away");
    }
}
