use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpListener;

use super::{REQUEST, Silence, exchange, is_status, until_answered};
use crate::config::Address;

/// What the worker's side of a connection does with `answer`, and what we make of it.
async fn outcome_of(answer: &'static [u8]) -> Result<(), Silence> {
    let (ours, mut theirs) = duplex(1024);
    let worker = tokio::spawn(async move {
        let mut request = vec![0; REQUEST.len()];
        theirs.read_exact(&mut request).await.expect("the request arrives");
        assert_eq!(request, REQUEST, "one request, nothing else");
        theirs.write_all(answer).await.expect("the answer is taken");
    });
    let outcome = exchange(ours).await;
    worker.await.expect("the worker's side saw what it expected");
    outcome
}

#[tokio::test]
async fn any_status_is_an_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 404 Not Found\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\n\r\nService Unavailable",
    ] {
        let outcome = outcome_of(answer.as_bytes()).await;
        assert!(outcome.is_ok(), "{answer:?} counts as an answer, got {outcome:?}");
    }
}

#[tokio::test]
async fn what_is_not_an_answer_is_named() {
    let closed = outcome_of(b"").await;
    assert!(matches!(closed, Err(Silence::Closed)), "an empty answer is a close: {closed:?}");
    let other = outcome_of(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
    assert!(matches!(&other, Err(Silence::NotHttp(said)) if said == "SSH-2.0-Open"), "{other:?}");
}

#[test]
fn status_line_shapes() {
    for (head, expected) in [
        (b"HTTP/1.1 200", true),
        (b"HTTP/1.0 599", true),
        (b"HTTP/2.0 200", false),
        (b"HTTP/1.1 2x0", false),
        (b"HTTP/1.1:200", false),
        (b"http/1.1 200", false),
    ] {
        assert_eq!(is_status(head), expected, "{}", String::from_utf8_lossy(head));
    }
}

#[tokio::test]
async fn gh93821_an_unanswered_connection_is_not_replaced_by_another() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = Address::Tcp(listener.local_addr().expect("its number"));
    let probe =
        tokio::spawn(async move { until_answered(&address, Duration::from_millis(300)).await });
    let mut accepted = Vec::new();
    while !probe.is_finished() {
        let next = listener.accept();
        if let Ok(connection) = tokio::time::timeout(Duration::from_millis(20), next).await {
            accepted.push(connection.expect("accepted"));
        }
    }
    let outcome = probe.await.expect("the probe returns");
    assert!(matches!(outcome, Err(Silence::Mute)), "connected, never answered: {outcome:?}");
    assert_eq!(accepted.len(), 1, "one connection for the whole wait");
}

#[tokio::test]
async fn nobody_listening_is_told_with_the_system_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = Address::Tcp(listener.local_addr().expect("its number"));
    drop(listener);
    let outcome = until_answered(&address, Duration::from_millis(120)).await;
    assert!(matches!(outcome, Err(Silence::Unreachable(_))), "{outcome:?}");
}
