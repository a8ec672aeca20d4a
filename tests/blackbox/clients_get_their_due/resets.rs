//! Uploads over HTTP/2 that their clients give up: nobody waits for them, nobody works for them.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use super::{Noting, OK, SOON};
use crate::support::frames::{
    DATA, END, END_HEADERS, Frames, HEADERS, Method, RST_STREAM, block, frame,
};
use crate::support::pool::{Pool, wait_for_queue, wait_until_idle};

/// Streams that are open at a time, below the bound of 100.
const UPLOADS: u32 = 90;

/// CANCEL (RFC 9113 §7).
const CANCEL: [u8; 4] = [0, 0, 0, 8];

#[derive(Debug, Clone, Copy)]
enum Leaving {
    /// One RST_STREAM for each upload.
    Reset,
    /// The end of the connection.
    Closed,
}

#[test]
fn an_upload_that_is_given_up_leaves_the_queue() {
    for leaving in [Leaving::Reset, Leaving::Closed] {
        let worker = Noting::start();
        let (edge, mut served) = worker.held();
        let mut staying = Frames::connect(edge.address());
        staying.post(1, "/stays");
        wait_for_queue(&edge, 1);

        let mut client = Frames::connect(edge.address());
        for number in 0..UPLOADS {
            client.post(2 * number + 1, "/left");
        }
        wait_for_queue(&edge, 1 + UPLOADS as usize);
        let begun = Instant::now();
        match leaving {
            Leaving::Reset => (0..UPLOADS).for_each(|number| client.reset(2 * number + 1)),
            Leaving::Closed => drop(client),
        }
        wait_for_queue(&edge, 1);
        assert!(begun.elapsed() < SOON, "{leaving:?}: only after {:?}", begun.elapsed());

        worker.permit();
        assert_eq!(served.response().status, 200, "{leaving:?}: the one before them");
        staying.send(DATA, END, 1, b"body");
        let answer = staying.until(HEADERS).pop().and_then(|frame| frame.payload.first().copied());
        assert_eq!(answer, Some(OK), "{leaving:?}: the control, one that stayed");
        assert_eq!(worker.targets(), ["/held", "/stays"], "{leaving:?}: nobody else is worked for");
        for line in edge.wait_for_log(2 + UPLOADS as usize) {
            if line["url.path"] == "/left" {
                assert_eq!(line["edge.termination"], "client_closed", "{leaving:?}: {line:#}");
                assert_eq!(line["edge.attempts"], 0, "{leaving:?}: {line:#}");
            }
        }
    }
}

/// How many of fifty uploads reach a worker that is free, if each is reset in the same write as it begins, or not at all.
fn uploads_that_start(are_reset: bool) -> usize {
    let worker = Noting::start();
    let edge = Pool::default().before(&[worker.stub.address()]);
    let mut socket = TcpStream::connect(edge.address()).expect("connected");
    socket.set_nodelay(true).expect("each write is sent at once");
    let mut client = Frames::over(socket.try_clone().expect("a second handle"));
    let mut ids = (1..).step_by(2);
    let mut next = || ids.next().expect("a stream");
    for ten in 1..=5 {
        for _ in 0..10 {
            let stream = next();
            let mut write = frame(HEADERS, END_HEADERS, stream, &block(Method::Post, "/upload"));
            if are_reset {
                write.extend(frame(RST_STREAM, 0, stream, &CANCEL));
            }
            socket.write_all(&write).expect("sent");
        }
        // The engine takes many that are reset before it has looked at them for a flood.
        client.get(next(), "/between");
        worker.wait_for("/between", ten);
    }
    if are_reset {
        wait_until_idle(&edge);
    } else {
        worker.wait_for("/upload", 50);
    }
    worker.count("/upload")
}

#[test]
fn an_upload_that_is_reset_as_it_begins_hardly_starts() {
    let started = uploads_that_start(true);
    assert!(started <= 5, "the app began {started} of 50 that were reset");
    assert_eq!(uploads_that_start(false), 50, "the control");
}
