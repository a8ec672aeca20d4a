//! Lists of revoked certificates: which would do harm, or nothing at all, and are told of.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, DnType, IsCa, Issuer, KeyIdMethod, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;

use super::super::{Concern, Setback, Trust, Trusted};
use super::*;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        Self::with(name, KeyPair::generate().expect("a key"))
    }

    fn with(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A list of this year that is to be renewed in 2030; for certificates that name the address `scope`, or for all.
    fn list(&self, year: i32, scope: Option<&str>) -> CertificateRevocationListParams {
        let point = |uri: &str| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
            scope: None,
        };
        CertificateRevocationListParams {
            this_update: date_time_ymd(year, 1, 1),
            next_update: date_time_ymd(2030, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: scope.map(point),
            revoked_certs: vec![],
            key_identifier_method: KeyIdMethod::Sha256,
        }
    }

    fn sign(&self, list: CertificateRevocationListParams) -> String {
        list.signed_by(&self.issuer).expect("signed").pem().expect("PEM")
    }

    fn made_in(&self, year: i32) -> String {
        self.sign(self.list(year, None))
    }

    fn for_part(&self, scope: &str) -> String {
        self.sign(self.list(2020, Some(scope)))
    }
}

fn trusted(ca: &[&Authority], lists: &[String]) -> Result<Trusted, Error> {
    let made = Made::new();
    let ca: String = ca.iter().map(|one| one.certificate.as_str()).collect();
    let ca = made.file("ca.pem", ca);
    let paths = (0..).zip(lists).map(|(n, list)| made.file(&format!("{n}.crl"), list));
    Trust::read(&ca, &paths.collect::<Vec<_>>())?.understood()
}

/// Why they cannot be used, without the path.
fn refused(ca: &[&Authority], lists: &[String]) -> String {
    let error = trusted(ca, lists).expect_err("it would do harm");
    assert_eq!(error.part, Part::Crl, "{error}");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    error.kind.to_string()
}

fn concerns(ca: &[&Authority], lists: &[String]) -> Vec<Concern> {
    let trusted = trusted(ca, lists).unwrap_or_else(|error| panic!("usable: {error}"));
    let warnings = trusted.revocations.warnings(now()).into_iter();
    warnings.map(|warning| warning.concern).collect()
}

