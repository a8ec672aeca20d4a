//! Requests that are meant to be read as two by somebody: no worker gets two, and nobody gets an answer that is not theirs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// What an attacker wants the worker to take for a request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\nX: ";

/// An attack: the head after `Host`, and the body.
type Attack = (&'static str, &'static str, String);

fn attacks() -> Vec<Attack> {
    let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let behind = format!("0\r\n\r\n{SMUGGLED}");
    let both =
        |length: usize| format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n");
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let mut attacks = vec![
        ("CL.TE", leak(both(behind.len())), behind.clone()),
        ("TE.CL", leak(both(4)), chunk.clone()),
        ("CL.0", leak(format!("Content-Length: {}\r\n", SMUGGLED.len())), SMUGGLED.to_owned()),
        (
            "0.CL",
            leak(format!("Content-Length: 0\r\nContent-Length: {}\r\n", SMUGGLED.len())),
            SMUGGLED.to_owned(),
        ),
        ("TE.0", "Transfer-Encoding: chunked\r\n", chunk.clone()),
    ];
    for disguise in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding:\tchunked\r\nTransfer-Encoding: identity",
        " Transfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "Transfer-Encoding\r\n : chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer_Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: cHuNkEd\0",
    ] {
        let length = behind.len();
        attacks.push((
            disguise,
            leak(format!("Content-Length: {length}\r\n{disguise}\r\n")),
            behind.clone(),
        ));
    }
    for (what, body) in [
        ("an extension with a line feed", format!("1;\n{}\r\nx\r\n{behind}", "a".repeat(8))),
        ("a size with a line feed", format!("1\nx\r\n{behind}")),
        ("an empty size", format!("1\r\nx\r\n\r\n{SMUGGLED}")),
        ("a size beyond 64 bits", format!("10000000000000000\r\n\r\n{SMUGGLED}")),
        ("two ends", format!("0\r\n\r\n0\r\n\r\n{SMUGGLED}")),
        ("a trailer that frames", format!("0\r\nContent-Length: 99\r\n\r\n{SMUGGLED}")),
    ] {
        attacks.push((what, "Transfer-Encoding: chunked\r\n", body));
    }
    attacks
}

/// The worker believes the lengths that it is told, whatever the method is.
#[test]
fn no_attack_becomes_a_second_request() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let note = Arc::clone(&seen);
    let stub = Stub::start(move |mut accepted| {
        while let Some(request) = accepted.request() {
            let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let length = target.len();
            note.lock().expect("the targets").push(target.clone());
            accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{target}"));
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    for (what, framing, body) in attacks() {
        for method in ["POST", "GET", "OPTIONS"] {
            let mut attacker = edge.connect();
            let head = format!("{method} /attack HTTP/1.1\r\nHost: a\r\n{framing}\r\n");
            attacker.try_send(head + &body);
            let first = attacker.try_response_to(method);
            let victim = edge.connect().get("/victim");
            let got = (victim.status, victim.text());
            assert_eq!(got, (200, "/victim".to_owned()), "{what}, {method}, after {first:?}");
        }
    }
    let seen = seen.lock().expect("the targets");
    let count = |target: &str| seen.iter().filter(|found| *found == target).count();
    assert_eq!(count("/victim"), 3 * attacks().len(), "{seen:?}");
    assert!(count("/attack") > 0, "the control: what is sound gets through: {seen:?}");
    assert_eq!(count("/victim") + count("/attack"), seen.len(), "and nothing else: {seen:?}");
}

/// A worker that takes the bodies of GET for requests answers more than it was asked.
#[test]
fn a_worker_that_reads_too_much_confuses_itself_alone() {
    let requests = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&requests);
    let stub = Stub::start(move |mut accepted| {
        // Heads only: the body of one is the next.
        while let Some(head) = accepted.request_head() {
            count.fetch_add(1, Ordering::SeqCst);
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let length = path.len();
            if !accepted.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{path}"))
            {
                return;
            }
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for round in 0..20 {
        let mut attacker = edge.connect();
        let length = body.len();
        attacker.send(format!(
            "GET /attack HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let answer = attacker.try_response_to("GET");
        assert!(
            answer.is_none_or(|it| it.text() == "/attack"),
            "round {round}: the attacker's own"
        );
        for path in ["/victim", "/another"] {
            assert_eq!(edge.connect().get(path).text(), path, "round {round}");
        }
    }
    assert!(requests.load(Ordering::SeqCst) > 60, "the control: the worker did read too much");
}

/// What is behind a whole request is a request like any other, by the rules of the edge.
#[test]
fn the_rest_goes_through_the_edge_too() {
    let stub = Stub::echoing();
    let routes = "  - { match: { path: /private }, respond: { status: 403 } }\n  - { upstream: u }";
    let edge = Edge::before(&[stub.address()], routes);
    let mut client: Client = edge.connect();
    client.send(
        "POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
         GET /private HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n\
         GET /public HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    );
    let statuses = [client.response(), client.response(), client.response()];
    assert_eq!(statuses.each_ref().map(|it| it.status), [200, 403, 200], "each by its route");
    assert!(!statuses[2].text().contains("1.2.3.4"), "{}", statuses[2].text());
    assert!(!stub.received_in_all().contains("/private"), "{}", stub.received_in_all());
}

/// A name that no route serves is nobody's, however it is spelt, and where the target says another one.
#[test]
fn the_host_is_one_that_a_route_serves() {
    let stub = Stub::echoing();
    let routes = "  - { match: { host: [site.test, \"*.site.test\"] }, upstream: u }";
    let edge = Edge::before(&[stub.address()], routes);
    for (host, status) in [
        ("site.test", 200),
        ("SITE.test", 200),
        ("site.test:8443", 200),
        ("a.site.test", 200),
        ("site.test.", 200),
        ("other.test", 404),
        ("site.test.evil.test", 404),
        ("evil-site.test", 404),
        ("127.0.0.1", 404),
        ("[::1]", 404),
    ] {
        let mut client = edge.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.response().status, status, "{host}");
    }
    let mut client = edge.connect();
    client.send("GET http://other.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n");
    assert_eq!(client.response().status, 400, "two names");
}
