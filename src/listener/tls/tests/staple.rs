//! OCSP responses that are sent along with a certificate, and never stand in its way.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::LONG;
use super::visitor::Visitor;
use super::world::{Authority, Directory, Front, Key, settings};
use crate::listener::tls::Outcome;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// `CertStatus` (RFC 6960 §4.2.1): `good`, and `revoked` in 2020.
const GOOD: &[u8] = &[0x80, 0];
const REVOKED: &[u8] = b"\xa1\x11\x18\x0f20200101000000Z";

#[tokio::test]
async fn an_ocsp_response_is_sent_as_long_as_it_holds() {
    let authority = Authority::new("friends");
    let signed = authority.sign(&["a.example"], Key::Ecdsa);
    let directory = Directory::new();
    let visitor = Visitor::trusting(&authority);
    let mut files = directory.put("a", &signed);

    let plain = Front::open(&settings(vec![files.clone()])).await;
    plain.greet(&visitor, "a.example").await;
    assert_eq!(visitor.staple(), b"", "there is none");

    let end = whole_seconds(SystemTime::now()) + Duration::from_secs(3);
    let response = good_until(&signed.der(), end);
    files.ocsp = Some(directory.write("a.ocsp", &response));
    let front = Front::open(&settings(vec![files])).await;
    front.greet(&Visitor::trusting(&authority), "a.example").await;
    loop {
        // A new client each time: a resumed session has no certificate.
        let visitor = Visitor::trusting(&authority);
        let before = SystemTime::now();
        front.greet(&visitor, "a.example").await;
        let after = SystemTime::now();
        match visitor.staple() {
            staple if staple.is_empty() => {
                assert!(after >= end, "it is sent until its end");
                front.acceptor.reload();
                let trouble = front.acceptor.certificates().remove(0).trouble;
                assert!(trouble.is_some_and(|what| what.contains("OCSP")), "the status shows it");
                break;
            }
            staple => {
                assert!(staple == response, "as it is in the file");
                assert!(before < end, "it is not sent after its end");
            }
        }
        assert!(before < end + LONG, "it ends");
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_although_its_response_is_not() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let old = authority.sign(&["a.example"], Key::Ecdsa);
    let mut files = directory.put("a", &old);
    let end = SystemTime::now() + HOUR;
    files.ocsp = Some(directory.write("a.ocsp", good_until(&old.der(), end)));
    let settings = settings(vec![files]);
    let front = Front::open(&settings).await;
    let new = authority.sign(&["b.example"], Key::Ecdsa);
    directory.put("a", &new);
    let outcome = front.acceptor.reload().remove(0).outcome;
    assert!(matches!(outcome, Outcome::Renewed { .. }), "{outcome:?}");
    let trouble = front.acceptor.certificates().remove(0).trouble.expect("it is told");
    assert!(trouble.contains("a.ocsp: not sent") && trouble.contains("another"), "{trouble}");

    for content in [Some("nonsense"), None] {
        match content {
            Some(text) => drop(directory.write("a.ocsp", text)),
            None => std::fs::remove_file(directory.path("a.ocsp")).expect("there"),
        }
        let visitor = Visitor::trusting(&authority);
        Front::open(&settings).await.greet(&visitor, "b.example").await;
        assert_eq!(visitor.staple(), b"", "a start with {content:?} for a response");
    }
    directory.write("a.ocsp", good_until(&new.der(), end));
    let outcome = front.acceptor.reload().remove(0).outcome;
    assert!(matches!(outcome, Outcome::Renewed { .. }), "{outcome:?}");
    assert_eq!(front.acceptor.certificates().remove(0).trouble, None, "all is well again");
    let visitor = Visitor::trusting(&authority);
    front.greet(&visitor, "b.example").await;
    assert_ne!(visitor.staple(), b"", "here it is");
}

#[tokio::test]
async fn a_response_that_is_good_is_sent_until_there_is_another_good_one() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let signed = authority.sign(&["a.example"], Key::Ecdsa);
    let mut files = directory.put("a", &signed);
    let end = SystemTime::now() + HOUR;
    let good = good_until(&signed.der(), end);
    files.ocsp = Some(directory.write("a.ocsp", &good));
    let front = Front::open(&settings(vec![files])).await;
    let over = good_until(&signed.der(), SystemTime::now() - HOUR);
    let revoked = response(&signed.der(), REVOKED, end);
    let staple = async || {
        let visitor = Visitor::trusting(&authority);
        front.greet(&visitor, "a.example").await;
        visitor.staple()
    };
    for (worse, what) in [(&over[..], "good until"), (&revoked, "revoked"), (b"?", "it is not")] {
        directory.write("a.ocsp", worse);
        let Outcome::Kept { error } = front.acceptor.reload().remove(0).outcome else {
            panic!("{what}: it is worse");
        };
        assert!(error.contains("a.ocsp") && error.contains(what), "{what}: {error}");
        assert_eq!(front.acceptor.certificates().remove(0).trouble, Some(error), "{what}: told");
        assert!(staple().await == good, "{what}: the good one is sent");
    }
    let later = good_until(&signed.der(), end + HOUR);
    directory.write("a.ocsp", &later);
    let outcome = front.acceptor.reload().remove(0).outcome;
    assert!(matches!(outcome, Outcome::Renewed { .. }), "{outcome:?}");
    assert!(staple().await == later, "the new one");
}

