//! A connection on which nothing happens is closed after the listener's `idle_timeout`, before its first request as well as
//! between two, and whatever the client would like; one on which something happens is not.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::http2;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// What the tests configure.
const IDLE: Duration = Duration::from_millis(400);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(4);

/// An edge whose listener has `idle_timeout: 400ms` and a far longer `header_timeout`.
fn edge(stub: &Stub) -> Edge {
    Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\", http2: true, idle_timeout: 400ms, header_timeout: 20s }}]\n\
         admin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {{ servers: [{{ address: \"{}\" }}] }} }}\nroutes: [{{ upstream: u }}]\n",
        stub.address()
    ))
}

/// Waits for the end of the connection and checks that it came in time and without a word.
fn expect_idle_close(what: &str, client: &mut Client) {
    let (after, rest) = client.time_to_end();
    assert_eq!(rest, b"", "{what}: nothing is said, as nothing was asked");
    // The clock began with the last byte, a little before this one did.
    assert!(after >= IDLE - Duration::from_millis(100), "{what}: only after {after:?}");
    assert!(after < IDLE + SLACK, "{what}: at last, not after {after:?}");
}

#[test]
fn before_the_first_request_and_after_it() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    expect_idle_close("no request at all", &mut edge.connect());
    for (what, headers) in [
        ("after a request", ""),
        (
            "a client that asks for a minute",
            "Connection: keep-alive\r\nKeep-Alive: timeout=60, max=1000\r\n",
        ),
        ("a client that asks for ever", "Keep-Alive: timeout=0\r\n"),
    ] {
        let mut client = edge.connect();
        for _ in 0..2 {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
            assert_eq!(client.response().status, 200, "{what}");
        }
        expect_idle_close(what, &mut client);
    }
    let mut client = edge.connect();
    client.send(
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n",
    );
    assert_eq!(client.response().status, 200, "HTTP/1.0");
    expect_idle_close("HTTP/1.0 with keep-alive", &mut client);
    let mut client = edge.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert_eq!(client.response().status, 200, "an upload");
    expect_idle_close("after an upload", &mut client);
    assert_eq!(edge.wait_for_log(8).len(), 8, "idle connections are no requests");
}

#[test]
fn a_request_under_way_is_not_idle() {
    let stub = Stub::start(|mut accepted| {
        while accepted.request().is_some() {
            // Thrice the client's idle time.
            std::thread::sleep(IDLE * 3);
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let edge = edge(&stub);
    let begun = Instant::now();
    let mut client = edge.connect();
    assert_eq!(client.get("/").text(), "ok", "the answer comes, however long it takes");
    assert!(begun.elapsed() >= IDLE * 3, "it took longer than a client may be idle");
    let answers = http2::run(edge.address(), "tell(c.answer(c.open('GET', '/'))['status'])");
    assert_eq!(answers, 200, "over HTTP/2 too");
}

#[test]
fn a_connection_in_use_is_not_idle() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    wait_for("a run without a hiccup of this machine", || {
        let mut client = edge.connect();
        let begun = Instant::now();
        while begun.elapsed() < IDLE * 3 {
            let last = Instant::now();
            std::thread::sleep(IDLE / 4);
            client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let answered = client.try_response_to("GET").is_some();
            // It was idle after all when this process was not given the time to send.
            if !answered && last.elapsed() > IDLE / 2 {
                return None;
            }
            assert!(answered, "each request begins the idle time anew");
        }
        Some(())
    });
}

#[test]
fn http2_connections_too() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    let seconds = http2::run(
        edge.address(),
        "unused = c.until_closed()\n\
         c = Http2(int(sys.argv[1]))\n\
         status = c.answer(c.open('GET', '/'))['status']\n\
         tell([unused, status, c.until_closed()])",
    );
    assert_eq!(seconds[1], 200, "{seconds}");
    for (what, seconds) in [("without a request", &seconds[0]), ("after a request", &seconds[2])] {
        let after = Duration::from_secs_f64(seconds.as_f64().expect("seconds"));
        assert!(after >= IDLE - Duration::from_millis(100), "{what}: only after {after:?}");
        assert!(after < IDLE + SLACK, "{what}: at last, not after {after:?}");
    }
}
