//! How many connections there may be, in all and from one address.

use std::net::SocketAddr;

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::sources::client_from;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls};
use crate::support::wait_for;

/// How many connections were refused for this reason.
fn refused(reason: &str) -> String {
    format!("asgate_connections_refused_total{{listener=\"127.0.0.1:0\",reason=\"{reason}\"}}")
}

/// Whether a connection is served, and not closed without a word.
fn is_served(client: &mut Client) -> bool {
    client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    match client.try_response_to("GET") {
        Some(response) => {
            assert_eq!(response.status, 200, "{response:?}");
            true
        }
        None => false,
    }
}

fn edge(stub: &Stub, listener: &str, file: &str) -> Edge {
    Front { listeners: &[listener], file, ..Front::default() }.before(stub.address())
}

/// Opens `limit` connections, sees that one more is not served, and that one is when another has left. Returns those that
/// are open then, which are again as many.
fn expect_limit(limit: usize, mut connect: impl FnMut() -> Client, what: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 1..=limit {
        let mut client = connect();
        assert!(is_served(&mut client), "{what}: number {number} of {limit}");
        clients.push(client);
    }
    for _ in 0..3 {
        assert!(!is_served(&mut connect()), "{what}: one more than {limit}");
    }
    assert!(clients.iter_mut().all(is_served), "{what}: those that are there stay");
    clients.pop();
    wait_for("room for another one", || {
        let mut client = connect();
        is_served(&mut client).then(|| clients.push(client))
    });
    assert!(!is_served(&mut connect()), "{what}: and only for one");
    clients
}

#[test]
fn in_all_so_many_as_configured() {
    let stub = Stub::ok();
    let edge = edge(&stub, "max_connections: 3", "");
    let _open = expect_limit(3, || edge.connect(), "plain");
    assert!(edge.metric(&refused("max_connections")) >= 4.0, "counted: {}", edge.metrics());
    // Whoever comes from elsewhere is no exception.
    let mut others: Vec<_> = (2..5).map(|last| client_from(last, edge.address())).collect();
    let served = others.iter_mut().filter_map(|it| is_served(it).then_some(())).count();
    assert_eq!(served, 0, "none of three from elsewhere");
}

#[test]
fn over_tls_too() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let certificate = authority.sign("site", &["site.test"]);
    let edge = edge(&stub, &format!("{}, max_connections: 3", certificate.listener()), "");
    let tls = Tls::trusting(&authority, Offer::default());
    let mut sessions: Vec<_> = (0..3)
        .map(|_| tls.handshake(edge.address(), "site.test").expect("within the limit"))
        .collect();
    assert!(tls.handshake(edge.address(), "site.test").is_err(), "one more");
    for session in &mut sessions {
        assert!(session.get("/").is_ok_and(|it| it.contains(" 200 ")), "those that are there stay");
    }
}

#[test]
fn from_one_address_so_many_as_configured() {
    let stub = Stub::ok();
    let edge = edge(&stub, "max_connections_per_address: 2", "");
    let _open = expect_limit(2, || client_from(1, edge.address()), "the first address");
    // The limit is each one's own.
    let _open_too = expect_limit(2, || client_from(2, edge.address()), "the second address");
    let counted = edge.metric(&refused("max_connections_per_address"));
    assert!(counted >= 8.0, "counted: {counted}");
    let off = Front::default().before(stub.address());
    let mut clients: Vec<_> = (0..50).map(|_| off.connect()).collect();
    assert!(clients.iter_mut().all(is_served), "the control: off by default");
}

#[test]
fn many_clients_are_behind_a_trusted_proxy() {
    let stub = Stub::ok();
    let edge = edge(&stub, "max_connections_per_address: 2", "trusted_proxies: [127.0.0.3]");
    let mut proxy: Vec<_> = (0..10).map(|_| client_from(3, edge.address())).collect();
    assert!(proxy.iter_mut().all(is_served), "a proxy is no client");
    let _open = expect_limit(2, || client_from(4, edge.address()), "somebody else");
}

