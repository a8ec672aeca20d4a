//! The headers that say who a client is, and those who would like to say so themselves.

use crate::support::client::Client;
use crate::support::front::Front;
use crate::support::http2;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, Tunnel};

use super::{Club, SITE, values};

/// What a worker might take for a proof, in the spellings that reach a WSGI or ASGI app under the same name.
const FORGED: [&str; 12] = [
    "X-Client-Cert-Subject",
    "x-client-cert-fingerprint",
    "X_Client_Cert_Subject",
    "X-Client_Cert-Fingerprint",
    "X_CLIENT_CERT_FINGERPRINT",
    "Client-Cert",
    "Client_Cert",
    "Client-Cert-Chain",
    "X-SSL-Client-Cert",
    "X-SSL-Client-S-DN",
    "X_SSL_Client_Verify",
    "X-ARR-ClientCert",
];

fn forged() -> String {
    FORGED.map(|name| format!("{name}: forged\r\n")).concat()
}

#[test]
fn nobody_proves_anything_by_a_header() {
    let stub = Stub::echoing();
    let club = Club::found();
    let alice = club.member("alice");
    let edge = club.edge(&stub, "mode: optional", "");
    for (identity, subjects) in [(Some(&alice), vec!["CN=alice"]), (None, vec![])] {
        let tunnel = Tunnel::to(edge.address(), &club.client(identity), SITE);
        let mut client = Client::connect(tunnel.address());
        for round in 0..3 {
            let got = client.get_with("/", &format!("{}X-Kept: yes\r\n", forged())).text();
            assert!(got.contains("x-kept: yes\r\n"), "the control: {got}");
            assert!(!got.contains("forged"), "round {round}: {got}");
            assert_eq!(values(&got, "x-client-cert-subject"), subjects, "round {round}: {got}");
        }
    }
    let plain = Front::default().before(stub.address());
    let got = plain.connect().get_with("/", &forged()).text();
    assert!(!got.contains("forged"), "without TLS: {got}");
}

#[test]
fn http2_is_no_way_around() {
    let stub = Stub::echoing();
    let club = Club::found();
    let alice = club.member("alice");
    let edge = club.edge(&stub, "mode: required", "");
    let offer = Offer { identity: Some(&alice), alpn: &["h2"], ..Offer::default() };
    let tunnel = Tunnel::to(edge.address(), &Tls::trusting(&club.site, offer), SITE);
    let names = FORGED.map(|name| format!("({:?}, \"forged\")", name.to_lowercase())).join(", ");
    let script = format!(
        "tell([c.answer(c.open('GET', '/', [{names}, ('x-kept', 'yes')]))['body'] for _ in range(3)])"
    );
    let answers = http2::run(tunnel.address(), &script);
    for got in answers.as_array().expect("answers") {
        let got = got.as_str().expect("text");
        assert!(got.contains("x-kept: yes\r\n") && !got.contains("forged"), "{got}");
        assert_eq!(values(got, "x-client-cert-subject"), ["CN=alice"], "{got}");
        let fingerprint = alice.fingerprint();
        assert_eq!(values(got, "x-client-cert-fingerprint"), [fingerprint.as_str()], "{got}");
    }
}

/// TLS may have ended before us, and the certificate with it. Many a proxy that is trusted for the address of its clients
/// passes on whatever they say of certificates.
#[test]
fn a_trusted_proxy_may_say_who_the_client_is_where_that_is_configured() {
    let stub = Stub::echoing();
    let said = "X-Client-Cert-Subject: CN=carol\r\nX-Client-Cert-Fingerprint: 00ff\r\n";
    let both = "trusted_headers: [X-Client-Cert-Subject, X-Client-Cert-Fingerprint]";
    for (proxies, headers, expected) in [
        ("[127.0.0.1]", both, vec!["CN=carol"]),
        ("[127.0.0.1]", "", vec![]),
        ("[192.0.2.1]", both, vec![]),
    ] {
        let file = format!("trusted_proxies: {proxies}\n{headers}");
        let edge = Front { file: &file, ..Front::default() }.before(stub.address());
        let got = edge.connect().get_with("/", said).text();
        assert_eq!(values(&got, "x-client-cert-subject"), expected, "{proxies}: {got}");
        let count = values(&got, "x-client-cert-fingerprint").len();
        assert_eq!(count, expected.len(), "{proxies}: {got}");
    }
}
