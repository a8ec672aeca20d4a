use super::super::{authorities, revocations};
use super::*;

#[test]
fn authorities_are_read() {
    assert_eq!(authorities(&fixture("root.pem")).expect("usable").len(), 1);
    let made = Made::new();
    let both = [fixture_bytes("root.pem"), fixture_bytes("chain.pem")].concat();
    assert_eq!(authorities(&made.file("both", both)).expect("usable").len(), 3);
}

#[test]
fn what_is_no_authority_is_refused() {
    let cases = [
        ("ec-pkcs8.key", "holds no certificate, only PRIVATE KEY"),
        ("ec.der", "is in DER, not PEM"),
        ("nowhere.pem", "cannot be read: "),
        ("crl.pem", "holds no certificate, only X509 CRL"),
    ];
    for (name, text) in cases {
        let error = authorities(&fixture(name)).expect_err(name);
        assert_eq!(error.part, Part::Ca, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let made = Made::new();
    let bad = "-----BEGIN CERTIFICATE-----\nMIGH\n-----END CERTIFICATE-----\n";
    let bundle = [fixture_bytes("root.pem"), bad.into()].concat();
    let error = authorities(&made.file("bundle", bundle)).expect_err("one is broken");
    assert!(
        error.to_string().contains("holds a certificate (number 2) that is of no use"),
        "{error}"
    );
}

#[test]
fn revocations_are_read_in_pem_and_der() {
    let lists = revocations(&[fixture("crl.pem"), fixture("crl.der")]).expect("usable");
    assert_eq!(lists.len(), 2, "one from each file");
    assert_eq!(lists[0], lists[1], "PEM and DER of the same list");
    let made = Made::new();
    let twice = made.file("twice", fixture_bytes("crl.pem").repeat(2));
    assert_eq!(revocations(&[twice]).expect("usable").len(), 2, "both of one file");
    assert_eq!(revocations(&[]).expect("none is fine").len(), 0);
}

#[test]
fn what_is_no_revocation_list_is_refused() {
    let made = Made::new();
    let broken = "-----BEGIN X509 CRL-----\nMIGH\n-----END X509 CRL-----\n";
    let cases = [
        (fixture("root.pem"), "holds no CRL, only CERTIFICATE"),
        (fixture("ec.der"), "is broken, or not a CRL in DER or PEM"),
        (made.file("broken", broken), "is broken, or not a CRL in DER or PEM"),
        (made.file("empty", ""), "is empty"),
        (fixture("nowhere.pem"), "cannot be read: "),
    ];
    for (path, text) in cases {
        let error = revocations(&[fixture("crl.pem"), path]).expect_err(text);
        assert_eq!(error.part, Part::Crl, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}
