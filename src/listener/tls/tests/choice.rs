//! Which certificate a client is shown.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::LONG;
use super::visitor::{Traits, Visitor, shown};
use super::world::{Authority, Directory, Front, Key, Signed, settings};

/// Of a client that verifies with RSA, and what authorities here sign with.
const RSA: [SignatureScheme; 3] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
];
const RSA_AND_ED25519: [SignatureScheme; 2] =
    [SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ED25519];

/// A front with `certificates` in this order.
async fn front(certificates: &[&Signed]) -> Front {
    let directory = Directory::new();
    let put = |(number, signed): (usize, &&Signed)| directory.put(&number.to_string(), signed);
    Front::open(&settings(certificates.iter().enumerate().map(put).collect())).await
}

/// The certificate for `visitor`, who asks for `name`.
async fn shown_for(front: &Front, visitor: &Visitor, name: &str) -> CertificateDer<'static> {
    let (met, served) = front.meet(visitor, name).await;
    served.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    shown(&met.unwrap_or_else(|error| panic!("{name}: {error}")))
}

#[tokio::test]
async fn a_name_gets_its_own_certificate_then_a_wildcard_then_the_default() {
    let authority = Authority::new("friends");
    let default = authority.sign(&["default.example", "192.0.2.1"], Key::Ecdsa);
    let exact = authority.sign(&["a.example", "b.w.example", "Upper.example"], Key::Ecdsa);
    let wildcard = authority.sign(&["*.a.example", "*.w.example"], Key::Ecdsa);
    let second = authority.sign(&["a.example", "192.0.2.2"], Key::Ecdsa);
    let front = front(&[&default, &exact, &wildcard, &second]).await;
    for version in rustls::ALL_VERSIONS {
        let versions = std::slice::from_ref(version);
        let visitor =
            Visitor::new(&authority, Traits { versions: Some(versions), ..Traits::default() });
        for (name, expected, why) in [
            ("a.example", &exact, "the first of two"),
            ("A.Example", &exact, "in whatever case"),
            ("upper.example", &exact, "in whatever case"),
            ("b.w.example", &exact, "exact before wildcard"),
            ("c.w.example", &wildcard, "one label for the wildcard"),
            ("www.a.example", &wildcard, "one label for the wildcard"),
            ("x.c.w.example", &default, "two labels are too many for a wildcard"),
            ("w.example", &default, "none is too few"),
            ("default.example", &default, "its own"),
            ("unknown.example", &default, "nobody's name"),
            ("localhost", &default, "a name of one label"),
            ("192.0.2.2", &default, "an address is not asked for"),
        ] {
            let got = shown_for(&front, &visitor, name).await;
            assert_eq!(got, expected.der(), "{:?} {name}: {why}", version.version);
        }
    }
}

#[tokio::test]
async fn a_client_without_a_name_gets_the_default() {
    let authority = Authority::new("friends");
    let default = authority.sign(&["default.example"], Key::Ecdsa);
    let other = authority.sign(&["a.example"], Key::Ecdsa);
    let front = front(&[&default, &other]).await;
    let mut visitor = Visitor::trusting(&authority);
    visitor.config.enable_sni = false;
    let secured = front.greet(&visitor, "a.example").await;
    assert_eq!(secured.server_name, None, "it asked for none");
    assert_eq!(shown_for(&front, &visitor, "a.example").await, default.der(), "the default");
}

#[tokio::test]
async fn of_several_keys_for_a_name_the_client_gets_the_best_that_it_can_take() {
    let authority = Authority::new("friends");
    let names = ["a.example", "*.a.example"];
    let rsa = authority.sign(&names, Key::Rsa);
    let ed25519 = authority.sign(&names, Key::Ed25519);
    let ecdsa = authority.sign(&names, Key::Ecdsa);
    let other = authority.sign(&["other.example"], Key::Ecdsa);
    let front = front(&[&rsa, &other, &ed25519, &ecdsa]).await;
    for version in rustls::ALL_VERSIONS {
        for (schemes, expected, what) in [
            (None, &ecdsa, "everything"),
            (Some(&RSA_AND_ED25519[..]), &ed25519, "RSA and Ed25519"),
            (Some(&RSA[..]), &rsa, "RSA"),
        ] {
            let versions = Some(std::slice::from_ref(version));
            let visitor =
                Visitor::new(&authority, Traits { versions, schemes, ..Traits::default() });
            for name in ["a.example", "www.a.example", "unknown.example"] {
                let got = shown_for(&front, &visitor, name).await;
                assert_eq!(got, expected.der(), "{:?} {name}: {what}", version.version);
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_can_take_no_key_of_a_name_is_not_shown_another_name() {
    let authority = Authority::new("friends");
    let rsa = authority.sign(&["default.example"], Key::Rsa);
    let ecdsa = authority.sign(&["a.example"], Key::Ecdsa);
    let front = front(&[&rsa, &ecdsa]).await;
    let visitor = Visitor::new(&authority, Traits { schemes: Some(&RSA), ..Traits::default() });
    let (met, served) = front.meet(&visitor, "a.example").await;
    let told = met.expect_err("there is no common signature");
    assert!(told.contains("HandshakeFailure"), "the client is told: {told}");
    assert_eq!(served.expect_err("failed").result().as_str(), "failed", "nothing was agreed on");
    assert_eq!(shown_for(&front, &visitor, "b.example").await, rsa.der(), "it can take RSA");
}

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

/// An OCSP response (RFC 6960 §4.2.1) that nobody signed: the certificate in `der` is good until `end`.
fn good_until(der: &CertificateDer<'_>, end: SystemTime) -> Vec<u8> {
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
    let single = value(0x30, &[&id, &[0x80, 0], &from, &value(0xa0, &[&time(end)])]);
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
