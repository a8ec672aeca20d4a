//! Who does not get in, what he is told, and for how long he holds a place.

use std::io;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::handshake::Refused;
use super::visitor::Visitor;
use super::world::{Authority, Directory, Front, Key, SHORT, settings};
use super::{LONG, until};
use crate::config::ListenerTls;
use crate::listener::tls::Failure;

fn world() -> (Authority, Directory, ListenerTls) {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let files = directory.put("a", &authority.sign(&["a.example"], Key::Ecdsa));
    (authority, directory, settings(vec![files]))
}

/// The first bytes of a client.
fn hello(visitor: &Visitor) -> Vec<u8> {
    let name = ServerName::try_from("a.example").expect("a name");
    let mut tls = ClientConnection::new(visitor.config.clone().into(), name).expect("a client");
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).expect("written");
    bytes
}

async fn connect(front: &Front) -> TcpStream {
    TcpStream::connect(front.address()).await.expect("connected")
}

/// Why the next connection fails.
async fn failure(front: &Front) -> Failure {
    timeout(LONG, front.serve()).await.expect("in time").expect_err("it fails")
}

#[tokio::test]
async fn a_handshake_has_so_much_time() {
    let (authority, _directory, mut settings) = world();
    let hello = hello(&Visitor::trusting(&authority));
    settings.handshake_timeout = SHORT;
    let front = Front::open(&settings).await;
    for (sent, what) in
        [(0, "nothing"), (1, "one byte"), (hello.len() - 1, "almost all"), (hello.len(), "a hello")]
    {
        let mut client = connect(&front).await;
        client.write_all(&hello[..sent]).await.expect("sent");
        let failure = failure(&front).await;
        assert_eq!(failure, Failure::Timeout, "{what}");
        let mut rest = Vec::new();
        let closed = timeout(LONG, client.read_to_end(&mut rest)).await.expect("in time");
        assert!(closed.is_ok() || sent > 0, "{what}: closed: {closed:?}");
    }
    settings.handshake_timeout = LONG;
    let patient = Front::open(&settings).await;
    let mut client = connect(&patient).await;
    let late = timeout(SHORT * 2, patient.serve());
    client.write_all(&hello[..1]).await.expect("sent");
    assert!(late.await.is_err(), "it is waited for");
}

#[tokio::test]
async fn a_client_that_dribbles_is_not_waited_for_any_longer() {
    let (authority, _directory, mut settings) = world();
    let hello = hello(&Visitor::trusting(&authority));
    settings.handshake_timeout = SHORT;
    let front = Front::open(&settings).await;
    let mut client = connect(&front).await;
    let dribble = async {
        for byte in hello {
            client.write_all(&[byte]).await?;
            tokio::time::sleep(SHORT / 10).await;
        }
        io::Result::Ok(())
    };
    let failure = tokio::select! {
        failure = failure(&front) => failure,
        dribbled = dribble => panic!("all of it came in time: {dribbled:?}"),
    };
    assert_eq!(failure, Failure::Timeout, "the deadline is for all of the handshake");
}

#[tokio::test]
async fn so_many_handshakes_are_under_way_and_one_more_waits() {
    let (authority, _directory, mut settings) = world();
    settings.max_handshakes = 3;
    let front = Front::open(&settings).await;
    let visitor = Visitor::trusting(&authority);
    let hello = hello(&visitor);
    let open = |said: Vec<u8>| {
        let front = &front;
        async move {
            let (mut client, served) = tokio::join!(connect(front), front.socket());
            client.write_all(&said).await.expect("sent");
            let acceptor = front.acceptor.clone();
            (client, tokio::spawn(async move { acceptor.accept(served).await.err() }))
        }
    };
    let _silent = [open(Vec::new()).await, open(hello[..20].to_vec()).await];
    let mut stuck = vec![open(hello.clone()).await, open(hello.clone()).await];
    until("two places are taken", || front.acceptor.places.available_permits() == 1).await;
    front.greet(&visitor, "a.example").await;
    assert_eq!(front.acceptor.places.available_permits(), 1, "a place is free after a handshake");

    stuck.push(open(hello.clone()).await);
    until("all places are taken", || front.acceptor.places.available_permits() == 0).await;
    let greeting = front.greet(&visitor, "a.example");
    tokio::pin!(greeting);
    assert!(timeout(SHORT, &mut greeting).await.is_err(), "one more waits for its place");

    let (client, task) = stuck.pop().expect("three");
    drop(client);
    assert_eq!(task.await.expect("no panic"), Some(Failure::Left), "it left");
    timeout(LONG, greeting).await.expect("which is free now");
}

#[tokio::test]
async fn who_finds_no_place_in_time_is_closed() {
    let (authority, _directory, mut settings) = world();
    settings.max_handshakes = 1;
    settings.handshake_timeout = SHORT;
    let front = Front::open(&settings).await;
    let hello = hello(&Visitor::trusting(&authority));
    let place = front.acceptor.places.acquire().await.expect("the only one");
    let mut client = connect(&front).await;
    client.write_all(&hello).await.expect("sent");
    assert_eq!(failure(&front).await, Failure::Crowded, "no place");
    drop(place);
    let mut client = connect(&front).await;
    client.write_all(&hello).await.expect("sent");
    assert_eq!(failure(&front).await, Failure::Timeout, "it had a place, and did not go on");
    assert_eq!(front.acceptor.places.available_permits(), 1, "which is free again");
}

