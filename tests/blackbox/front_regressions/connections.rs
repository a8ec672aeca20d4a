//! What was believed, kept open or written down of a client's connection and should not have been.

use std::io::Write;
use std::net::TcpStream;

use super::{of_listener, told, values};
use crate::support::edge::Edge;
use crate::support::frames::{Frames, PING, frame};
use crate::support::front::Front;
use crate::support::http2;
use crate::support::sources::client_from;
use crate::support::stub::Stub;

/// Apps that know headers as CGI does (RFC 3875 §4.1.18) take `x_user` and `X-User` for one.
#[test]
fn what_a_route_says_of_a_header_holds_for_it_with_underscores_too() {
    let stub = Stub::echoing();
    let routes = "  - { upstream: u, headers: { request: { \
        set: { X-User: \"{client_cert_subject}\", X-Trusted-Site: edge }, add: { X-Also: edge }, \
        remove: [X-Debug] } } }";
    let edge =
        Front { listeners: &["http2: true"], routes, ..Front::default() }.before(stub.address());
    let expect = |what: &str, got: &str| {
        let lower = got.to_lowercase();
        for forged in ["x_user", "x-user: cn", "x_trusted", "trusted_site: c", "x_debug", "x-debug"]
        {
            assert!(!lower.contains(forged), "{forged}, {what}: {got}");
        }
        assert_eq!(values(got, "x-trusted-site"), ["edge"], "{what}: {got}");
        assert_eq!(
            values(got, "x_also"),
            ["client"],
            "what is added is beside others, {what}: {got}"
        );
        assert_eq!(values(got, "x-also"), ["edge"], "{what}: {got}");
    };
    let sent = "x_user: CN=admin\r\nX_User: CN=admin\r\nX-User: CN=admin\r\nX-Trusted_Site: client\r\n\
        x_trusted_site: client\r\nX_DEBUG: 1\r\nx-debug: 1\r\nx_also: client\r\n";
    expect("HTTP/1.1", &edge.connect().get_with("/", sent).text());
    let lines = "[('x_user', 'CN=admin'), ('x-trusted_site', 'client'), ('x_trusted_site', 'client'), \
        ('x_debug', '1'), ('x_also', 'client')]";
    let script = format!("tell(c.answer(c.open('GET', '/', {lines}))['body'])");
    expect("HTTP/2", http2::run(edge.address(), &script).as_str().expect("text"));
}

/// Lines of one name are one list (RFC 9110 §5.3).
#[test]
fn a_client_that_wants_to_close_is_heard_in_every_line_of_connection() {
    let stub = Stub::ok();
    let edge = Front::default().before(stub.address());
    for (lines, closes) in [
        ("Connection: x-a\r\nConnection: close\r\n", true),
        ("Connection: x-a\r\nConnection: x-b, Close\r\n", true),
        ("Connection: x-a\r\nX-Other: 1\r\nconnection: x-b\r\nCONNECTION: close\r\n", true),
        ("Connection: x-a\r\nConnection: x-close\r\n", false),
    ] {
        let mut client = edge.connect();
        let response = client.get_with("/", lines);
        assert_eq!(response.status, 200, "{lines:?}: {response:?}");
        let is_told = response.header("connection") == Some("close");
        assert_eq!(is_told, closes, "{lines:?}: {response:?}");
        if closes {
            assert_eq!(client.rest(), b"", "{lines:?}: it ends");
        } else {
            assert_eq!(client.get("/").status, 200, "the control: {lines:?}");
        }
    }
}

/// How often a client does what it may not.
const TIMES: usize = 40;

/// An edge whose listener has this key.
fn edge(stub: &Stub, listener: &str) -> Edge {
    Front { listeners: &[listener], file: "trusted_proxies: [127.0.0.1]", ..Front::default() }
        .before(stub.address())
}

fn refused(reason: &str) -> String {
    of_listener("asgate_connections_refused_total", &format!("reason=\"{reason}\""))
}

/// Checks that the edge warned of something once. Whoever can connect could fill the disk if it did so each time.
fn expect_one_warning(edge: &Edge, of: &str) {
    let lines = told(edge, " WARN ");
    assert_eq!(lines.len(), 1, "one is enough: {lines:#?}");
    assert!(lines[0].contains(of), "and it says what: {lines:#?}");
}

#[test]
fn connections_that_nobody_announced_are_one_line_in_the_log() {
    let stub = Stub::ok();
    let edge = edge(&stub, "proxy_protocol: true");
    for _ in 0..TIMES {
        let mut client = edge.connect();
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.rest(), b"", "nobody announced it");
    }
    edge.wait_for_metric(&refused("proxy_protocol"), TIMES as f64);
    expect_one_warning(&edge, "PROXY protocol");
}

#[test]
fn floods_are_one_line_in_the_log() {
    let stub = Stub::ok();
    let edge = edge(&stub, "http2: true");
    for _ in 0..TIMES {
        let mut socket = TcpStream::connect(edge.address()).expect("connected");
        let mut client = Frames::over(socket.try_clone().expect("a second handle"));
        // It is ended before all of it was sent, perhaps.
        let _ = socket.write_all(&frame(PING, 0, 0, &[7; 8]).repeat(1_000));
        while client.next().is_some() {}
    }
    let floods = of_listener("asgate_http2_abuse_total", "reason=\"ping_flood\"");
    edge.wait_for_metric(&floods, TIMES as f64);
    expect_one_warning(&edge, "HTTP/2");
}

/// Also when somebody leaves now and then, and another gets in.
#[test]
fn connections_beyond_the_most_are_one_line_in_the_log() {
    const ROUNDS: usize = 10;
    let stub = Stub::ok();
    let open = of_listener("asgate_listener_connections", "");
    for limit in ["max_connections", "max_connections_per_address"] {
        let edge = edge(&stub, &format!("{limit}: 2"));
        // No trusted proxy: those are not counted.
        let connect = || client_from(2, edge.address());
        for round in 0..ROUNDS {
            let mut inside = [connect(), connect()];
            // They are in for sure once they are served.
            for client in &mut inside {
                assert_eq!(client.get("/").status, 200, "{limit}: there is room, in round {round}");
            }
            assert_eq!(connect().rest(), b"", "{limit}: one more, in round {round}");
            drop(inside);
            edge.wait_for_metric(&open, 0.0);
        }
        edge.wait_for_metric(&refused(limit), ROUNDS as f64);
        expect_one_warning(&edge, limit);
    }
}