/// A client that a proxy announced.
fn announced(edge: SocketAddr, family: &str, source: &str, destination: &str) -> Client {
    let mut client = Client::connect(edge);
    client.try_send(format!("PROXY {family} {source} {destination} 1 2\r\n"));
    client
}

#[test]
fn the_address_that_counts_is_the_one_of_the_proxy_protocol() {
    let stub = Stub::ok();
    let edge = edge(
        &stub,
        "max_connections_per_address: 2, proxy_protocol: true",
        "trusted_proxies: [127.0.0.1]",
    );
    let v4 = |source| announced(edge.address(), "TCP4", source, "192.0.2.1");
    let _one = expect_limit(2, || v4("198.51.100.1"), "one client");
    let _other = expect_limit(2, || v4("198.51.100.2"), "another client");
    // Who has a /64 has 2^64 addresses.
    let mut number = 0;
    let v6 = || {
        number += 1;
        announced(edge.address(), "TCP6", &format!("2001:db8::{number:x}"), "2001:db8::ffff")
    };
    let _network = expect_limit(2, v6, "one network");
    let mut elsewhere = announced(edge.address(), "TCP6", "2001:db8:0:1::1", "2001:db8::ffff");
    assert!(is_served(&mut elsewhere), "another network");
}

/// Ways to begin, each of which may end in a reset or a FIN.
const BEGINNINGS: [&[u8]; 9] = [
    b"",
    b"G",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"PROXY TCP4 198.51.100.1 192.0.2.1 1 2\r\n",
    b"PROXY nonsense\r\n",
    // A TLS record with half a handshake.
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

/// A place that is not given back would be found out by the next client, or by none for ever.
#[test]
fn connections_that_end_in_any_way_make_room() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let tls = authority.sign("site", &["site.test"]);
    let tls = format!("tls: {{ certificates: [{}], max_handshakes: 4 }}", tls.item());
    let bounds = "max_connections: 4, max_connections_per_address: 3";
    let client = Tls::trusting(&authority, Offer::default());
    let open = r#"asgate_listener_connections{listener="127.0.0.1:0"}"#;
    for (what, keys) in [
        ("plain", "http2: true"),
        ("PROXY", "proxy_protocol: true, header_timeout: 1s"),
        ("TLS", tls.as_str()),
        ("PROXY and TLS", &format!("{tls}, proxy_protocol: true, header_timeout: 1s")),
    ] {
        let listener = format!("{keys}, {bounds}");
        let edge = edge(&stub, &listener, "trusted_proxies: [127.0.0.9]");
        for round in 0..20 {
            for bytes in BEGINNINGS {
                // From the proxy, and from anybody.
                let mut one = client_from(if round % 3 == 0 { 9 } else { 1 }, edge.address());
                one.try_send(bytes);
                if round % 2 == 0 {
                    let socket = socket2::SockRef::from(&one.stream);
                    socket.set_linger(Some(std::time::Duration::ZERO)).expect("linger");
                }
            }
        }
        let is_proxied = what.starts_with("PROXY");
        let connect = || {
            let mut one = client_from(if is_proxied { 9 } else { 1 }, edge.address());
            if is_proxied {
                one.try_send("PROXY TCP4 198.51.100.1 192.0.2.1 1 2\r\n");
            }
            one
        };
        let handshake = || client.handshake_over(connect().stream, "site.test");
        // They are accepted in their order: where this one is served, the others were seen.
        wait_for("room for one", || match what.ends_with("TLS") {
            true => handshake().and_then(|mut session| session.get("/")).ok().map(|_| ()),
            false => is_served(&mut connect()).then_some(()),
        });
        edge.wait_for_metric(open, 0.0);
        if what.ends_with("TLS") {
            let mut sessions: Vec<_> =
                (0..3).map(|_| handshake().expect("there is room")).collect();
            assert!(handshake().is_err(), "{what}: for three");
            let served = sessions.iter_mut().filter_map(|session| session.get("/").ok()).count();
            assert_eq!(served, 3, "{what}");
        } else {
            expect_limit(3, connect, what);
        }
        assert!(!edge.stderr_text().contains("panicked"), "{what}: {}", edge.stderr_text());
    }
}
