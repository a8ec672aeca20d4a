//! A worker that has said all is free for the next request, whether the client has read all of it or not.

use std::time::{Duration, Instant};

use super::ONE_SLOT;
use crate::support::client::Client;
use crate::support::pool::Pool;
use crate::support::sources::connect_from;
use crate::support::stub::Stub;

const STEP: usize = 8 * 1024;
/// More than the sockets between the edge and a client that does not read take, with the buffers that both have here.
const MOST: usize = 2 * 1024 * 1024;
/// How long an answer is waited for that may be on its way to a client that does not read.
const A_WHILE: Duration = Duration::from_millis(300);

/// What sockets take is not for a test to know. Of answers that grow step by step, the first one that does not get away has
/// only its end left with the edge.
#[test]
fn a_worker_does_not_wait_for_a_client_that_has_not_read_the_end() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let size = request.split(' ').nth(1).and_then(|target| target[1..].parse().ok());
            let body = vec![b'x'; size.unwrap_or(0)];
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()));
            accepted.send(body);
        }
    });
    let edge = Pool::with(ONE_SLOT).before(&[stub.address()]);
    let gets_away = |path: &str| {
        let begun = Instant::now();
        let is_logged = || edge.access_log().iter().any(|line| line["url.path"] == path);
        while begun.elapsed() < A_WHILE && !is_logged() {
            std::thread::sleep(Duration::from_millis(2));
        }
        is_logged()
    };
    for size in (STEP..MOST).step_by(STEP) {
        let path = format!("/{size}");
        let mut reader = Client::over(connect_from(2, edge.address(), Some(4096)));
        reader.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        if gets_away(&path) {
            continue;
        }
        let begun = Instant::now();
        assert_eq!(edge.connect().get("/0").status, 200, "behind {size} bytes");
        let after = begun.elapsed();
        // It may have been late, no more.
        if gets_away(&path) {
            continue;
        }
        assert!(after < Duration::from_secs(2), "only after {after:?}, behind {size} bytes");
        let response = reader.response();
        assert_eq!((response.status, response.body.len()), (200, size), "it gets the end too");
        return;
    }
    panic!("the control: no answer of up to {MOST} bytes waits for its client");
}
