//! Uploads over HTTP/2 that no worker takes yet, and what else their client does on the same connection.

use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use serde_json::Value;
use socket2::SockRef;

use super::{Noting, OK};
use crate::support::edge::Edge;
use crate::support::frames::{DATA, END, END_HEADERS, Frames, HEADERS, Method, block};
use crate::support::http2;
use crate::support::pool::wait_for_queue;
use crate::support::stub::Stub;

/// Two uploads that the edge gives no more leave to go on with, and a third on the same connection.
const THREE_UPLOADS: &str = r#"
c.pump()

def room(stream):
    return min(c.engine.local_flow_control_window(stream), c.engine.max_outbound_frame_size)

def fill(stream):
    c.socket.settimeout(1)
    sent = 0
    while sent < 16_000_000:
        if size := room(stream):
            c.data(stream, b"x" * size)
            sent += size
        else:
            try:
                if not c.pump():
                    break
            except TimeoutError:
                break
    c.socket.settimeout(15)
    return sent

def upload(path, size):
    stream = c.open("POST", path, end=False)
    while size and c.streams[stream]["end"] is None:
        if piece := min(room(stream), size):
            c.data(stream, b"x" * piece)
            size -= piece
        elif not c.pump():
            break
    if c.streams[stream]["end"] is None:
        c.data(stream, b"", end=True)
    return c.answer(stream)["status"]

stuck = [fill(c.open("POST", path, end=False)) for path in PATHS]
begun = time.monotonic()
tell({"stuck": stuck, "status": upload("/taken", 300_000), "seconds": time.monotonic() - begun})
"#;

/// What came of an upload to `/taken` behind those to `stuck`, a Python list.
fn behind(edge: &Edge, stuck: &str) -> Value {
    http2::run(edge.address(), &format!("PATHS = {stuck}\n{THREE_UPLOADS}"))
}

/// Clients that share a connection, as those of another proxy do, must not wait for each other's workers.
#[test]
fn uploads_that_are_not_taken_do_not_hold_up_one_that_is() {
    let (held, holding) = channel::<()>();
    let holding = Mutex::new(holding);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    // Those that are accepted inherit it: the system must not take for the worker what that does not read.
    SockRef::from(&listener).set_recv_buffer_size(8 * 1024).expect("a small buffer");
    let stub = Stub::on(listener, move |mut accepted| {
        let Some(head) = accepted.request_head() else { return };
        if head.starts_with("POST /stuck") {
            let _ = holding.lock().expect("the end of the test").recv();
        } else if accepted.until(b"0\r\n\r\n").is_some() {
            accepted.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let alone = behind(&edge, "[]");
    assert_eq!(alone["status"], 200, "the control, alone: {alone}");
    let third = behind(&edge, r#"["/stuck", "/stuck"]"#);
    let sent = third["stuck"].as_array().expect("two");
    let stuck = sent.iter().all(|sent| sent.as_u64().is_some_and(|sent| sent < 16_000_000));
    assert!(stuck, "the control, two that the worker does not take: {third}");
    assert_eq!(third["status"], 200, "{third}");
    assert!(third["seconds"].as_f64().is_some_and(|seconds| seconds < 5.0), "{third}");
    drop(held);
}

/// A client may send as it likes, byte by byte, what it was given leave to send.
#[test]
fn an_upload_in_the_queue_may_come_byte_by_byte() {
    const BYTES: usize = 1_000;
    let worker = Noting::start();
    let (edge, mut served) = worker.held();

    let mut client = Frames::connect(edge.address());
    // `content-length: 1000` with a name of the static table (RFC 7541 §6.2.2).
    let length = [&[0x0f, 0x0d, 4][..], b"1000"].concat();
    let head = [block(Method::Post, "/queued"), length].concat();
    client.send(HEADERS, END_HEADERS, 1, &head);
    for sent in 1..=BYTES {
        client.send(DATA, if sent == BYTES { END } else { 0 }, 1, b"b");
    }
    // Once this one waits, all before it was read.
    client.get(3, "/behind");
    wait_for_queue(&edge, 2);
    worker.permit();
    assert_eq!(served.response().status, 200, "the one before it");
    for stream in [1, 3] {
        let answer = client.until(HEADERS).pop().expect("an answer");
        // The worker answers once all of the body is there.
        assert_eq!((answer.stream, answer.payload.first()), (stream, Some(&OK)), "{answer:?}");
    }
    assert_eq!(worker.targets(), ["/held", "/queued", "/behind"]);
}
