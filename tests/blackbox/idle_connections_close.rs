//! A connection on which nothing happens is closed after the listener's `idle_timeout`, before its first request as well as
//! between two, and whatever the client would like; one on which something happens is not.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{DATA, Frames, GOAWAY};
use crate::support::http2;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// What the tests configure.
const IDLE: Duration = Duration::from_millis(400);
/// How long an HTTP/2 client is given to end the connection itself.
const FAREWELL: Duration = Duration::from_secs(2);
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

/// In order: the client hears that nothing more is answered (RFC 9113 §6.8), before the connection ends.
#[test]
fn http2_connections_with_goaway() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    for (what, asks) in [("without a request", false), ("after a request", true)] {
        let mut client = Frames::connect(edge.address());
        if asks {
            client.get(1, "/");
            client.until(DATA);
        }
        let begun = Instant::now();
        let frames = client.until(GOAWAY);
        let goaway = frames.last().expect("it is there");
        assert_eq!(goaway.payload[4..8], [0; 4], "{what}: without an error: {goaway:?}");
        let rest: Vec<_> =
            std::iter::from_fn(|| client.next()).filter(|frame| frame.kind != GOAWAY).collect();
        assert!(rest.is_empty(), "{what}: then it ends: {rest:#?}");
        let after = begun.elapsed();
        assert!(after >= IDLE - Duration::from_millis(100), "{what}: only after {after:?}");
        assert!(after < IDLE + SLACK, "{what}: at last, not after {after:?}");
    }
}

/// The engine waits for the answer to its PING before it says its last GOAWAY.
#[test]
fn http2_connections_of_clients_that_do_not_answer() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    let mut stream = TcpStream::connect(edge.address()).expect("connected");
    let _client = Frames::over(stream.try_clone().expect("a second handle"));
    let begun = Instant::now();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("the end, and no reset");
    let after = begun.elapsed();
    assert!(after >= IDLE - Duration::from_millis(100), "only after {after:?}");
    assert!(after < IDLE + FAREWELL + SLACK, "at last, not after {after:?}");
    let goaway = said.windows(5).any(|bytes| bytes == [0, 0, 8, GOAWAY, 0]);
    assert!(goaway, "it was told: {said:?}");
}
