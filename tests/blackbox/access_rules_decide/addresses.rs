//! `allow` and `deny`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::http2;
use crate::support::proxied::{v1, v2};
use crate::support::sources::client_from;
use crate::support::stub::Stub;

const ROUTES: &str = "  \
    - { name: allow, match: { path: /allow }, upstream: u, allow: [127.0.0.2, 127.0.0.8/30, 198.51.100.7, \"2001:db8::/32\"] }\n  \
    - { name: deny, match: { path: /deny }, upstream: u, deny: [127.0.0.2, 127.0.0.8/30, 198.51.100.7, \"2001:db8::/32\"] }\n  \
    - { name: both, match: { path: /both }, upstream: u, allow: [127.0.0.0/8], deny: [127.0.0.2] }\n  \
    - { name: none, match: { path: /none }, upstream: u, allow: [127.0.0.2], deny: [127.0.0.0/8] }\n  \
    - { name: fixed, match: { path: /fixed }, respond: { body: x }, deny: [127.0.0.2] }\n  \
    - { name: rest, upstream: u }";

/// The statuses of a client under `/allow`, `/deny` and `/both`.
fn statuses(client: &mut Client, headers: &str) -> [u16; 3] {
    ["/allow", "/deny", "/both"].map(|path| client.get_with(path, headers).status)
}

#[test]
fn the_address_of_a_client_decides() {
    let stub = Stub::ok();
    let edge = Front { routes: ROUTES, ..Front::default() }.before(stub.address());
    for (last, expected) in [
        (1, [403, 200, 200]),
        (2, [200, 403, 403]),
        (7, [403, 200, 200]),
        (8, [200, 403, 200]),
        (11, [200, 403, 200]),
        (12, [403, 200, 200]),
    ] {
        let mut client = client_from(last, edge.address());
        assert_eq!(statuses(&mut client, ""), expected, "from 127.0.0.{last}");
        assert_eq!(client.get("/none").status, 403, "`deny` wins, from 127.0.0.{last}");
        assert_eq!(client.get("/rest").status, 200, "where nothing is said, from 127.0.0.{last}");
        let fixed = if last == 2 { 403 } else { 200 };
        assert_eq!(client.get("/fixed").status, fixed, "a fixed answer, from 127.0.0.{last}");
    }
}

#[test]
fn who_is_not_let_in_is_told_and_logged() {
    let stub = Stub::ok();
    let edge = Front { listeners: &["http2: true"], routes: ROUTES, ..Front::default() }
        .before(stub.address());
    let mut client = edge.connect();
    let response = client.post("/allow", "a body that nobody reads");
    assert_eq!(response.status, 403, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{response:?}");
    assert!(!response.text().contains("127.0.0.1"), "nothing of the inside: {}", response.text());
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "denied", "{line}");
    assert_eq!(line["edge.route"], "allow", "{line}");
    assert_eq!(line["http.response.status_code"], 403, "{line}");
    let answers = http2::run(
        edge.address(),
        "tell([c.answer(c.open('GET', path))['status'] for path in ('/allow', '/deny')])",
    );
    assert_eq!(answers, serde_json::json!([403, 200]), "over HTTP/2");
    edge.wait_for_metric(r#"asgate_terminations_total{reason="denied"}"#, 2.0);
    assert!(!stub.received_in_all().contains("/allow"), "{}", stub.received_in_all());
}

#[test]
fn only_a_trusted_proxy_may_say_who_the_client_is() {
    let stub = Stub::ok();
    let edge = Front { routes: ROUTES, file: "trusted_proxies: [127.0.0.5]", ..Front::default() }
        .before(stub.address());
    for (last, headers, expected) in [
        (5, "X-Forwarded-For: 198.51.100.7\r\n", [200, 403, 403]),
        (5, "X-Forwarded-For: 2001:db8::5\r\n", [200, 403, 403]),
        (5, "X-Forwarded-For: 127.0.0.2\r\n", [200, 403, 403]),
        // Whatever stands before it, the client may have written.
        (5, "X-Forwarded-For: 127.0.0.2, 127.0.0.1\r\n", [403, 200, 200]),
        // A health check of the proxy itself.
        (5, "", [403, 200, 200]),
        // Anybody may write this.
        (1, "X-Forwarded-For: 127.0.0.2\r\n", [403, 200, 200]),
        (2, "X-Forwarded-For: 127.0.0.1\r\n", [200, 403, 403]),
        (1, "X-Real-IP: 127.0.0.2\r\nForwarded: for=127.0.0.2\r\n", [403, 200, 200]),
        (2, "X_Forwarded_For: 127.0.0.1\r\nClient-IP: 127.0.0.1\r\n", [200, 403, 403]),
    ] {
        let found = statuses(&mut client_from(last, edge.address()), headers);
        assert_eq!(found, expected, "from 127.0.0.{last} with {headers:?}");
    }
}

#[test]
fn the_proxy_protocol_says_it_too() {
    let stub = Stub::ok();
    let edge = Front {
        listeners: &["proxy_protocol: true"],
        routes: ROUTES,
        file: "trusted_proxies: [127.0.0.1]",
    }
    .before(stub.address());
    for (source, expected) in [
        ("198.51.100.7:1", [200, 403, 403]),
        ("198.51.100.8:1", [403, 200, 403]),
        ("127.0.0.2:1", [200, 403, 403]),
        ("127.0.0.3:1", [403, 200, 200]),
        ("[2001:db8::5]:1", [200, 403, 403]),
        // IPv4 in IPv6 (RFC 4291 §2.5.5.2) is the client that it is.
        ("[::ffff:198.51.100.7]:1", [200, 403, 403]),
    ] {
        let source = source.parse().expect("an address");
        for header in [v1(source, source), v2(source, source, &[])] {
            let mut client = edge.connect();
            client.send(&header);
            assert_eq!(statuses(&mut client, ""), expected, "announced as {source}");
            let forged = statuses(&mut client, "X-Forwarded-For: 127.0.0.3\r\n");
            assert_eq!(forged, expected, "announced as {source}, which may say no more");
        }
    }
}

/// Who comes over a Unix socket has no address: that is none of those allowed, and none of those denied.
#[test]
fn a_client_without_an_address_is_none_of_those_allowed() {
    let stub = Stub::ok();
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("edge.sock");
    let text = Front { routes: ROUTES, ..Front::default() }
        .config(stub.address())
        .replace(
            "127.0.0.1:0\" }\nadmin",
            "127.0.0.1:0\" }\n  - { address: \"unix:SOCKET\" }\nadmin",
        )
        .replace("SOCKET", &socket.display().to_string());
    let _edge = Edge::start(&text);
    for (path, status) in [("/allow", "403"), ("/deny", "200"), ("/both", "403"), ("/rest", "200")]
    {
        let mut stream = UnixStream::connect(&socket).expect("connected");
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
}
