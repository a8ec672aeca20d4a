//! Clients that take their time over HTTP/2: header blocks, bodies and windows that hardly come, and nothing at all.

use std::time::Instant;

use crate::support::frames::{
    CONTINUATION, DATA, END, END_HEADERS, HEADERS, Method, SETTINGS, block, frame,
};
use crate::support::stub::Stub;
use crate::support::wait_for;

use super::{Duration, Flooder, Target};

const LIMIT: Duration = Duration::from_millis(700);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(4);

/// Checks that something took about as long as the limit.
fn expect_limit(what: &str, begun: Instant) {
    let after = begun.elapsed();
    assert!(after > LIMIT - Duration::from_millis(100), "{what}: only after {after:?}");
    assert!(after < LIMIT + SLACK, "{what}: at last, not after {after:?}");
}

#[test]
fn a_header_block_has_its_time() {
    let target = Target::new("header_timeout: 700ms", "");
    for (way, address) in target.addresses() {
        // All at once and then nothing; a field now and then.
        for is_dripping in [false, true] {
            let mut client = Flooder::connect(address);
            let begun = Instant::now();
            client.send(&frame(HEADERS, END, 1, &block(Method::Get, "/")));
            while is_dripping && begun.elapsed() < LIMIT * 4 && !client.heard().ended {
                // A field `x: y`, literally.
                client.send(&frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y']));
                std::thread::sleep(LIMIT / 3);
            }
            client.end();
            expect_limit(&format!("{way}, dripping: {is_dripping}"), begun);
        }
        // Half of the head of a frame is no header block yet, and none of an idle connection either.
        let mut client = Flooder::connect(address);
        client.send(&frame(HEADERS, END | END_HEADERS, 1, &block(Method::Get, "/")));
        client.wait("an answer", |heard| !heard.answers.is_empty());
        let begun = Instant::now();
        client.send(&frame(HEADERS, END, 3, &block(Method::Get, "/")));
        client.end();
        expect_limit(&format!("{way}, the second request"), begun);
    }
    assert_eq!(target.requests(), 2, "no half of a header reached the worker");
}

#[test]
fn an_idle_connection_has_its_time() {
    let target = Target::new("idle_timeout: 700ms", "");
    for (way, address) in target.addresses() {
        for requests in [0, 1] {
            let mut client = Flooder::connect(address);
            for _ in 0..requests {
                client.send(&frame(HEADERS, END | END_HEADERS, 1, &block(Method::Get, "/")));
                client.wait("an answer", |heard| !heard.answers.is_empty());
            }
            let begun = Instant::now();
            client.end();
            expect_limit(&format!("{way}, after {requests} requests"), begun);
        }
    }
}

#[test]
fn a_body_has_its_time() {
    let target = Target::new("", ", timeouts: { request_body: 700ms }");
    for (way, address) in target.addresses() {
        let mut client = Flooder::connect(address);
        client.send(&frame(HEADERS, END_HEADERS, 1, &block(Method::Post, "/")));
        // Within its time, then not.
        for _ in 0..3 {
            std::thread::sleep(LIMIT / 2);
            client.send(&frame(DATA, 0, 1, b"part"));
        }
        assert_eq!(client.heard().answers, [], "{way}: it is waited for");
        let begun = Instant::now();
        client.wait("an answer", |heard| !heard.answers.is_empty() || heard.ended);
        expect_limit(way, begun);
        let heard = client.leave();
        assert!(!heard.answers.contains(&(1, 0x88)), "{way}: a 408: {heard:?}");
    }
    for line in target.edge.wait_for_log(2) {
        assert_eq!(line["http.response.status_code"], 408, "{line}");
        assert_eq!(line["edge.termination"], "client_timeout", "{line}");
    }
}

/// A client that asks for much and opens no window for it costs what `client_write` allows, and little memory.
#[test]
fn a_window_that_stays_shut_has_its_time() {
    const STREAMS: u32 = 50;
    let worker = Stub::start(|mut accepted| {
        while accepted.request().is_some() {
            let body = vec![b'x'; 1 << 20];
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()));
            accepted.send(&body);
        }
    });
    let edge = crate::support::front::Front {
        listeners: &["http2: true"],
        routes: "  - { upstream: u, timeouts: { client_write: 700ms } }",
        ..crate::support::front::Front::default()
    }
    .before(worker.address());
    assert_eq!(edge.connect().get("/").status, 200, "warm");
    let before = crate::support::held::of_status(edge.pid(), "VmHWM:");
    let mut client = Flooder::connect(edge.address());
    // SETTINGS_INITIAL_WINDOW_SIZE (4) of 0.
    client.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let begun = Instant::now();
    for n in 0..STREAMS {
        client.send(&frame(HEADERS, END | END_HEADERS, 2 * n + 1, &block(Method::Get, "/")));
    }
    let all = STREAMS as usize;
    client.wait("all streams to be given up", |heard| heard.resets.len() == all || heard.ended);
    expect_limit("a shut window", begun);
    wait_for("nothing to be under way", || {
        let busy = edge.metric(r#"asgate_requests_in_flight{upstream="u"}"#);
        (busy == 0.0).then_some(())
    });
    let grown = crate::support::held::of_status(edge.pid(), "VmHWM:").saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB for {STREAMS} bodies of 1 MiB that nobody takes");
    for line in edge.wait_for_log(all + 1).iter().skip(1) {
        assert_eq!(line["edge.termination"], "client_timeout", "{line}");
    }
}
