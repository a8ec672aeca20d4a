use std::time::UNIX_EPOCH;

use rcgen::string::{BmpString, Ia5String, TeletexString};
use rcgen::{DistinguishedName, DnType, DnValue, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::CertificateDer;

use super::super::{Client, Name, client};
use super::*;

#[test]
fn a_certificate_is_understood() {
    let facts =
        identity(&pem(fixture("chain.pem"), fixture("ec-pkcs8.key"))).expect("usable").facts;
    let names = [
        Name::Exact("www.example.org".to_owned()),
        Name::Wildcard("example.net".to_owned()),
        Name::Address([192, 0, 2, 7].into()),
        Name::Address("2001:db8::7".parse().expect("an address")),
    ];
    assert_eq!(facts.names, names, "in the order of the certificate, in lower case");
    let shown: Vec<_> = facts.names.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["www.example.org", "*.example.net", "192.0.2.7", "2001:db8::7"]);
    assert_eq!(facts.subject, r#"CN=www.example.org,O=K\C3\B6ln\, \"Rhein\",C=DE"#);
    let years = facts.not_after.duration_since(facts.not_before).expect("in order") / 365;
    assert_eq!(years, DAY * 100, "from not_before to not_after");
    assert_eq!(facts.fingerprint.len(), 64, "SHA-256: {}", facts.fingerprint);
}

#[test]
fn times_before_1970_and_after_2038_are_what_they_are() {
    let mut params = CertificateParams::new(["a.example".to_owned()]).expect("names");
    params.not_before = date_time_ymd(1969, 12, 31);
    params.not_after = date_time_ymd(9999, 12, 31);
    let facts = identity(&Made::new().self_signed(params)).expect("usable").facts;
    assert_eq!(facts.not_before, UNIX_EPOCH - DAY);
    assert_eq!(facts.not_after, UNIX_EPOCH + Duration::from_secs(253_402_214_400));
}

#[test]
fn names_that_no_client_can_ask_for_are_left_out() {
    let cases = [
        ("a.example", Some("a.example")),
        ("A.EXAMPLE", Some("a.example")),
        ("_dmarc.a_b.example", Some("_dmarc.a_b.example")),
        ("localhost", Some("localhost")),
        ("*.a.example", Some("*.a.example")),
        ("*", None),
        ("*.", None),
        ("f*.a.example", None),
        ("a.*.example", None),
        ("*.*.example", None),
        ("a..example", None),
        (".example", None),
        ("a.example.", None),
        ("a example", None),
        ("a\r\nb.example", None),
        ("", None),
    ];
    for (name, expected) in cases {
        let mut params = CertificateParams::default();
        let dns = Ia5String::try_from(name).expect("ASCII");
        let other = Ia5String::try_from("other.example").expect("ASCII");
        params.subject_alt_names = vec![SanType::DnsName(dns), SanType::DnsName(other)];
        let facts = identity(&Made::new().self_signed(params)).expect("usable").facts;
        let names: Vec<_> = facts.names.iter().map(ToString::to_string).collect();
        let expected: Vec<_> = expected.into_iter().chain(["other.example"]).collect();
        assert_eq!(names, expected, "{name:?}");
    }
}

#[test]
fn a_common_name_counts_only_without_alternative_names() {
    for (common, other, expected) in [
        ("www.example.org", None, vec!["www.example.org"]),
        ("*.Example.org", None, vec!["*.example.org"]),
        ("192.0.2.1", None, vec!["192.0.2.1"]),
        ("Some Server", None, vec![]),
        ("www.example.org", Some(SanType::Rfc822Name("a@b.c".try_into().expect("ASCII"))), vec![]),
        ("www.example.org", Some(SanType::IpAddress([10, 0, 0, 1].into())), vec!["10.0.0.1"]),
    ] {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = other.into_iter().collect();
        let facts = identity(&Made::new().self_signed(params)).expect("usable").facts;
        let names: Vec<_> = facts.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, expected, "{common} beside {:?}", facts.names);
    }
}

/// The subject of a certificate with these attributes, as an app gets it.
fn subject(attributes: &[(DnType, DnValue)]) -> Client {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in attributes {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    client(certificate.der()).expect("a certificate is understood")
}

#[test]
fn a_subject_is_printable_ascii_in_which_nothing_can_be_forged() {
    let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
    let common = |value| vec![(DnType::CommonName, value)];
    let cases = [
        (vec![], ""),
        (common(utf8("a")), "CN=a"),
        (common(utf8("a,CN=admin")), r"CN=a\,CN=admin"),
        (common(utf8("a+b;c<d>e\"f\\g")), r#"CN=a\+b\;c\<d\>e\"f\\g"#),
        (common(utf8(" a b ")), r"CN=\20a b\20"),
        (common(utf8(" ")), r"CN=\20"),
        (common(utf8("#1#")), r"CN=\#1#"),
        (common(utf8("a\r\nX: 1\0")), r"CN=a\0D\0AX: 1\00"),
        (common(utf8("\u{7f}ä€😀")), r"CN=\7F\C3\A4\E2\82\AC\F0\9F\98\80"),
        (common(DnValue::BmpString(BmpString::try_from("bä").expect("in plane 0"))), r"CN=b\C3\A4"),
        (
            common(DnValue::TeletexString(TeletexString::try_from("T").expect("ASCII"))),
            "CN=#140154",
        ),
        (
            vec![
                (DnType::CountryName, utf8("DE")),
                (DnType::OrganizationName, utf8("O")),
                (DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), utf8("a@b.c")),
                (DnType::CustomDnType(vec![1, 2, 3]), utf8("x")),
            ],
            "1.2.3=#0c0178,emailAddress=a@b.c,O=O,C=DE",
        ),
    ];
    for (attributes, expected) in cases {
        let found = subject(&attributes).subject;
        assert_eq!(found, expected, "of {attributes:?}");
        assert!(found.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{found:?}");
    }
}

#[test]
fn a_client_is_known_by_the_digest_of_its_whole_certificate() {
    let chain = identity(&pem(fixture("chain.pem"), fixture("ec-pkcs8.key"))).expect("usable");
    let found = client(&chain.chain[0]).expect("a certificate is understood");
    assert_eq!(found.fingerprint, chain.facts.fingerprint);
    assert_eq!(found.subject, chain.facts.subject);
    assert_ne!(Some(found), client(&chain.chain[1]), "another certificate is another client");
}

#[test]
fn what_is_no_certificate_is_no_client() {
    let mut longer = fixture_bytes("ec.der");
    longer.push(0);
    for der in [vec![], vec![0x30], b"client".to_vec(), longer] {
        assert_eq!(client(&CertificateDer::from(der.clone())), None, "{der:?}");
    }
}
