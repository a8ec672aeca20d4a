//! Edges between asgate and its workers.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::uvicorn::{Uvicorn, run_python};

#[test]
fn edge_03_websocket_sessions_are_not_torn_down() {
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    let script = r#"
import asyncio, sys
import websockets

async def session(number, gate):
    async with gate, websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/ws", max_size=None) as ws:
        for text in (f"hello {number}", "x" * 70000):
            await ws.send(text)
            assert await ws.recv() == text, number

async def main():
    gate = asyncio.Semaphore(20)
    await asyncio.gather(*(session(number, gate) for number in range(200)))

asyncio.run(main())
"#;
    run_python(script, &[&edge.address().port().to_string()]);
    for line in edge.wait_for_log(200) {
        assert_eq!(line["http.response.status_code"], 101, "{line}");
        assert_eq!(line["edge.termination"], "ok", "{line}");
    }
}

#[test]
fn edge_05_a_post_does_not_meet_a_connection_that_the_worker_has_closed() {
    let (tell, closed) = channel();
    let tell = Mutex::new(tell);
    // Says that it keeps the connection, and closes it when it has answered.
    let stub = Stub::start(move |mut accepted| {
        if accepted.request().is_some() {
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            accepted.close();
            tell.lock().expect("the sender").send(()).expect("told");
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for number in 0..30 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        let response = client.response();
        assert_eq!(response.status, 200, "POST {number}: {response:?}");
        // On loopback FIN has arrived when the worker's close returns.
        closed.recv().expect("the worker has closed");
    }
    for line in edge.wait_for_log(30) {
        assert_eq!(line["edge.connection_reused"], false, "never sent into a closed one: {line}");
        assert_eq!(line["edge.attempts"], 1, "{line}");
    }
}

#[test]
fn edge_05_a_worker_that_closes_instead_of_answering_is_asked_again_only_where_that_is_safe() {
    // Answers the first request of each connection, and closes upon the second.
    let stub = Stub::start(|mut accepted| {
        if accepted.request().is_some() {
            accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
        accepted.request_head();
        accepted.close();
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    assert_eq!(client.get("/").status, 200, "over a new connection");
    assert_eq!(client.get("/").status, 200, "over a stale one, then over a new one");
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    let response = client.response();
    assert_eq!(response.status, 502, "the worker may have begun to act on it: {response:?}");
    let lines = edge.wait_for_log(3);
    let told =
        |number: usize| (&lines[number]["edge.attempts"], &lines[number]["edge.retry_reason"]);
    assert_eq!(told(1), (&2.into(), &"stale".into()), "{lines:#?}");
    assert_eq!(lines[2]["edge.termination"], "upstream_closed", "{lines:#?}");
    let posts = stub.received_in_all().matches("POST / ").count();
    assert_eq!(posts, 1, "a POST is sent once");
}

#[test]
fn edge_09_an_unsolicited_101_opens_no_tunnel() {
    let stub = Stub::start(|mut accepted| {
        while accepted.request_head().is_some() {
            accepted.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for headers in ["", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Upgrade: websocket\r\n"] {
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        let response = client.response();
        assert_eq!(response.status, 502, "{headers:?}: {response:?}");
    }
    for line in edge.wait_for_log(3) {
        assert_eq!(line["edge.termination"], "upstream_invalid", "{line}");
    }
}
