//! Handshakes that are short, that are refused, and that do not end.

use std::time::{Duration, Instant};

use rustls::version::{TLS12, TLS13};

use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::openssl::{openssl, texts, try_openssl};
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Session, Tls};
use crate::support::uvicorn::run_python;

use super::{SITE, handshakes, site};

#[test]
fn a_minimum_version_is_one() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "min_version: \"1.3\"", "");
    let handshake = |version| {
        let tls = Tls::trusting(&authority, Offer { versions: &[version], ..Offer::default() });
        tls.handshake(edge.address(), SITE)
    };
    assert_eq!(handshake(&TLS13).expect("TLS 1.3").version(), "1.3", "the control");
    let older = handshake(&TLS12);
    let error = older.err().expect("no TLS 1.2").to_string();
    assert!(error.contains("ProtocolVersion"), "told by an alert: {error}");
    edge.wait_for_metric(&handshakes("failed"), 1.0);
    edge.wait_for_metric(&handshakes("full"), 1.0);
}

/// RFC 8996.
#[test]
fn tls_1_0_and_1_1_are_always_refused() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "", "");
    let address = edge.address().to_string();
    let old = ["-cipher", "ALL:@SECLEVEL=0"];
    for version in ["-tls1", "-tls1_1"] {
        let connect = ["s_client", "-connect", &address, "-servername", SITE, version];
        let output = try_openssl(&[&connect[..], &old].concat(), "");
        let (told, complaints) = texts(&output);
        assert!(!output.status.success(), "{version}: {told}");
        // The client does speak it: what it got is an alert.
        assert!(complaints.contains("SSL alert number"), "{version}: {complaints}");
    }
}

/// What is recorded today must not be read by the computers of tomorrow, where the client can do its part.
#[test]
fn keys_are_agreed_on_in_the_best_way_that_the_client_knows() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "", "");
    let session = Tls::trusting(&authority, Offer::default()).handshake(edge.address(), SITE);
    assert_eq!(session.expect("a handshake").key_exchange(), "X25519MLKEM768");
    let address = edge.address().to_string();
    for (groups, expected) in
        [("X25519", "X25519, 253 bits"), ("P-256", "ECDH, prime256v1, 256 bits")]
    {
        let connect = ["s_client", "-connect", &address, "-servername", SITE, "-groups", groups];
        let told = openssl(&connect, "");
        assert!(told.contains(&format!("Server Temp Key: {expected}")), "{groups}: {told}");
    }
}

#[test]
fn sessions_are_resumed() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "", "");
    for (number, versions) in [[&TLS12], [&TLS13]].iter().enumerate() {
        let tls = Tls::trusting(&authority, Offer { versions, ..Offer::default() });
        let kinds = (0..4).map(|_| {
            let mut session = tls.handshake(edge.address(), SITE).expect("a handshake");
            let answer = session.get("/").expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            session.is_resumed()
        });
        let kinds: Vec<_> = kinds.collect();
        assert_eq!(kinds, [false, true, true, true], "with {versions:?}");
        let lines = edge.wait_for_log(4 * (number + 1)).split_off(4 * number);
        let logged: Vec<_> = lines.iter().map(|line| line["tls.resumed"].clone()).collect();
        assert_eq!(logged, kinds, "as the log has it: {lines:#?}");
        let session = tls.forgetful().handshake(edge.address(), SITE).expect("a handshake");
        assert!(!session.is_resumed(), "the control: nothing to resume without a ticket");
    }
    edge.wait_for_metric(&handshakes("resumed"), 6.0);
    edge.wait_for_metric(&handshakes("full"), 4.0);
}

#[test]
fn openssl_and_python_resume_too() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "", "");
    let address = edge.address().to_string();
    let connect = ["s_client", "-connect", &address, "-servername", SITE];
    let told = openssl(&[&connect[..], &["-tls1_2", "-reconnect"]].concat(), "");
    assert_eq!(told.matches("New, TLSv1.2").count(), 1, "one full handshake: {told}");
    assert_eq!(told.matches("Reused, TLSv1.2").count(), 5, "and five short ones: {told}");

    let script = r#"
import socket, ssl, sys
port, ca, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = context.maximum_version = version
    session, reused = None, []
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", port), 15) as plain:
            with context.wrap_socket(plain, server_hostname=name, session=session) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                while tls.recv(65536):
                    pass
                reused.append(tls.session_reused)
                session = tls.session
    assert reused == [False, True, True, True], (version, reused)
"#;
    let port = edge.address().port().to_string();
    run_python(script, &[&port, &authority.certificate().to_string_lossy(), SITE]);
}

#[test]
fn plain_http_is_told_that_this_is_https() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "", "");
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 400, "{response:?}");
    assert!(response.text().contains("HTTPS"), "it says what to do: {}", response.text());
    assert_eq!(client.rest(), b"", "the connection ends");
    let mut client = edge.connect();
    client.send(b"\x00\x01\x02garbage that is nothing at all\r\n\r\n");
    assert_eq!(client.rest(), b"", "no answer to what is no HTTP");
    edge.wait_for_metric(&handshakes("not_tls"), 2.0);
    assert_eq!(stub.accepted(), 0, "the worker never hears of it");
}

