//! Who a client proves to be by its certificate reaches the app in two headers, once, and nobody can say so but the
//! certificate, or a trusted proxy.

mod headers;

use std::io;
use std::path::Path;

use rustls::version::{TLS12, TLS13};

use crate::support::certificates::{Attribute, Authority, Certificate, Purpose, Wanted};
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::openssl::openssl;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls};

const SITE: &str = "site.test";

/// A site whose clients are signed by an authority of their own.
struct Club {
    site: Authority,
    members: Authority,
}

impl Club {
    fn found() -> Self {
        Self { site: Authority::create(), members: Authority::create() }
    }

    /// An edge with these further keys of `client_auth`, and of the file.
    fn edge(&self, stub: &Stub, client_auth: &str, file: &str) -> Edge {
        let item = self.site.sign("site", &[SITE, "127.0.0.1"]).item();
        let ca = path(&self.members.certificate());
        let listener = format!(
            "tls: {{ certificates: [{item}], client_auth: {{ ca: {ca:?}, {client_auth} }} }}"
        );
        Front { listeners: &[&listener], file, ..Front::default() }.before(stub.address())
    }

    fn member(&self, name: &str) -> Certificate {
        self.members.issue(name, client(&[(Attribute::CommonName, name)]))
    }

    /// A client with this certificate, if any.
    fn client(&self, identity: Option<&Certificate>) -> Tls {
        Tls::trusting(&self.site, Offer { identity, ..Offer::default() })
    }
}

/// A certificate for a client with this subject.
fn client<'a>(subject: &'a [(Attribute, &'a str)]) -> Wanted<'a> {
    Wanted { subject, purpose: Purpose::Client, ..Wanted::default() }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Asks an echoing worker: what it got, as text.
fn ask(tls: &Tls, edge: &Edge) -> io::Result<String> {
    let answer = tls.handshake(edge.address(), SITE)?.get("/")?;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200 "), "{answer}");
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// The values of a header in what the worker got.
fn values<'a>(got: &'a str, name: &str) -> Vec<&'a str> {
    let lines = got.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, it)| it.trim()).collect()
}

#[test]
fn a_certificate_is_asked_for_as_configured() {
    let stub = Stub::echoing();
    let club = Club::found();
    let member = club.member("alice");
    let elsewhere = Authority::create();
    let stranger = elsewhere.issue("mallory", client(&[(Attribute::CommonName, "mallory")]));
    // Whether one with a certificate, with none, and with one of another authority is served.
    for (mode, served) in [
        ("mode: off", [true, true, true]),
        ("mode: optional", [true, true, false]),
        ("mode: required", [true, false, false]),
        // The default.
        ("crl: []", [true, false, false]),
    ] {
        let edge = club.edge(&stub, mode, "");
        for ((what, identity), expected) in [
            ("a member", Some(&member)),
            ("somebody", None),
            ("a member of another club", Some(&stranger)),
        ]
        .into_iter()
        .zip(served)
        {
            let got = ask(&club.client(identity), &edge);
            assert_eq!(got.is_ok(), expected, "{mode}, {what}: {got:?}");
            let Ok(got) = got else { continue };
            let known = what == "a member" && mode != "mode: off";
            let count = values(&got, "x-client-cert-subject").len();
            assert_eq!(count, usize::from(known), "{mode}, {what}: {got}");
            let count = values(&got, "x-client-cert-fingerprint").len();
            assert_eq!(count, usize::from(known), "{mode}, {what}: {got}");
        }
    }
}

#[test]
fn the_app_sees_subject_and_fingerprint() {
    let stub = Stub::echoing();
    let club = Club::found();
    let edge = club.edge(&stub, "mode: required", "");
    let subjects: [&[(Attribute, &str)]; 5] = [
        &[(Attribute::CommonName, "alice")],
        &[
            (Attribute::Country, "DE"),
            (Attribute::Organization, "Example, Inc."),
            (Attribute::CommonName, "alice"),
        ],
        &[(Attribute::CommonName, "Zo\u{eb} <zoe@site.test> \"+;=\\")],
        &[(Attribute::CommonName, " #blank at both ends ")],
        // What would be a header of its own if it were passed on as it is.
        &[(Attribute::CommonName, "a\r\nX-Admin: yes\u{0}b")],
    ];
    for (number, subject) in subjects.into_iter().enumerate() {
        let certificate = club.members.issue(&format!("client-{number}"), client(subject));
        let file = path(&certificate.certificate);
        // Somebody else's idea of RFC 4514, which replaced RFC 2253.
        let told =
            openssl(&["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", &file], "");
        let expected = told.trim_end_matches('\n').trim_start_matches("subject=");
        // White space at the end of a header is nobody's: a blank there has to be written in digits (RFC 4514 §2.4).
        let expected = expected.replace("\\ ", "\\20");
        let got = ask(&club.client(Some(&certificate)), &edge).expect("an answer");
        assert_eq!(values(&got, "x-client-cert-subject"), [expected.as_str()], "{number}: {got}");
        let fingerprint = certificate.fingerprint();
        assert_eq!(values(&got, "x-client-cert-fingerprint"), [fingerprint.as_str()], "{got}");
        assert_eq!(values(&got, "x-admin").len(), 0, "{got}");
        let line = edge.wait_for_log(number + 1).remove(number);
        assert_eq!(line["tls.client.subject"], expected, "{line:#}");
        // The Elastic Common Schema has hashes in capitals.
        assert_eq!(line["tls.client.hash.sha256"], fingerprint.to_uppercase(), "{line:#}");
    }
}

#[test]
fn a_revoked_certificate_is_refused() {
    let stub = Stub::echoing();
    let club = Club::found();
    let (alice, bob) = (club.member("alice"), club.member("bob"));
    let list = club.members.revoke("list.crl", &[&bob]);
    let der = club.members.directory().join("list.der");
    openssl(&["crl", "-in", &path(&list), "-outform", "DER", "-out", &path(&der)], "");
    for mode in ["required", "optional"] {
        for list in [&list, &der] {
            let auth = format!("mode: {mode}, crl: [{:?}]", path(list));
            let edge = club.edge(&stub, &auth, "");
            assert!(ask(&club.client(Some(&alice)), &edge).is_ok(), "{auth}: alice is a member");
            let got = ask(&club.client(Some(&bob)), &edge);
            assert!(got.is_err(), "{auth}: bob is none any more: {got:?}");
        }
    }
    let edge = club.edge(&stub, "mode: required", "");
    assert!(ask(&club.client(Some(&bob)), &edge).is_ok(), "the control: but for the list");
}

#[test]
fn a_resumed_session_keeps_who_it_was() {
    let stub = Stub::echoing();
    let club = Club::found();
    let (alice, bob) = (club.member("alice"), club.member("bob"));
    let edge = club.edge(&stub, "mode: optional", "");
    for versions in [[&TLS12], [&TLS13]] {
        let client = |identity| {
            let offer = Offer { versions: &versions, identity, ..Offer::default() };
            Tls::trusting(&club.site, offer)
        };
        let clients =
            [("alice", client(Some(&alice))), ("bob", client(Some(&bob))), ("", client(None))];
        for round in 0..3 {
            for (name, tls) in &clients {
                let mut session = tls.handshake(edge.address(), SITE).expect("a handshake");
                assert_eq!(session.is_resumed(), round > 0, "{name:?}, {versions:?}");
                let got = session.get("/").expect("an answer");
                let expected = if name.is_empty() { vec![] } else { vec![format!("CN={name}")] };
                assert_eq!(values(&got, "x-client-cert-subject"), expected, "round {round}: {got}");
            }
        }
    }
}
