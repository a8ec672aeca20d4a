//! Edges that an HTTP/1.1 client can meet.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::closed_port::ClosedPort;
use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// Echoes the path of a request; holds back the answer to `/held` until there was a request for `/release`, or its
/// connection ends.
fn worker() -> Stub {
    let is_released = AtomicBool::new(false);
    Stub::start(move |mut accepted| {
        while let Some(request) = accepted.request() {
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            is_released.fetch_or(path == "/release", Ordering::SeqCst);
            if path == "/held" {
                let glance = Duration::from_millis(5);
                accepted.stream.set_read_timeout(Some(glance)).expect("a timeout");
                while !is_released.load(Ordering::SeqCst) {
                    if let Ok(0) = accepted.stream.read(&mut [0]) {
                        return;
                    }
                }
                accepted.stream.set_read_timeout(None).expect("no timeout");
            }
            let length = path.len();
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"));
        }
    })
}

#[test]
fn edge_01_idle_and_header_deadlines_hold_after_the_first_request() {
    let stub = worker();
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\", idle_timeout: 2s, header_timeout: 2s }}]\n\
         upstreams: {{ u: {{ servers: [{{ address: \"{}\" }}] }} }}\nroutes: [{{ upstream: u }}]\n",
        stub.address()
    ));
    let asked =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nKeep-Alive: timeout=600\r\n\r\n";
    let patience = Duration::from_secs(15);

    let mut idle = edge.connect();
    idle.send(asked);
    assert_eq!(idle.response().status, 200, "the first request");
    let (after, _) = idle.time_to_end();
    assert!(after < patience, "idle after it: closed after {after:?}");

    let mut half = edge.connect();
    half.send(asked);
    assert_eq!(half.response().status, 200, "the first request");
    let begun = Instant::now();
    half.send("GET / HTTP/1.1\r\n");
    assert_eq!(half.response().status, 408, "half a second one");
    assert!(begun.elapsed() < patience, "refused after {:?}", begun.elapsed());
}

#[test]
fn edge_06_what_the_parser_refuses_is_logged_and_counted() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    for (number, (request, status)) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = edge.connect();
        client.send(request);
        assert_eq!(client.response().status, status, "{request:?}");
        let line = edge.wait_for_log(number + 1).remove(number);
        assert_eq!(line["http.response.status_code"], status, "{request:?}: {line}");
    }
    wait_for("three to be counted", || (edge.requests_counted() >= 3.0).then_some(()));
    edge.wait_for_metric(r#"asgate_terminations_total{reason="bad_request"}"#, 3.0);
}

#[test]
fn edge_07_pipelined_requests_are_answered_in_order() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");

    let mut client = edge.connect();
    let paths: Vec<_> = (0..20).map(|number| format!("/{number}")).collect();
    client.send(paths.iter().map(|path| get(path)).collect::<String>());
    for path in &paths {
        assert_eq!(client.response().text(), *path, "all at once");
    }

    // The second one comes while the worker is busy with the first, and in two reads.
    client.send(get("/held"));
    wait_for("the first at the worker", || stub.received_in_all().contains("/held").then_some(()));
    let second = get("/second");
    let (start, end) = second.split_at(9);
    client.send(start);
    assert!(client.is_quiet_for(Duration::from_millis(50)), "the first is still held");
    client.send(end);
    assert_eq!(edge.connect().get("/release").status, 200, "now it is answered");
    assert_eq!(client.response().text(), "/held", "the first is not disturbed");
    assert_eq!(client.response().text(), "/second", "and the second is whole");

    client.send(format!(
        "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody{}\
         POST /three HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n{}",
        get("/two"),
        get("/four")
    ));
    for path in ["/one", "/two", "/three", "/four"] {
        assert_eq!(client.response().text(), path, "with bodies");
    }
    for line in edge.wait_for_log(27) {
        assert_eq!(line["edge.termination"], "ok", "{line}");
    }
}

#[test]
fn edge_07_a_client_that_sends_fin_is_gone() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for("the request at the worker", || {
        stub.received_in_all().contains("/held").then_some(())
    });
    client.finish();
    let line = edge.only_log_line();
    assert_eq!(
        line["http.response.status_code"], 499,
        "a half-closed client counts as gone: {line}"
    );
    assert_eq!(line["edge.termination"], "client_closed", "{line}");
    assert_eq!(client.rest(), b"", "nothing is sent to it");

    let mut client = edge.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart");
    client.finish();
    assert_eq!(
        edge.wait_for_log(2)[1]["edge.termination"],
        "client_closed",
        "in the middle of its body"
    );
    assert!(!stub.received_in_all().contains("part\r\n"), "and nothing is made up");
}

