//! Those who say nothing, say it wrongly, say it slowly, or may not say it: closed without a word.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::proxied::{v1, v2, v2_of};
use crate::support::sources::client_from;
use crate::support::stub::Stub;

use super::{TRUSTED, edge};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const REFUSED: &str =
    r#"asgate_connections_refused_total{listener="127.0.0.1:0",reason="proxy_protocol"}"#;

/// Headers that are none.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let four = "198.51.100.7:1".parse().expect("an address");
    let text = |line: &str| line.as_bytes().to_vec();
    let mut version = v2(four, four, &[]);
    version[12] = 0x11;
    let mut command = v2(four, four, &[]);
    command[12] = 0x2f;
    vec![
        ("no header", Vec::new()),
        ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("v1 in lower case", text("proxy TCP4 198.51.100.7 192.0.2.1 1 2\r\n")),
        ("v1, another family", text("PROXY UDP4 198.51.100.7 192.0.2.1 1 2\r\n")),
        ("v1, no address", text("PROXY TCP4 198.51.100.300 192.0.2.1 1 2\r\n")),
        ("v1, a name", text("PROXY TCP4 client.test 192.0.2.1 1 2\r\n")),
        ("v1, an address of the other family", text("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n")),
        ("v1, leading zeros", text("PROXY TCP4 198.051.100.007 192.0.2.1 1 2\r\n")),
        ("v1, no port", text("PROXY TCP4 198.51.100.7 192.0.2.1 65536 2\r\n")),
        ("v1, a signed port", text("PROXY TCP4 198.51.100.7 192.0.2.1 +1 2\r\n")),
        ("v1, two spaces", text("PROXY TCP4  198.51.100.7 192.0.2.1 1 2\r\n")),
        ("v1, too few words", text("PROXY TCP4 198.51.100.7 192.0.2.1 1\r\n")),
        ("v1, too many words", text("PROXY TCP4 198.51.100.7 192.0.2.1 1 2 3\r\n")),
        ("v1, a bare line feed", text("PROXY TCP4 198.51.100.7 192.0.2.1 1 2\n")),
        ("v1, too long", text(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(100)))),
        ("v1 without end", text(&format!("PROXY UNKNOWN {}", "x".repeat(1000)))),
        ("v2, another version", version),
        ("v2, another command", command),
        ("v2, datagrams", v2_of(0x21, 0x12, &[1; 12])),
        ("v2, too short for its family", v2_of(0x21, 0x11, &[1; 11])),
        ("v2, a field beyond its end", v2(four, four, &[0xe0, 0, 9, 1])),
        ("v2, half a field", v2(four, four, &[0xe0, 0])),
        ("v2, longer than any", v2_of(0x21, 0x11, &vec![0; 60_000])),
    ]
}

#[test]
fn garbage_is_closed_without_a_word() {
    let stub = Stub::ok();
    let edge = edge(&stub, "");
    let mut wrong = Vec::new();
    for (what, header) in garbage() {
        let mut client = edge.connect();
        client.try_send([&header, REQUEST].concat());
        let rest = client.rest();
        if !rest.is_empty() {
            wrong.push(format!("{what}: answered: {}", rest.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(stub.accepted(), 0, "nothing of it reached the worker");
    edge.wait_for_metric(REFUSED, garbage().len() as f64);
    let four = "198.51.100.7:1".parse().expect("an address");
    let mut client = edge.connect();
    client.send([&v1(four, four), REQUEST].concat());
    assert_eq!(client.response().status, 200, "the control");
    // One is enough: a second one is the client's, and no request.
    let mut client = edge.connect();
    client.send([&v1(four, four), &v1(four, four), REQUEST].concat());
    let answer = client.try_response_to("GET");
    assert!(answer.is_none_or(|answer| answer.status == 400), "two headers");
}

#[test]
fn a_stranger_is_closed_without_a_word() {
    let stub = Stub::ok();
    let edge = edge(&stub, "");
    let four = "198.51.100.7:1".parse().expect("an address");
    for header in [v1(four, four), v2(four, four, &[]), Vec::new()] {
        for (last, is_served) in [(1, !header.is_empty()), (2, false)] {
            let mut client = client_from(last, edge.address());
            client.try_send([&header, REQUEST].concat());
            let answer = client.try_response_to("GET").map(|answer| answer.status);
            assert_eq!(
                answer,
                is_served.then_some(200),
                "from 127.0.0.{last}: {}",
                header.escape_ascii()
            );
        }
    }
}

const LIMIT: Duration = Duration::from_millis(700);
const SLACK: Duration = Duration::from_secs(4);

fn expect_limit(what: &str, client: &mut Client, begun: Instant) {
    assert_eq!(client.rest(), b"", "{what}: closed without a word");
    let after = begun.elapsed();
    assert!(after > LIMIT - Duration::from_millis(50), "{what}: only after {after:?}");
    assert!(after < LIMIT + SLACK, "{what}: at last, not after {after:?}");
}

#[test]
fn a_slow_header_is_not_waited_for() {
    let stub = Stub::ok();
    let edge = edge(&stub, "header_timeout: 700ms, idle_timeout: 20s");
    let four = "198.51.100.7:1".parse().expect("an address");
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("half of v1", v1(four, four)[..9].to_vec()),
        ("half of v2", v2(four, four, &[])[..20].to_vec()),
        ("all but the last byte", v1(four, four)[..v1(four, four).len() - 1].to_vec()),
    ] {
        let begun = Instant::now();
        let mut client = edge.connect();
        client.send(bytes);
        expect_limit(what, &mut client, begun);
    }
    let mut client = edge.connect();
    // Each byte comes well within the limit; all of them do not.
    let is_ended = v1(four, four).into_iter().any(|byte| {
        client.try_send([byte]);
        !client.is_quiet_for(LIMIT / 7)
    });
    assert!(is_ended, "dripping goes on for ever");
    // The request has its own time, from its first byte on.
    let mut client = edge.connect();
    client.send(v1(four, four));
    assert!(client.is_quiet_for(LIMIT * 2), "an idle connection");
    client.send(REQUEST);
    assert_eq!(client.response().status, 200, "and its request");
}

/// Without a trusted proxy nobody could ever connect: that is a mistake of the file.
#[test]
fn somebody_has_to_be_trusted() {
    let directory = tempfile::tempdir().expect("a directory");
    let listener = ["proxy_protocol: true"];
    let worker = "127.0.0.1:1".parse().expect("an address");
    for (file, code) in [("", 1), (TRUSTED, 0)] {
        let text = Front { listeners: &listener, file, ..Front::default() }.config(worker);
        std::fs::write(directory.path().join("asgate.yaml"), text).expect("a file");
        let mut check = Edge::spawn(&["check"], directory.path());
        assert_eq!(check.wait().code(), Some(code), "with {file:?}");
        if code == 1 {
            crate::support::wait_for("the complaint", || {
                check.stderr_text().contains("listeners[0].proxy_protocol: ").then_some(())
            });
        }
    }
}
