use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::client::{self, Scheme};
use crate::http1::Fault;
use crate::listener::seldom::Seldom;
use crate::telemetry::Metrics;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Longer than anything that comes is waited for on a busy machine.
const AMPLE: Duration = Duration::from_secs(30);
/// Where what does not come is waited for.
const SHORT: Duration = Duration::from_millis(100);

async fn connected() -> (ClientStream, TcpStream) {
    connected_with(AMPLE).await
}

/// With this `header_timeout` and `idle_timeout`.
async fn connected_with(limit: Duration) -> (ClientStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let client = TcpStream::connect(address).await.expect("connected");
    let (accepted, peer) = listener.accept().await.expect("accepted");
    let facts = Facts {
        name: "test".into(),
        http2: true,
        header_timeout: limit,
        idle_timeout: limit,
        max_head: 200,
        max_lines: 3,
        redirect_to_https: None,
        hsts: None,
        metrics: Metrics::new().expect("metrics").listener("test"),
        floods: Seldom::default(),
    };
    let connection = Connection {
        peer: Peer::tcp(peer),
        listener: Arc::new(facts),
        identity: client::Facts::new(Scheme::Http, None),
        tls: None,
        proxied: None,
    };
    (ClientStream::new(Stream::Tcp(accepted), connection), client)
}

async fn read(stream: &mut ClientStream) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer).await.expect("read");
    buffer.truncate(length);
    buffer
}

#[tokio::test]
async fn a_head_is_given_whole_and_alone() {
    let (mut stream, mut client) = connected().await;
    let (first, second) = REQUEST.split_at(9);
    client.write_all(first).await.expect("sent");
    let early = tokio::time::timeout(Duration::from_millis(20), read(&mut stream)).await;
    assert!(early.is_err(), "no half head is given");
    assert!(!stream.is_idle(), "a request has begun");
    client.write_all(&[second, b"body"].concat()).await.expect("sent");
    assert_eq!(read(&mut stream).await, REQUEST, "the head by itself");
    assert_eq!(read(&mut stream).await, b"body", "then the body");
    assert!(stream.head().is_some_and(|head| head.parts.http11), "the head is known");
}

#[tokio::test]
async fn what_follows_a_request_is_the_next() {
    let (mut stream, mut client) = connected().await;
    client.write_all(&[REQUEST, b"GET /2 "].concat()).await.expect("sent");
    assert_eq!(read(&mut stream).await, REQUEST, "the first");
    client.write_all(b"HTTP/1.1\r\n").await.expect("sent");
    assert!(stream.fill().await.is_ok_and(|read| read > 0), "read while the first is served");
    stream.expect_head();
    client.write_all(b"Host: a\r\n\r\n").await.expect("sent");
    assert_eq!(read(&mut stream).await, REQUEST, "the engine gets it without its target");
    let head = stream.head().expect("the second");
    assert_eq!(&head.raw[head.parts.target], b"/2", "which is kept for us");
}

#[tokio::test]
async fn a_refused_head_is_the_end_for_the_engine() {
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(300));
    let wide = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(300));
    let cases: [(&[u8], Refusal); 5] = [
        (b"GET / HTTP/1.1\r\n\r\n", Refusal::Fault(Fault::Host)),
        (
            b"GET / HTTP/1.0\r\na:1\r\nb:2\r\nc:3\r\nd:4\r\n\r\n",
            Refusal::Fault(Fault::TooManyHeaders),
        ),
        (&long.as_bytes()[..250], Refusal::TargetTooLong),
        (wide.as_bytes(), Refusal::HeadTooLarge),
        (b"GET / HTT", Refusal::TooSlow),
    ];
    for (sent, refusal) in cases {
        let (mut stream, mut client) = connected_with(SHORT).await;
        client.write_all(sent).await.expect("sent");
        assert_eq!(read(&mut stream).await, b"", "nothing for the engine: {refusal:?}");
        assert_eq!(stream.refusal().0, refusal, "{:?}", sent.escape_ascii());
    }
}

#[tokio::test]
async fn an_idle_connection_ends_without_a_refusal() {
    let (mut stream, _client) = connected_with(SHORT).await;
    assert_eq!(stream.arrival().await, Arrival::Nothing, "idle_timeout, and no request had begun");
    assert_eq!(read(&mut stream).await, b"", "nothing for the engine");
}

#[tokio::test]
async fn the_preface_is_told_apart_without_waiting_for_all_of_it() {
    for (sent, http2) in [(PREFACE, true), (b"GET", false), (b"PRI", false)] {
        // Of the last one no more comes.
        let (mut stream, mut client) = connected_with(SHORT).await;
        client.write_all(sent).await.expect("sent");
        assert_eq!(stream.speaks_http2().await, Some(http2), "{:?}", sent.escape_ascii());
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn frames_reach_the_engine_as_they_come() {
    let (mut stream, mut client) = connected().await;
    client.write_all(PREFACE).await.expect("sent");
    assert_eq!(stream.speaks_http2().await, Some(true), "the preface");
    stream.expect_frames();
    assert_eq!(read(&mut stream).await, PREFACE, "nothing is lost of it");
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    client.write_all(&settings).await.expect("sent");
    assert_eq!(read(&mut stream).await, settings, "nor of a frame");
}

#[tokio::test]
async fn a_flood_of_frames_is_the_end() {
    let (mut stream, mut client) = connected().await;
    client.write_all(PREFACE).await.expect("sent");
    assert_eq!(stream.speaks_http2().await, Some(true), "the preface");
    stream.expect_frames();
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut given = 0;
    let refused = loop {
        // The socket has room for some at a time.
        client.write_all(&ping).await.expect("sent");
        let mut buffer = [0; 64];
        match stream.read(&mut buffer).await {
            Ok(read) => given += read,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.to_string(), "ping_flood", "the engine is told so");
    assert!((1_000..5_000).contains(&given), "after a fair number of them: {given} bytes");
}

#[tokio::test]
async fn a_header_block_of_frames_has_its_time() {
    for slow in [&PREFACE[..10], &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]] {
        let (mut stream, mut client) = connected_with(SHORT).await;
        stream.expect_frames();
        if slow.len() == 10 && slow[0] == 0 {
            client.write_all(PREFACE).await.expect("sent");
            assert_eq!(read(&mut stream).await, PREFACE, "the preface is whole");
        }
        client.write_all(slow).await.expect("sent");
        let mut buffer = [0; 64];
        let read = stream.read(&mut buffer).await.expect("given on at once");
        assert_eq!(&buffer[..read], slow, "as it is");
        let late = stream.read(&mut buffer).await.expect_err("header_timeout");
        assert_eq!(late.to_string(), "slow_headers", "{:?}", slow.escape_ascii());
    }
}

#[tokio::test]
async fn small_writes_leave_together_when_flushed() {
    let (mut stream, mut client) = connected().await;
    stream.hold();
    stream.write_all(b"one ").await.expect("written");
    AsyncWriteExt::flush(&mut stream).await.expect("held");
    stream.write_all(b"two").await.expect("written");
    let mut buffer = [0; 64];
    assert!(client.try_read(&mut buffer).is_err(), "nothing was sent yet");
    stream.release();
    stream.flush().await.expect("sent");
    let length = client.read(&mut buffer).await.expect("read");
    assert_eq!(&buffer[..length], b"one two", "in one piece");
}
