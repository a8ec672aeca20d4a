//! Which certificate a client is shown.

use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;

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