#[test]
fn edge_10_errors_have_a_body_and_keep_the_connection_where_that_is_safe() {
    let stub = Stub::start(|mut accepted| while accepted.request().is_some() {});
    let dead = ClosedPort::reserve();
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\n\
         upstreams:\n  silent: {{ servers: [{{ address: \"{}\" }}] }}\n  dead: {{ servers: [{{ address: \"{}\" }}] }}\n\
         routes:\n  - {{ match: {{ path: /silent }}, upstream: silent, timeouts: {{ first_byte: 200ms }} }}\n  \
         - {{ match: {{ path: /dead }}, upstream: dead }}\n",
        stub.address(),
        dead.address()
    ));
    let mut client = edge.connect();
    for (path, status) in [("/silent", 504), ("/dead", 502), ("/nowhere", 404)] {
        let response = client.get(path);
        assert_eq!(response.status, status, "{response:?}");
        assert_eq!(response.header("server"), None, "{response:?}");
        assert_eq!(response.json()["status"], status, "{response:?}");
        assert_eq!(
            response.header("connection"),
            Some("keep-alive"),
            "nothing is ambiguous: {response:?}"
        );
    }
}

#[test]
fn edge_15_the_preface_peek_does_not_hold_short_requests_up() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    // Less than the 24 bytes of an HTTP/2 preface, whole, and beginning like it.
    for (what, request) in [
        ("short", "GET / HTTP/1.0\r\n\r\n"),
        ("shortest", "P / HTTP/1.0\r\n\r\n"),
        ("begins as a preface", "PRI / HTTP/1.0\r\n\r\n"),
    ] {
        assert!(request.len() < 24, "shorter than a preface");
        let begun = Instant::now();
        let mut client = edge.connect();
        client.send(request);
        assert_eq!(client.response().status, 200, "{what}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{what}: after {:?}", begun.elapsed());
    }
    // The preface of another version, cut after every byte of what they have in common.
    let mut client = edge.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nXX");
    assert_eq!(client.response().status, 400, "almost a preface is a bad request");
}

#[test]
fn edge_21_clients_that_leave_are_no_errors() {
    let stub = worker();
    let edge = Edge::before(&[stub.address()], "");
    let leave = |bytes: &str, by_reset: bool| {
        let mut client = edge.connect();
        client.send(bytes);
        if by_reset {
            let socket = socket2::SockRef::from(&client.stream);
            socket.set_linger(Some(Duration::ZERO)).expect("linger");
        }
    };
    let mut requests = 0;
    for bytes in [
        "",
        "GET / HT",
        "GET /held HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\npart",
    ] {
        leave(bytes, false);
        leave(bytes, true);
        requests += if bytes.is_empty() { 0 } else { 2 };
    }
    // Frames of HTTP/2 and then nothing.
    leave("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", true);
    leave("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0", false);
    wait_for("the lines", || (edge.access_log().len() >= requests).then_some(()));
    assert_eq!(edge.connect().get("/control").status, 200, "the others are served");
    let stderr = edge.stderr_text();
    for word in ["ERROR", "WARN", "panicked"] {
        assert!(!stderr.contains(word), "a client that leaves is nothing to report: {stderr}");
    }
}

#[test]
fn edge_22_early_bytes_on_an_upgrade_do_no_harm() {
    let stub = Stub::start(|mut accepted| {
        while let Some(head) = accepted.request_head() {
            if !head.contains("upgrade: websocket\r\n") {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                continue;
            }
            accepted.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello");
            let Some(early) = accepted.bytes(5) else {
                return;
            };
            accepted.send(early);
            accepted.close();
            return;
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for _ in 0..20 {
        // In one write with the head: before the worker has agreed, though it should have waited.
        let mut client = edge.connect();
        client.send(format!("{upgrade}\r\nearly"));
        let (status, _) = client.head().expect("an answer");
        assert_eq!(status, 101, "the worker agrees");
        assert_eq!(client.bytes(10), b"helloearly", "nothing is lost either way");
        assert_eq!(client.rest(), b"", "and the end is passed on");
        // With a body: that is no upgrade.
        let mut client = edge.connect();
        client.send(format!("{upgrade}Content-Length: 5\r\n\r\nearly"));
        let _ = client.stream.flush();
        assert_ne!(client.response().status, 101, "an upgrade has no body");
    }
    assert!(!edge.stderr_text().contains("panicked"), "{}", edge.stderr_text());
    assert_eq!(edge.connect().get("/control").text(), "ok", "it still serves");
}
