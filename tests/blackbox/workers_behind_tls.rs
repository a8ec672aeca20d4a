//! Workers may speak TLS. They must prove who they are, unless somebody said otherwise, and all that works without TLS
//! works with it.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use crate::support::certificates::Authority;
use crate::support::dns::{Answer, NameServer};
use crate::support::edge::Edge;
use crate::support::pool::{Pool, worker};
use crate::support::uvicorn::{Uvicorn, run_python, test_app};

/// Uvicorn with a certificate for these names, and the authority that signed it.
fn worker_for(names: &str) -> (Uvicorn, Authority) {
    let authority = Authority::create();
    let own = authority.sign("worker", &[names]);
    let uvicorn = Uvicorn::serving_app(
        "worker_app:app",
        &test_app(),
        &[
            "--ssl-keyfile",
            &own.key.to_string_lossy(),
            "--ssl-certfile",
            &own.certificate.to_string_lossy(),
        ],
    );
    (uvicorn, authority)
}

/// An edge with these keys of `tls`.
fn edge(uvicorn: &Uvicorn, tls: &str, more: &str) -> Edge {
    Pool::with(&format!("tls: {{ {tls} }}{more}")).before(&[uvicorn.address()])
}

fn ca(authority: &Authority) -> String {
    format!("ca: {:?}", authority.certificate().display().to_string())
}

/// A request that is answered over TLS.
fn expect_served(edge: &Edge, what: &str) {
    let mut client = edge.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/").status, 200, "{what}");
        assert_eq!(client.post("/echo", "body").text(), "body", "{what}");
    }
}

/// A request for which no connection could be made; why is in the log.
fn expect_refused(edge: &Edge, what: &str, reason: &str) -> Value {
    assert_eq!(edge.connect().get("/").status, 502, "{what}");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "upstream_connect", "{what}: {line:#}");
    assert!(line.to_string().to_lowercase().contains(reason), "{what}: says why: {line:#}");
    line
}

#[test]
fn one_with_a_certificate_of_the_authority_is_trusted() {
    let (uvicorn, authority) = worker_for("127.0.0.1");
    expect_served(&edge(&uvicorn, &ca(&authority), ""), "by its address");
    let (uvicorn, authority) = worker_for("app.internal");
    let tls = format!("sni: app.internal, {}", ca(&authority));
    expect_served(&edge(&uvicorn, &tls, ""), "by its name");
}

/// A server by its name must prove that name, whatever its address is.
#[test]
fn one_by_its_host_name() {
    let names =
        NameServer::start(Answer::Addresses(vec![Ipv4Addr::LOCALHOST], Duration::from_secs(60)));
    for (certified, is_trusted) in [("app.test", true), ("127.0.0.1", false)] {
        let (uvicorn, authority) = worker_for(certified);
        let edge = Pool {
            keys: &format!("tls: {{ {} }}", ca(&authority)),
            file: &format!("resolver: {{ servers: [\"{}\"] }}", names.address()),
            ..Pool::default()
        }
        .before_servers(&format!("{{ address: \"app.test:{}\" }}", uvicorn.address().port()));
        if is_trusted {
            expect_served(&edge, certified);
        } else {
            expect_refused(&edge, certified, "name");
        }
    }
}

#[test]
fn one_of_another_authority_is_not() {
    let (uvicorn, _) = worker_for("127.0.0.1");
    let stranger = Authority::create();
    expect_refused(&edge(&uvicorn, &ca(&stranger), ""), "another authority", "certificate");
}

/// `tls: {}` means the authorities of the system, which do not know a test's.
#[test]
fn verification_is_the_default() {
    let (uvicorn, _authority) = worker_for("127.0.0.1");
    expect_refused(
        &edge(&uvicorn, "", ""),
        "an authority that the system does not know",
        "certificate",
    );
}

#[test]
fn one_with_another_name_is_not_trusted() {
    let (uvicorn, authority) = worker_for("app.internal");
    expect_refused(&edge(&uvicorn, &ca(&authority), ""), "not its address", "name");
    let tls = format!("sni: other.internal, {}", ca(&authority));
    expect_refused(&edge(&uvicorn, &tls, ""), "not its name", "name");
}