#[tokio::test]
async fn connections_hold_no_place() {
    let (authority, _directory, mut settings) = world();
    settings.max_handshakes = 1;
    let front = Front::open(&settings).await;
    let visitor = Visitor::trusting(&authority);
    let first = front.meet(&visitor, "a.example").await;
    let second = front.meet(&visitor, "a.example").await;
    assert!(first.1.is_ok() && second.1.is_ok(), "both are open: {:?} {:?}", first.1, second.1);
}

#[tokio::test]
async fn http_is_answered_that_https_is_spoken_here() {
    let (_authority, _directory, settings) = world();
    let front = Front::open(&settings).await;
    // More than one read takes: what is not read must not take the answer away.
    let body = "x".repeat(50_000);
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", &format!("POST / HTTP/1.1\r\n\r\n{body}")]
    {
        let mut client = connect(&front).await;
        client.write_all(request.as_bytes()).await.expect("sent");
        let ask = async {
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.expect("an answer and an end");
            // A client that is still sending has not read the answer yet: it must not be interrupted.
            for _ in 0..10 {
                client.write_all(b"more").await.expect("it is listened to");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(client);
            answer
        };
        let (answer, failure) = tokio::join!(ask, failure(&front));
        assert_eq!(failure, Failure::NotTls, "{} bytes", request.len());
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        let length = format!("Content-Length: {}\r\n", body.len());
        assert!(head.contains(&length), "{length} in {head}");
        assert!(body.contains("HTTPS") && body.trim_end().lines().count() == 1, "{body}");
    }
}

#[tokio::test]
async fn what_is_neither_tls_nor_http_gets_no_answer() {
    let (_authority, _directory, settings) = world();
    let front = Front::open(&settings).await;
    let cases: [&[u8]; 4] = [b"\x00", b"\x80\x2e\x01\x00\x02", b"\x13", b"\x18"];
    for sent in cases {
        let mut client = connect(&front).await;
        client.write_all(sent).await.expect("sent");
        let mut answer = Vec::new();
        let ask = async {
            let read = client.read_to_end(&mut answer).await;
            drop(client);
            read
        };
        let (read, failure) = tokio::join!(ask, failure(&front));
        assert_eq!(failure, Failure::NotTls, "{sent:?}");
        assert!(read.is_ok() && answer.is_empty(), "{sent:?}: {read:?} {answer:?}");
    }
}

#[tokio::test]
async fn records_that_make_no_sense_end_in_order() {
    let (_authority, _directory, settings) = world();
    let front = Front::open(&settings).await;
    let cases: [&[u8]; 4] = [
        b"\x16\x03\x01\x00\x04\x05\x00\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x17\x03\x03\x00\x01x",
        b"\x14\x03\x03\x00\x01\x02",
    ];
    for sent in cases {
        let mut client = connect(&front).await;
        client.write_all(sent).await.expect("sent");
        client.shutdown().await.expect("no more");
        let mut answer = Vec::new();
        let ask = async {
            let read = client.read_to_end(&mut answer).await;
            drop(client);
            read
        };
        let (read, failure) = tokio::join!(ask, failure(&front));
        let Failure::Rejected(reason) = failure else {
            panic!("{sent:?}: {failure:?}");
        };
        assert!(!reason.is_empty() && !reason.contains('\n'), "{sent:?}: {reason}");
        assert!(read.is_ok(), "{sent:?}: an orderly end: {read:?}");
        assert!(
            matches!(answer.first(), None | Some(&21)),
            "{sent:?}: an alert at most: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_left() {
    let (authority, _directory, settings) = world();
    let front = Front::open(&settings).await;
    let hello = hello(&Visitor::trusting(&authority));
    for sent in [0, 1, hello.len() - 1, hello.len()] {
        for resets in [false, true] {
            let mut client = connect(&front).await;
            client.write_all(&hello[..sent]).await.expect("sent");
            if resets {
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("set");
            }
            drop(client);
            let failure = failure(&front).await;
            assert_eq!(failure, Failure::Left, "after {sent} bytes, reset: {resets}");
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_says_so() {
    let (_authority, _directory, settings) = world();
    let front = Front::open(&settings).await;
    let stranger = Visitor::trusting(&Authority::new("strangers"));
    let (met, served) = front.meet(&stranger, "a.example").await;
    assert!(met.is_err(), "it does not trust");
    let failure = served.expect_err("failed");
    assert_eq!(failure.to_string(), "received fatal alert: UnknownCA", "in the client's words");
    assert_eq!(failure.result().as_str(), "failed", "the label");
}

#[test]
fn what_each_connection_costs_in_its_task_is_little() {
    fn size<T>(_: impl FnOnce() -> T) -> usize {
        size_of::<T>()
    }
    assert!(size_of::<Refused>() <= 128, "{}", size_of::<Refused>());
    let (_authority, _directory, settings) = world();
    let acceptor = crate::listener::tls::Acceptor::new(&settings, true).expect("settings");
    let accept = size(|| acceptor.accept(unreachable_socket()));
    assert!(accept <= 768, "a future of {accept} bytes");
}

/// Only its type is of use.
fn unreachable_socket() -> TcpStream {
    panic!("never called")
}