/// What the tests configure, and what a busy machine may add to it.
const LIMIT: Duration = Duration::from_millis(700);
const SLACK: Duration = Duration::from_secs(4);

/// The first bytes of a handshake: a record with a `ClientHello` that goes on.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "handshake_timeout: 700ms", "");
    for (what, bytes) in [("nothing", &b""[..]), ("a byte", b"\x16"), ("half", HALF_A_HELLO)] {
        let begun = Instant::now();
        let mut client = edge.connect();
        client.send(bytes);
        let (_, rest) = client.time_to_end();
        let after = begun.elapsed();
        assert!(rest.len() < 16, "{what}: an alert at most: {}", rest.escape_ascii());
        assert!(after > LIMIT - Duration::from_millis(50), "{what}: only after {after:?}");
        assert!(after < LIMIT + SLACK, "{what}: at last, not after {after:?}");
    }
    // A byte now and then does not help.
    let begun = Instant::now();
    let mut client = edge.connect();
    client.send(&HALF_A_HELLO[..5]);
    while begun.elapsed() < LIMIT * 3 && client.is_quiet_for(LIMIT / 10) {
        client.try_send("\x01");
    }
    assert!(begun.elapsed() < LIMIT * 3, "dripping goes on for ever");
    edge.wait_for_metric(&handshakes("timeout"), 4.0);
    let session = Tls::trusting(&authority, Offer::default()).handshake(edge.address(), SITE);
    let mut session = session.expect("a handshake in time");
    std::thread::sleep(LIMIT * 2);
    assert!(
        session.get("/").is_ok_and(|answer| answer.contains(" 200 ")),
        "the time is over with it"
    );
}

/// Whether a handshake came to its end, and a request was answered after it.
fn is_served(session: std::io::Result<Session>) -> bool {
    session.and_then(|mut session| session.get("/")).is_ok_and(|answer| answer.contains(" 200 "))
}

#[test]
fn only_so_many_handshakes_are_under_way_at_once() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "max_handshakes: 3, handshake_timeout: 15s", "");
    let tls = Tls::trusting(&authority, Offer::default());
    let address = edge.address();
    let open = r#"asgate_listener_connections{listener="127.0.0.1:0"}"#;
    // Those whose handshake is over do not count, however many there were.
    let established = (1..11).map(|number| {
        let session = tls.handshake(address, SITE).expect("a handshake");
        // With TLS 1.3 a client has finished before the edge has.
        edge.wait_for_metric(&handshakes("full"), f64::from(number));
        session
    });
    let established: Vec<_> = established.collect();
    // Nor do those that have not said their first word.
    let silent: Vec<_> = (0..10)
        .map(|number| {
            let mut client = edge.connect();
            client.send(if number % 2 == 0 { &b""[..] } else { HALF_A_HELLO });
            client
        })
        .collect();
    edge.wait_for_metric(open, 20.0);
    let mut under_way: Vec<_> = (0..2).map(|_| tls.begin(address, SITE)).collect();
    for _ in 0..3 {
        assert!(is_served(tls.handshake(address, SITE)), "with one place left");
    }
    under_way.push(tls.begin(address, SITE));
    edge.wait_for_metric(open, 23.0);
    let (tell, told) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let served = is_served(tls.handshake(address, SITE));
        tell.send(served).expect("told");
    });
    assert!(told.recv_timeout(Duration::from_millis(700)).is_err(), "no place left: it waits");
    for mut session in established {
        assert!(session.get("/").is_ok_and(|it| it.contains(" 200 ")), "others do not wait");
    }
    under_way.pop();
    assert_eq!(told.recv_timeout(SLACK), Ok(true), "one has left: there is a place");
    waiting.join().expect("the one that waited");
    drop(silent);
}

/// Who waits for a place does so within the time for a handshake.
#[test]
fn nobody_waits_for_a_place_for_ever() {
    let stub = Stub::ok();
    let authority = Authority::create();
    let edge = site(&authority, stub.address(), "max_handshakes: 2, handshake_timeout: 700ms", "");
    let tls = Tls::trusting(&authority, Offer::default());
    let begun = Instant::now();
    let mut clients: Vec<_> =
        (0..20).map(|_| Client::over(tls.begin(edge.address(), SITE))).collect();
    for client in &mut clients {
        client.rest();
    }
    let after = begun.elapsed();
    assert!(after > LIMIT - Duration::from_millis(50), "only after {after:?}");
    assert!(after < LIMIT + SLACK, "at last, not after {after:?}");
    assert!(is_served(tls.handshake(edge.address(), SITE)), "and then there is room");
    let ended = edge.metric(&handshakes("timeout")) + edge.metric(&handshakes("crowded"));
    assert_eq!(ended, 20.0, "all of them are counted: {}", edge.metrics());
}
