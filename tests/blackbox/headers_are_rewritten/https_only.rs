//! `redirect_to_https` and HSTS: whoever comes without TLS is sent to where it is, and told to come so the next time.

use std::net::SocketAddr;

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::proxied::{tls_field, v2};
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, Tunnel};
use crate::support::uvicorn::free_address;

use super::answered;

const SITE: &str = "site.test";

/// A plain listener that redirects, and a TLS listener at `secured` if there is one.
fn edge(stub: &Stub, secured: Option<(&Authority, SocketAddr)>, file: &str) -> Edge {
    let listener = "redirect_to_https: true";
    let routes = "  - { match: { host: [site.test] }, upstream: u }";
    let text = Front { listeners: &[listener], routes, file }.config(stub.address());
    let Some((authority, address)) = secured else {
        return Edge::start(&text);
    };
    let tls = authority.sign("site", &[SITE]).listener();
    let more = format!("  - {{ address: \"{address}\", {tls} }}\nadmin:");
    Edge::start(&text.replacen("admin:", &more, 1))
}

/// Status and `Location` of the answer to a request for this target with these lines.
fn asked(client: &mut Client, method: &str, target: &str, headers: &str) -> (u16, String) {
    client.send(format!("{method} {target} HTTP/1.1\r\n{headers}\r\n"));
    let response = client.response_to(method);
    (response.status, response.header("location").unwrap_or_default().to_owned())
}

#[test]
fn a_request_without_tls_is_sent_to_where_tls_is() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let secured = free_address();
    let edge = edge(&stub, Some((&authority, secured)), "");
    let port = secured.port();
    let mut client = edge.connect();
    for (method, target, host) in [
        ("GET", "/", SITE),
        ("GET", "/a/b?c=d&e=%2F%20", SITE),
        ("GET", "/a?", SITE),
        ("HEAD", "/a%20b?https://x", SITE),
        ("GET", "/a?b", "site.test:8080"),
        ("OPTIONS", "/a?b", SITE),
        ("GET", "//evil.test/x?y", SITE),
    ] {
        let found = asked(&mut client, method, target, &format!("Host: {host}\r\n"));
        assert_eq!(found, (308, format!("https://{SITE}:{port}{target}")), "{method} {target}");
    }
    client.send("POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.response().status, 308, "a POST is to be sent again as it is");
    let upgrade = "Host: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(asked(&mut edge.connect(), "GET", "/ws", upgrade).0, 308, "a WebSocket too");
    let elsewhere = asked(&mut edge.connect(), "GET", "/", "Host: evil.test\r\n");
    assert_eq!(elsewhere, (404, String::new()), "no route, no redirect to who knows where");
    assert_eq!(stub.accepted(), 0, "the worker never hears of it");

    // Where they are sent they are served.
    let tunnel = Tunnel::to(secured, &Tls::trusting(&authority, Offer::default()), SITE);
    let served =
        asked(&mut Client::connect(tunnel.address()), "GET", "/a?b", "Host: site.test\r\n");
    assert_eq!(served.0, 200, "over TLS");
}

/// Where TLS ends before us, the port is the usual one, which is not written.
#[test]
fn without_tls_of_our_own_the_port_is_443() {
    let stub = Stub::ok();
    let edge = edge(&stub, None, "");
    let found = asked(&mut edge.connect(), "GET", "/a?b", "Host: site.test:80\r\n");
    assert_eq!(found, (308, format!("https://{SITE}/a?b")));
}

#[test]
fn behind_a_proxy_that_ends_tls_there_is_no_loop() {
    let stub = Stub::ok();
    let said = "Host: site.test\r\nX-Forwarded-Proto: https\r\n";
    let trusting = edge(&stub, None, "trusted_proxies: [127.0.0.1]");
    assert_eq!(asked(&mut trusting.connect(), "GET", "/", said).0, 200, "it was https");
    for lines in ["Host: site.test\r\n", "Host: site.test\r\nX-Forwarded-Proto: http\r\n"] {
        assert_eq!(asked(&mut trusting.connect(), "GET", "/", lines).0, 308, "{lines:?}");
    }
    let strict = edge(&stub, None, "");
    assert_eq!(asked(&mut strict.connect(), "GET", "/", said).0, 308, "anybody may say so");
}

/// The PROXY protocol can say it too.
#[test]
fn nor_behind_a_proxy_that_speaks_no_http() {
    let stub = Stub::ok();
    let listener = "redirect_to_https: true, proxy_protocol: true";
    let file = "trusted_proxies: [127.0.0.1]";
    let edge = Front { listeners: &[listener], file, ..Front::default() }.before(stub.address());
    let source = "198.51.100.7:1".parse().expect("an address");
    for (field, status) in [(tls_field("TLSv1.3"), 200), (Vec::new(), 308)] {
        let mut client = edge.connect();
        client.send(v2(source, source, &field));
        let found = asked(&mut client, "GET", "/", "Host: site.test\r\n");
        assert_eq!(found.0, status, "with {} bytes about TLS", field.len());
    }
}

/// The lines of HSTS in the answers to `/app`, `/own`, `/moved`, `/nowhere` and to what is no request at all, of an edge
/// with this `hsts`.
fn hsts(hsts: &str) -> [Vec<String>; 5] {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let own = request.starts_with("GET /own");
            let own = if own { "strict-transport-security: max-age=1\r\n" } else { "" };
            accepted.send(format!("HTTP/1.1 200 OK\r\n{own}content-length: 2\r\n\r\nok"));
        }
    });
    let authority = Authority::create();
    let item = authority.sign("site", &[SITE]).item();
    let comma = if hsts.is_empty() { "" } else { ", " };
    let tls = format!("tls: {{ certificates: [{item}]{comma}{hsts} }}");
    let routes = "  - { match: { path: /moved }, redirect: { to: /elsewhere } }\n  \
        - { match: { path: /app }, upstream: u }\n  - { match: { path: /own }, upstream: u }";
    let edge = Front { listeners: &["", &tls], routes, ..Front::default() }.before(stub.address());
    let tunnel = Tunnel::to(edge.address_of(1), &Tls::trusting(&authority, Offer::default()), SITE);
    let lines = |address: SocketAddr| {
        ["/app", "/own", "/moved", "/nowhere", "/app twice"].map(|path| {
            let response = Client::connect(address).get(path);
            let found = answered(&response, "strict-transport-security");
            found.into_iter().map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let none: Vec<String> = Vec::new();
    let own = vec!["max-age=1".to_owned()];
    let plain = [none.clone(), own, none.clone(), none.clone(), none];
    assert_eq!(lines(edge.address()), plain, "RFC 6797 §7.2");
    lines(tunnel.address())
}

#[test]
fn hsts_is_told_over_tls_alone() {
    let own = vec!["max-age=1".to_owned()];
    for (keys, expected) in [
        ("", None),
        ("hsts: {}", Some("max-age=31536000")),
        ("hsts: { max_age: 1h }", Some("max-age=3600")),
        ("hsts: { include_subdomains: true }", Some("max-age=31536000; includeSubDomains")),
        (
            "hsts: { include_subdomains: true, preload: true }",
            Some("max-age=31536000; includeSubDomains; preload"),
        ),
    ] {
        let [app, kept, moved, nowhere, refused] = hsts(keys);
        let expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(app, expected, "the app's answer with {keys:?}");
        assert_eq!(kept, own, "the app's own is the app's, with {keys:?}");
        assert_eq!(moved, expected, "a redirect with {keys:?}");
        assert_eq!(nowhere, expected, "an error with {keys:?}");
        assert_eq!(refused, expected, "a head that is refused, with {keys:?}");
    }
}