#[test]
fn unless_somebody_said_otherwise() {
    let (uvicorn, _authority) = worker_for("app.internal");
    expect_served(&edge(&uvicorn, "verify: false", ""), "not verified");
}

#[test]
fn a_worker_without_tls_is_not_taken_for_one() {
    let plain = Uvicorn::serving_app("worker_app:app", &test_app(), &[]);
    let edge = edge(&plain, "verify: false", "");
    expect_refused(&edge, "no TLS at all", "tls");
}

/// TLS 1.3 sends session tickets at any time after the handshake: they are not unasked bytes.
#[test]
fn connections_are_kept_as_without_tls() {
    let (uvicorn, authority) = worker_for("127.0.0.1");
    let edge = edge(&uvicorn, &ca(&authority), ", connections: { prewarm: 0 }");
    let mut client = edge.connect();
    for number in 0..20 {
        let response = if number % 2 == 0 { client.get("/") } else { client.post("/echo", "body") };
        assert_eq!(response.status, 200, "request {number}: {response:?}");
    }
    let lines = edge.wait_for_log(20);
    let fresh = lines.iter().filter(|line| line["edge.connection_reused"] == false).count();
    assert_eq!(fresh, 1, "one handshake for all");
    assert_eq!(worker(&edge, &uvicorn.address().to_string())["connects"], 1, "in the status");
}

#[test]
fn an_idle_connection_that_the_worker_closed_is_noticed() {
    let (uvicorn, authority) = worker_for("127.0.0.1");
    let keys = ", connections: { prewarm: 0, idle_timeout: 60s }";
    let edge = edge(&uvicorn, &ca(&authority), keys);
    let mut client = edge.connect();
    for number in 0..2 {
        assert_eq!(client.post("/echo", "body").status, 200, "request {number}");
        // Uvicorn's keep-alive of 5 s is over.
        std::thread::sleep(Duration::from_millis(if number == 0 { 8000 } else { 0 }));
    }
    let line = edge.wait_for_log(2).remove(1);
    assert_eq!(line["edge.attempts"], 1, "it was not sent in vain: {line:#}");
}

#[test]
fn streams_come_as_they_are_sent() {
    let (uvicorn, authority) = worker_for("127.0.0.1");
    let edge = edge(&uvicorn, &ca(&authority), "");
    let mut client = edge.connect();
    client.send("GET /events?count=2&interval=4 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().expect("a head").0, 200);
    for number in 0..2 {
        let event = client.chunk().expect("an event");
        assert!(event.starts_with(format!("id: {number}").as_bytes()), "{}", event.escape_ascii());
        assert!(
            number > 0 || client.is_quiet_for(Duration::from_millis(150)),
            "the next one is not sent yet"
        );
    }
    assert_eq!(client.chunk().as_deref(), Some(&b""[..]), "the end");
}

#[test]
fn large_bodies_pass_both_ways() {
    let (uvicorn, authority) = worker_for("127.0.0.1");
    let edge = edge(&uvicorn, &ca(&authority), "");
    let body: String = (b'a'..=b'w').cycle().take(3_000_001).map(char::from).collect();
    let response = edge.connect().post("/echo", &body);
    assert!(response.status == 200 && response.text() == body, "{:?}", response.headers);
}

#[test]
fn websockets_pass() {
    let (uvicorn, authority) = worker_for("127.0.0.1");
    let edge = edge(&uvicorn, &ca(&authority), "");
    let script = "
import asyncio, os, sys
from websockets.asyncio.client import connect

async def main():
    async with connect('ws://' + sys.argv[1]) as socket:
        for message in ['hello', b'', os.urandom(1 << 19)] * 5:
            await socket.send(message)
            assert await socket.recv() == message, message[:10]

asyncio.run(asyncio.wait_for(main(), 60))
";
    run_python(script, &[&edge.address().to_string()]);
    assert_eq!(edge.only_log_line()["http.response.status_code"], 101, "one WebSocket");
}
