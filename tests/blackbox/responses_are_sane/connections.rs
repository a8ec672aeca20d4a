//! Answers that break off, go on too long, or come too early: what becomes of the connections.

use std::time::Duration;

use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::wait_for;

use super::{After, before, check};

const BROKEN: &[(&str, &[u8], After)] = &[
    ("short of its length", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", After::Close),
    ("reset before its length", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart", After::Reset),
    (
        "no last chunk",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
        After::Close,
    ),
    (
        "no end of the last chunk",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n",
        After::Close,
    ),
    (
        "a broken chunk",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\nxyz\r\n",
        After::Keep,
    ),
    (
        "an empty chunk size",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n\r\n\r\n",
        After::Keep,
    ),
    ("reset instead of an end", b"HTTP/1.1 200 OK\r\n\r\npart", After::Reset),
];

#[test]
fn a_response_that_breaks_off_is_never_completed() {
    let (_stub, edge) = before(|number| BROKEN.get(number).map(|row| (row.1, row.2)));
    for (number, (what, ..)) in BROKEN.iter().enumerate() {
        let mut client = edge.connect();
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        match client.try_response_to("GET") {
            Some(response) if response.status == 200 => {
                assert!(!response.complete, "{what}: completed: {response:?}");
                assert!("part".starts_with(&response.text()), "{what}: {response:?}");
            }
            // The end of the worker's answer was known before the head was sent on.
            Some(response) => assert_eq!(response.status, 502, "{what}: {response:?}"),
            None => {}
        }
        let line = edge.wait_for_log(number + 1).remove(number);
        let termination = line["edge.termination"].as_str().unwrap_or_default();
        assert!(["upstream_closed", "upstream_invalid"].contains(&termination), "{what}: {line}");
        if line["http.response.status_code"] == 200 {
            assert_eq!(line["edge.response_aborted"], true, "{what}: {line}");
        }
    }
    let series = r#"asgate_upstream_connections{state="active",upstream="u""#;
    wait_for("none to be left open", || {
        let metrics = edge.metrics();
        let mut active = metrics.lines().filter(|line| line.starts_with(series));
        active.all(|line| line.ends_with(" 0")).then_some(())
    });
}

#[test]
fn a_response_to_http_1_0_that_breaks_off_is_a_reset() {
    let (_stub, edge) = before(|number| BROKEN.get(number).map(|row| (row.1, row.2)));
    for number in 2..4 {
        let mut client = edge.connect();
        client.send(format!("GET /{number} HTTP/1.0\r\nHost: a\r\n\r\n"));
        // Without a length the end of the connection is the end of the body: only a reset says that it is none.
        let mut buffer = [0; 4096];
        let ended = loop {
            match std::io::Read::read(&mut client.stream, &mut buffer) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error.kind()),
            }
        };
        assert_eq!(ended, Err(std::io::ErrorKind::ConnectionReset), "answer {number}");
    }
}

#[test]
fn what_a_worker_sends_too_much_reaches_nobody() {
    const FORGED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    const EXTRA: [&str; 5] = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        // To a HEAD, as a worker would that forgets what it was asked.
        "HTTP/1.1 200 OK\r\ncontent-length: 47\r\n\r\n",
    ];
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            let number =
                request.split(['/', ' ']).nth(2).and_then(|text| text.parse::<usize>().ok());
            match number.and_then(|number| EXTRA.get(number)) {
                Some(answer) => accepted.send(format!("{answer}{FORGED}")),
                None => accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ncontrol"),
            };
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for (number, answer) in EXTRA.iter().enumerate() {
        let method = if number == 4 { "HEAD" } else { "GET" };
        client.send(format!("{method} /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response_to(method);
        check(answer, &response);
        assert!(!response.text().contains("forged"), "{answer:?}: {response:?}");
        assert_eq!(client.get("/control").text(), "control", "after {answer:?}");
        let other = edge.connect().get("/control");
        assert_eq!(other.text(), "control", "for another client after {answer:?}");
    }
}

#[test]
fn what_a_worker_sends_unasked_reaches_nobody() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let stub = Stub::start(move |mut accepted| {
        while accepted.request().is_some() {
            let number = accepted.number;
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}"));
            if number == 0 {
                // Some other time: the edge has the connection in its pool by now, or will have.
                std::thread::sleep(Duration::from_millis(100));
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged");
                tell.lock().expect("the sender").send(()).expect("told");
            }
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    assert_eq!(client.get("/").text(), "0", "the first connection");
    told.recv().expect("it has sent more");
    assert_eq!(client.get("/").text(), "1", "another connection, and its own answer");
}

#[test]
fn an_answer_before_the_upload_is_over_arrives() {
    let stub = Stub::start(|mut accepted| {
        while let Some(head) = accepted.request_head() {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let length = path.len();
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"));
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    for (number, framing) in
        ["Content-Length: 1000000", "Transfer-Encoding: chunked"].iter().enumerate()
    {
        let mut client = edge.connect();
        client.send(format!("POST /early-{number} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        client.send("5\r\nhello\r\n");
        let response = client.response();
        assert_eq!(
            response.text(),
            format!("/early-{number}"),
            "{framing}: before the body is over"
        );
        check(framing, &response);
        // What is left of the body is nobody's request, at the worker or at the edge.
        client.try_send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let next = edge.connect().get("/next");
        assert_eq!(
            next.text(),
            "/next",
            "{framing}: a worker connection with half a body is not used again"
        );
        drop(client);
    }
    let lines = edge.wait_for_log(4);
    let mut paths: Vec<_> =
        lines.iter().map(|line| line["url.path"].as_str().unwrap_or_default()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/early-0", "/early-1", "/next", "/next"], "nothing else was a request");
}

#[test]
fn one_hundred_continue_is_the_workers_to_say() {
    let stub = Stub::start(|mut accepted| {
        while let Some(head) = accepted.request_head() {
            assert!(head.contains("\r\nexpect: 100-continue\r\n"), "it is asked: {head}");
            if head.starts_with("POST /refused") {
                accepted.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
                continue;
            }
            accepted.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = accepted.bytes(5).expect("the body");
            accepted.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
                body.escape_ascii()
            ));
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut client = edge.connect();
    client.send(head("/wanted"));
    assert_eq!(client.response().status, 100, "before any of the body is sent");
    client.send("hello");
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{response:?}");

    assert_eq!(
        response.header("connection"),
        Some("keep-alive"),
        "nothing is left over: {response:?}"
    );

    // A client need not wait (RFC 9110 §10.1.1).
    let mut client = edge.connect();
    client.send(head("/wanted") + "hello");
    let mut response = client.response();
    if response.status == 100 {
        response = client.response();
    }
    assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{response:?}");

    let mut client = edge.connect();
    client.send(head("/refused"));
    let response = client.response();
    assert_eq!(response.status, 417, "no 100 before it: {response:?}");
    // Whether the body is still to come is for the client to know, so what is next must not be taken for it.
    client.try_send("hello");
    client.try_send("GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let rest = client.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 "), "{}", rest.escape_ascii());
    let lines = wait_for("three lines", || Some(edge.access_log()).filter(|log| log.len() >= 3));
    assert!(lines.iter().all(|line| line["http.request.method"] != "helloGET"), "{lines:#?}");
}
