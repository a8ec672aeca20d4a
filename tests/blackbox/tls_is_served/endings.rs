//! How connections over TLS end: in their time, with `close_notify` when all was said (RFC 8446 §6.1), and without it when
//! not.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, Tunnel};
use crate::support::wait_for;

use super::{SITE, site};

const LIMIT: Duration = Duration::from_millis(700);
const SLACK: Duration = Duration::from_secs(4);

#[test]
fn heads_and_pauses_have_their_time() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "", "header_timeout: 700ms, idle_timeout: 700ms");
    let tls = Tls::trusting(&authority, Offer::default());
    let tunnel = Tunnel::to(edge.address(), &tls, SITE);
    for requests in [0, 2] {
        for (what, start) in [("idle", ""), ("half a head", "GET / HTTP/1.1\r\nHost: a\r\nX: ")] {
            let mut client = Client::connect(tunnel.address());
            for _ in 0..requests {
                assert_eq!(client.get("/").status, 200, "the connection is a good one");
            }
            let begun = Instant::now();
            client.send(start);
            if !start.is_empty() {
                assert_eq!(client.response().status, 408, "{what} after {requests}");
            }
            assert_eq!(client.rest(), b"", "{what} after {requests}: the connection ends");
            let after = begun.elapsed();
            assert!(after > LIMIT - Duration::from_millis(100), "{what}: only after {after:?}");
            assert!(after < LIMIT + SLACK, "{what}: at last, not after {after:?}");
        }
    }
}

/// Where the end of the connection is the end of the body, half a body must not look whole.
#[test]
fn half_an_answer_does_not_end_as_a_whole_one_does() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let is_half = request.starts_with("GET /half");
            accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
            if is_half {
                return accepted.reset();
            }
            accepted.send("0\r\n\r\n");
        }
    });
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "", "");
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let tls = Tls::trusting(&authority, Offer { versions: &versions, ..Offer::default() });
        for (path, is_whole) in [("/whole", true), ("/half", false)] {
            let mut session = tls.handshake(edge.address(), SITE).expect("a handshake");
            let head = format!("GET {path} HTTP/1.0\r\nHost: {SITE}\r\n\r\n");
            session.stream().write_all(head.as_bytes()).expect("sent");
            let mut answer = Vec::new();
            // rustls tells an end without `close_notify` from one with it.
            let end = session.stream().read_to_end(&mut answer).map_err(|error| error.kind());
            let answer = answer.escape_ascii();
            assert_eq!(end.is_ok(), is_whole, "{path}, {versions:?}: {end:?} after {answer}");
            let broken = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            assert!(is_whole || end.is_err_and(|kind| broken.contains(&kind)), "{path}: {end:?}");
        }
    }
}

#[test]
fn a_stop_lets_streams_come_to_their_end() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let stub = Stub::start(move |mut accepted| {
        while accepted.request().is_some() {
            accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            let _ = released.lock().expect("alone").recv();
            accepted.send("4\r\nlast\r\n0\r\n\r\n");
        }
    });
    let authority = Authority::create();
    let mut edge = site(&authority, stub.address(), "", "");
    let tunnel = Tunnel::to(edge.address(), &Tls::trusting(&authority, Offer::default()), SITE);
    let mut idle = Client::connect(tunnel.address());
    let mut client = Client::connect(tunnel.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().map(|(status, _)| status), Some(200), "a stream");
    assert_eq!(client.chunk().as_deref(), Some(&b"first"[..]), "its first part");
    edge.signal("TERM");
    wait_for("the edge to stop listening", || {
        std::net::TcpStream::connect(edge.address()).is_err().then_some(())
    });
    assert_eq!(idle.rest(), b"", "who has no request is not waited for");
    release.send(()).expect("the worker is there");
    assert_eq!(client.chunk().as_deref(), Some(&b"last"[..]), "its last part");
    assert_eq!(client.chunk().as_deref(), Some(&b""[..]), "its end");
    assert_eq!(edge.wait().code(), Some(0), "and then the edge has stopped");
}
