//! Who sends slowly for a reason, or fast in small pieces, is not too slow. What is judged is judged after 10 s of waiting,
//! so that these tests take a little longer.

use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{DATA, END, Frames, HEADERS};
use crate::support::stub::Stub;

/// How long a client may be slow whatever it does, and somewhat more.
const GRACE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(12);
/// Of 5 bytes each, far below 240 bytes in a second.
const PAUSE: Duration = Duration::from_secs(2);

/// A worker that answers each piece of a chunked body with the same piece, as a conversation goes.
fn conversing() -> Stub {
    Stub::start(|mut accepted| {
        if accepted.request_head().is_none() {
            return;
        }
        accepted.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        // The head of a chunk is followed by data, but for the last one's.
        while let Some(line) = accepted.until(b"\r\n") {
            accepted.send(line);
        }
    })
}

#[test]
fn a_conversation_goes_at_the_pace_of_those_who_converse() {
    let stub = conversing();
    let edge = Edge::before(&[stub.address()], "");
    let address = edge.address();
    let plain = spawn(move || {
        let mut client = Client::connect(address);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(client.head().map(|(status, _)| status), Some(200), "an answer that goes on");
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            client.send("5\r\ntick!\r\n");
            let piece = client.chunk().map(|piece| piece.escape_ascii().to_string());
            assert_eq!(piece.as_deref(), Some("tick!"), "after {:?}", begun.elapsed());
            sleep(PAUSE);
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.chunk().as_deref(), Some(&b""[..]), "its end");
    });
    let mut client = Frames::connect(address);
    client.post(1, "/");
    client.until(HEADERS);
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        client.send(DATA, 0, 1, b"tick!");
        let frames = client.until(DATA);
        let piece = frames.last().map(|frame| frame.payload.as_slice());
        assert_eq!(piece, Some(&b"tick!"[..]), "HTTP/2, after {:?}", begun.elapsed());
        sleep(PAUSE);
    }
    client.send(DATA, END, 1, b"");
    client.until(DATA);
    plain.join().expect("HTTP/1.1");
    for line in edge.wait_for_log(2) {
        assert_eq!(line["edge.termination"], "ok", "{line}");
    }
}

#[test]
fn small_pieces_count_for_what_they_are() {
    const PIECE: usize = 1_400;
    /// 2.8 MB in a second, where 2 MB are asked for; each piece is worth 0.7 ms.
    const EVERY: Duration = Duration::from_micros(500);
    let pieces = u32::try_from(LONG.as_micros() / EVERY.as_micros()).expect("some");
    let stub = Stub::start(|mut accepted| {
        accepted.request();
        accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    let routes = "  - { upstream: u, limits: { body: off, min_request_rate: 2MB } }";
    let edge = Edge::before(&[stub.address()], routes);
    let mut client = Client::connect(edge.address());
    let length = PIECE * pieces as usize;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    let (begun, piece) = (Instant::now(), [b'x'; PIECE]);
    for number in 0..pieces {
        sleep((EVERY * number).saturating_sub(begun.elapsed()));
        if !client.try_send(piece) {
            break;
        }
    }
    assert!(begun.elapsed() > GRACE, "the control: it took long enough");
    let response = client.try_response_to("POST").map(|response| response.status);
    assert_eq!(response, Some(200), "all of it was taken: {:#?}", edge.access_log());
}
