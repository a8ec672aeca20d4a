use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::client::{self, Scheme};
use crate::http1::Fault;
use pingora::protocols::Peek;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn connected() -> (ClientStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let client = TcpStream::connect(address).await.expect("connected");
    let (accepted, peer) = listener.accept().await.expect("accepted");
    let facts = Facts {
        name: "test".into(),
        identity: client::Facts::new(Scheme::Http, None),
        http2: true,
        header_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(100),
        max_head: 200,
        max_lines: 3,
    };
    let connection = Connection { peer: Peer::tcp(peer), listener: Arc::new(facts) };
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
        let (mut stream, mut client) = connected().await;
        client.write_all(sent).await.expect("sent");
        assert_eq!(read(&mut stream).await, b"", "nothing for the engine: {refusal:?}");
        assert_eq!(stream.refusal().0, refusal, "{:?}", sent.escape_ascii());
    }
}

#[tokio::test]
async fn an_idle_connection_ends_without_a_refusal() {
    let (mut stream, _client) = connected().await;
    assert_eq!(stream.arrival().await, Arrival::Nothing, "idle_timeout, and no request had begun");
    assert_eq!(read(&mut stream).await, b"", "nothing for the engine");
}

#[tokio::test]
async fn the_preface_is_told_apart_without_waiting_for_all_of_it() {
    for (sent, http2) in
        [(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], true), (b"GET", false), (b"PRI", false)]
    {
        let (mut stream, mut client) = connected().await;
        client.write_all(sent).await.expect("sent");
        let mut preface = [0; 24];
        assert!(stream.try_peek(&mut preface).await.expect("peeked"), "supported");
        assert_eq!(
            preface == *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            http2,
            "{:?}",
            sent.escape_ascii()
        );
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