#[test]
fn a_list_is_to_be_signed_by_the_authority_that_it_is_of() {
    let keys = [
        KeyPair::generate(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyPair::generate_for(&PKCS_ED25519),
        KeyPair::from_pem(&String::from_utf8(fixture_bytes("rsa-pkcs8.key")).expect("text")),
    ];
    let impostor = Authority::new("A");
    for key in keys {
        let authority = Authority::with("A", key.expect("a key"));
        assert_eq!(concerns(&[&authority], &[authority.made_in(2020)]), []);
        let told = refused(&[&authority], &[impostor.made_in(2020)]);
        assert!(told.contains("a CRL of CN=A") && told.contains("ca.pem"), "{told}");
    }
}

#[test]
fn a_list_with_a_changed_byte_is_refused() {
    let made = Made::new();
    let crl = fixture_bytes("crl.der");
    let usable = |bytes: &[u8]| {
        let crl = made.file("list.crl", bytes);
        Trust::read(&fixture("issuer.pem"), &[crl]).expect("read").understood().is_ok()
    };
    assert!(usable(&crl), "the control");
    let mut changed = crl.clone();
    *changed.last_mut().expect("a byte") ^= 1;
    assert!(!usable(&changed), "in the signature");
    // The reason of a revocation, or what else there is in the middle.
    let mut changed = crl;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    assert!(!usable(&changed), "in what is signed");
}

#[test]
fn what_a_list_cannot_do_is_warned_about() {
    let (a, b) = (Authority::new("A"), Authority::new("B"));
    let issuer = || "CN=B".to_owned();
    let nobody = Concern::CrlOfNobody { issuer: issuer() };
    assert_eq!(concerns(&[&a], &[b.made_in(2020)]), [nobody]);
    assert_eq!(concerns(&[&a, &b], &[b.made_in(2020), a.made_in(2020)]), []);

    let rekeyed = Authority::new("B");
    let some = Concern::CrlNotOfAll { issuer: issuer() };
    for ca in [[&b, &rekeyed], [&rekeyed, &b]] {
        assert_eq!(concerns(&ca, &[b.made_in(2020)]), std::slice::from_ref(&some));
    }

    let lists = trusted(&[&b], &[b.made_in(2020)]).expect("usable").revocations;
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let over = Concern::CrlOver { issuer: issuer(), since };
    let second = Duration::from_secs(1);
    for (now, expected) in [(since - second, vec![]), (since, vec![over])] {
        for told in [lists.warnings(now), lists.overdue(now)] {
            let told: Vec<_> = told.into_iter().map(|warning| warning.concern).collect();
            assert_eq!(told, expected, "at {now:?}");
        }
    }
}

#[test]
fn a_list_that_would_not_be_looked_at_is_refused() {
    let authority = Authority::new("A");
    let (all, part, other) = (
        authority.made_in(2020),
        authority.for_part("http://a/1"),
        authority.for_part("http://a/2"),
    );
    let newer_part = authority.sign(authority.list(2021, Some("http://a/1")));
    for (lists, is_refused, what) in [
        (vec![all.clone(), all.clone()], false, "the same twice"),
        (vec![all.clone(), authority.made_in(2021)], true, "two for all"),
        (vec![all.clone(), part.clone()], true, "one for all, then one for some"),
        (vec![part.clone(), other.clone()], false, "each for its part"),
        (vec![part.clone(), all.clone()], false, "the rest for the second"),
        (vec![part, other, newer_part], true, "two for the same part"),
        (vec![all.clone() + &authority.made_in(2021)], true, "two for all in one file"),
    ] {
        if is_refused {
            let told = refused(&[&authority], &lists);
            assert!(
                told.contains("a second CRL of CN=A") && told.contains(".crl"),
                "{what}: {told}"
            );
        } else {
            assert_eq!(concerns(&[&authority], &lists), [], "{what}");
        }
    }
}

/// Why a second list is refused here. If this fails, it need not be any more.
#[test]
fn tls_looks_at_the_first_list_of_an_issuer_only() {
    let authority = Authority::new("A");
    let mut client = CertificateParams::default();
    client.serial_number = Some(SerialNumber::from(7));
    let client = client.signed_by(&KeyPair::generate().expect("a key"), &authority.issuer);
    let client = client.expect("a certificate");
    let revoking = {
        let mut list = authority.list(2020, None);
        list.revoked_certs.push(RevokedCertParams {
            serial_number: SerialNumber::from(7),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        authority.sign(list)
    };
    let nobody = authority.made_in(2021);
    for (lists, is_refused) in [([&revoking, &nobody], true), ([&nobody, &revoking], false)] {
        let made = Made::new();
        let file = |(n, list): (usize, &&String)| made.file(&n.to_string(), list);
        let paths: Vec<_> = lists.iter().enumerate().map(file).collect();
        let lists = super::super::revocations(&paths).expect("usable each by itself");
        let roots = super::super::authorities(&made.file("ca", &authority.certificate));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(roots.expect("an authority"));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .with_crls(lists)
            .allow_unknown_revocation_status()
            .build()
            .expect("a verifier");
        let verified = verifier.verify_client_cert(client.der(), &[], UnixTime::now());
        assert_eq!(verified.is_err(), is_refused, "{verified:?}");
    }
}

#[test]
fn lists_that_know_less_are_a_setback() {
    let (a, b) = (Authority::new("A"), Authority::new("B"));
    let revocations = |ca: &[&Authority], lists: &[String]| {
        trusted(ca, lists).unwrap_or_else(|error| panic!("usable: {error}")).revocations
    };
    let in_use = revocations(&[&a, &b], &[a.made_in(2020), b.for_part("http://b")]);
    let gone = |issuer: &str| Some(Setback::Gone { issuer: issuer.to_owned() });
    let b_part = || b.for_part("http://b");
    for (ca, lists, expected, what) in [
        (vec![&a, &b], vec![a.made_in(2020), b_part()], None, "as old"),
        (vec![&a, &b], vec![a.made_in(2021), b_part()], None, "newer"),
        (vec![&a, &b], vec![a.made_in(2020)], gone("CN=B"), "one is missing"),
        (vec![&a, &b], vec![a.made_in(2020), b.for_part("http://c")], gone("CN=B"), "another part"),
        (vec![&a], vec![a.made_in(2020)], None, "one is missing, and its authority"),
        (vec![&b], vec![a.made_in(2020), b_part()], None, "an authority is missing"),
        (vec![&a, &b], vec![a.made_in(2020), b.made_in(2019)], None, "for others than before"),
    ] {
        assert_eq!(revocations(&ca, &lists).setback(&in_use), expected, "{what}");
    }
    let older = revocations(&[&a, &b], &[a.made_in(2019), b_part()]).setback(&in_use);
    let Some(Setback::Older { issuer, made, in_use, .. }) = older else { panic!("{older:?}") };
    assert_eq!(issuer, "CN=A");
    assert!(made + 364 * DAY < in_use, "{made:?} and {in_use:?}");
}