#[tokio::test]
async fn a_response_that_says_revoked_is_told_of_from_the_start() {
    let authority = Authority::new("friends");
    let directory = Directory::new();
    let signed = authority.sign(&["a.example"], Key::Ecdsa);
    let mut files = directory.put("a", &signed);
    let revoked = response(&signed.der(), REVOKED, SystemTime::now() + HOUR);
    files.ocsp = Some(directory.write("a.ocsp", revoked));
    let front = Front::open(&settings(vec![files])).await;
    let trouble = front.acceptor.certificates().remove(0).trouble.expect("it is told");
    assert!(trouble.contains("says that the certificate is revoked"), "{trouble}");
    let visitor = Visitor::trusting(&authority);
    front.greet(&visitor, "a.example").await;
    assert_eq!(visitor.staple(), b"", "and not sent");
}

/// An OCSP response (RFC 6960 §4.2.1) that nobody signed: the certificate in `der` is good, until `end`.
fn good_until(der: &CertificateDer<'_>, end: SystemTime) -> Vec<u8> {
    response(der, GOOD, end)
}

fn response(der: &CertificateDer<'_>, status: &[u8], end: SystemTime) -> Vec<u8> {
    let (_, certificate) = X509Certificate::from_der(der).expect("a certificate");
    let issuer = certificate.issuer().as_raw();
    let issuer = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, issuer);
    let sha1 = value(0x06, &[&[0x2b, 0x0e, 0x03, 0x02, 0x1a]]);
    let id = value(
        0x30,
        &[
            &value(0x30, &[&sha1]),
            &value(0x04, &[issuer.as_ref()]),
            &value(0x04, &[&[0; 20]]),
            &value(0x02, &[certificate.raw_serial()]),
        ],
    );
    let from = time(SystemTime::now() - Duration::from_secs(60));
    let single = value(0x30, &[&id, status, &from, &value(0xa0, &[&time(end)])]);
    let by_key = value(0xa2, &[&value(0x04, &[&[0; 20]])]);
    let data = value(0x30, &[&by_key, &from, &value(0x30, &[&single])]);
    let ecdsa = value(0x06, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]]);
    let basic = value(0x30, &[&data, &value(0x30, &[&ecdsa]), &value(0x03, &[&[0; 9]])]);
    let kind = value(0x06, &[&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01]]);
    let bytes = value(0x30, &[&kind, &value(0x04, &[&basic])]);
    value(0x30, &[&[0x0a, 1, 0], &value(0xa0, &[&bytes])])
}

/// A value in DER.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    let length = match content.len() {
        0..128 => vec![length[1]],
        128..256 => vec![0x81, length[1]],
        _ => vec![0x82, length[0], length[1]],
    };
    [&[tag], &*length, &*content].concat()
}

/// As times in OCSP are.
fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).expect("a clock that was set");
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn time(at: SystemTime) -> Vec<u8> {
    let text = crate::telemetry::in_seconds(at).replace(['-', 'T', ':'], "");
    value(0x18, &[text.as_bytes()])
}
