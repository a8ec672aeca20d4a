use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Address;
use crate::upstream::fixtures;

/// A worker at a listener that the test plays.
async fn worker() -> (Arc<Worker>, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = Address::Tcp(listener.local_addr().expect("its address"));
    let upstream = fixtures::upstream(&fixtures::settings());
    (Arc::new(fixtures::worker(&upstream, "1", 1, address)), listener)
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.expect("a request"));
    }
    String::from_utf8(request).expect("text")
}

/// What comes of a question that is answered with these bytes, and how many connections are kept after it.
async fn ask(method: Method, reply: &'static str) -> (Result<Answer, ProbeError>, usize) {
    let (worker, listener) = worker().await;
    let question = worker.ask(&Probe::new(method, "/up", "test"), Way::Kept);
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let request = read_request(&mut stream).await;
    assert!(
        request.contains(" /up HTTP/1.1\r\nHost: localhost\r\nUser-Agent: asgate-test\r\n"),
        "{request}"
    );
    stream.write_all(reply.as_bytes()).await.expect("taken");
    if reply.contains("close") || !reply.contains("HTTP") {
        stream.shutdown().await.expect("closed");
    }
    let answer = question.await.expect("the question goes on");
    (answer, worker.idle_connections())
}

#[tokio::test]
async fn answers_are_read_and_connections_kept() {
    let cases = [
        (Method::HEAD, "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n", 404, "", 0),
        (Method::GET, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, "ok", 1),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
            200,
            "ok",
            1,
        ),
        (
            Method::GET,
            "HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy",
            503,
            "busy",
            0,
        ),
        (
            Method::GET,
            "HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nto the end",
            200,
            "to the end",
            0,
        ),
        (
            Method::GET,
            "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops",
            500,
            "oops",
            0,
        ),
        (
            Method::GET,
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            204,
            "",
            1,
        ),
    ];
    for (method, reply, status, body, kept) in cases {
        let (answer, idle) = ask(method, reply).await;
        let answer = answer.unwrap_or_else(|error| panic!("{reply:?}: {error}"));
        assert_eq!(answer.status.as_u16(), status, "{reply:?}");
        assert_eq!(String::from_utf8_lossy(&answer.body), body, "{reply:?}");
        assert_eq!(idle, kept, "kept after {reply:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_named() {
    let (closed, _) = ask(Method::GET, "").await;
    assert!(matches!(closed, Err(ProbeError::Closed)), "{closed:?}");
    let (other, idle) = ask(Method::GET, "SSH-2.0-OpenSSH_9.2p1\r\n").await;
    assert!(matches!(other, Err(ProbeError::NotHttp(_))), "{other:?}");
    assert_eq!(idle, 0, "and its connection is not used again");
    let (worker, listener) = worker().await;
    drop(listener);
    let refused = worker.ask(&Probe::new(Method::GET, "/", "test"), Way::Fresh).await;
    assert!(matches!(refused, Ok(Err(ProbeError::Unreachable(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_kept_connection_is_used_unless_a_fresh_one_is_asked_for() {
    let (worker, listener) = worker().await;
    let probe = Probe::new(Method::GET, "/", "test");
    let reply = b"HTTP/1.1 204 No Content\r\n\r\n";
    let first = worker.ask(&probe, Way::Kept);
    let (mut kept, _) = listener.accept().await.expect("a connection");
    read_request(&mut kept).await;
    kept.write_all(reply).await.expect("taken");
    first.await.expect("runs").expect("answered");
    let second = worker.ask(&probe, Way::Kept);
    read_request(&mut kept).await;
    kept.write_all(reply).await.expect("taken");
    second.await.expect("runs").expect("answered on the same connection");
    let third = worker.ask(&probe, Way::Fresh);
    let (mut fresh, _) = listener.accept().await.expect("another connection");
    read_request(&mut fresh).await;
    fresh.write_all(reply).await.expect("taken");
    third.await.expect("runs").expect("answered on a new connection");
}

/// A question that nobody waits for any more still ends in order: no connection is opened and dropped.
#[tokio::test]
async fn gh93821_a_question_is_never_taken_back() {
    let (worker, listener) = worker().await;
    drop(worker.ask(&Probe::new(Method::GET, "/", "test"), Way::Fresh));
    let (mut stream, _) = listener.accept().await.expect("it is asked all the same");
    read_request(&mut stream).await;
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("and waits for the answer");
    while worker.idle_connections() == 0 {
        tokio::task::yield_now().await;
    }
}
