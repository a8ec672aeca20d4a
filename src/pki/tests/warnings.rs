use rcgen::date_time_ymd;

use super::super::{Concern, Warning};
use super::*;

fn concerns(files: &Files, now: SystemTime) -> Vec<Concern> {
    let warnings = identity(files).expect("usable").warnings(now);
    warnings.into_iter().map(|warning| warning.concern).collect()
}

/// The fixtures as they are in the project have whatever mode they were checked out with.
fn private_copy(made: &Made, chain: &str, key: &str) -> Files {
    let files = pem(made.file("chain", fixture_bytes(chain)), made.file("key", fixture_bytes(key)));
    close(&files);
    files
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("one's own file");
}

fn close(files: &Files) {
    #[cfg(unix)]
    files.paths().for_each(|path| set_mode(path, 0o600));
    #[cfg(windows)]
    let _ = files;
}

#[test]
fn a_good_certificate_is_not_warned_about() {
    let made = Made::new();
    for (chain, key) in
        [("chain.pem", "ec-sec1.key"), ("rsa.pem", "rsa-pkcs1.key"), ("ed25519.pem", "ed25519.key")]
    {
        let files = private_copy(&made, chain, key);
        assert_eq!(concerns(&files, now()), [], "{chain}");
    }
    let files = pfx(made.file("pfx", fixture_bytes("modern.pfx")), "secret");
    close(&files);
    assert_eq!(concerns(&files, now()), [], "PKCS#12");
}

#[test]
fn time_is_warned_about_from_thirty_days_before_the_end() {
    let made = Made::new();
    let mut params = CertificateParams::new(["a.example".to_owned()]).expect("names");
    params.not_before = date_time_ymd(2030, 1, 1);
    params.not_after = date_time_ymd(2030, 12, 31);
    let files = made.self_signed(params);
    close(&files);
    let Ok(Identity { facts, .. }) = identity(&files) else { panic!("usable") };
    let (from, until, second) = (facts.not_before, facts.not_after, Duration::from_secs(1));
    let soon = |days| vec![Concern::ExpiresSoon { number: 1, at: until, days }];
    let cases = [
        (from - second, vec![Concern::NotYetValid { number: 1, from }]),
        (from, vec![]),
        (until - 30 * DAY - second, vec![]),
        (until - 30 * DAY, vec![]),
        (until - 30 * DAY + second, soon(29)),
        (until - DAY, soon(1)),
        (until, soon(0)),
        (until + second, vec![Concern::Expired { number: 1, since: until }]),
    ];
    for (now, expected) in cases {
        assert_eq!(concerns(&files, now), expected, "at {now:?}");
    }
}

#[test]
fn a_chain_that_leads_nowhere_is_warned_about() {
    let made = Made::new();
    let gap = private_copy(&made, "chain-gap.pem", "ec-pkcs8.key");
    assert_eq!(concerns(&gap, now()), [Concern::NotTheIssuer { number: 2 }]);

    // Another authority of the same name: its key has another identifier.
    let params = |name: &str| {
        let mut params = CertificateParams::new(["a.example".to_owned()]).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
    };
    let key = || KeyPair::generate().expect("a key");
    let (old, new, own) = (key(), key(), key());
    let leaf = params("leaf").signed_by(&own, &rcgen::Issuer::new(params("CA"), &old));
    let leaf = leaf.expect("a certificate").pem();
    for (issuer, expected) in [(&old, vec![]), (&new, vec![Concern::NotTheIssuer { number: 2 }])] {
        let issuer = params("CA").self_signed(issuer).expect("a certificate").pem();
        let files =
            pem(made.file("chain", leaf.clone() + &issuer), made.file("key", own.serialize_pem()));
        close(&files);
        assert_eq!(concerns(&files, now()), expected);
    }
}

#[test]
fn a_certificate_without_names_for_clients_is_warned_about() {
    let made = Made::new();
    for (common, expected) in
        [("a.example", Concern::OnlyCommonName), ("Some Server", Concern::NoNames)]
    {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, common);
        let files = made.self_signed(params);
        close(&files);
        assert_eq!(concerns(&files, now()), [expected], "{common}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_everybody_may_read_is_warned_about() {
    let made = Made::new();
    let files = private_copy(&made, "chain.pem", "ec-pkcs8.key");
    let Keys::Pem { chain, key } = &files.keys else { panic!("PEM") };
    for (mode, warned) in
        [(0o600, false), (0o640, false), (0o660, false), (0o604, true), (0o644, true)]
    {
        set_mode(key, mode);
        let expected = if warned { vec![Concern::OpenToAll] } else { vec![] };
        assert_eq!(concerns(&files, now()), expected, "mode {mode:o}");
    }
    set_mode(key, 0o600);
    set_mode(chain, 0o644);
    assert_eq!(concerns(&files, now()), [], "a certificate is no secret");
}

#[test]
fn a_warning_is_one_line_with_the_file_and_the_day() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_599);
    let cases = [
        (Concern::Expired { number: 1, since: at }, "certificate 1 expired on 2025-12-31"),
        (
            Concern::NotYetValid { number: 2, from: at },
            "certificate 2 is not valid before 2025-12-31",
        ),
        (
            Concern::ExpiresSoon { number: 1, at, days: 29 },
            "certificate 1 expires on 2025-12-31, in 29 days",
        ),
        (
            Concern::Expired { number: 1, since: SystemTime::UNIX_EPOCH - DAY },
            "certificate 1 expired on 1969-12-31",
        ),
        (
            Concern::OcspOver { since: at },
            "not sent to clients: the OCSP response was good until 2025-12-31",
        ),
    ];
    for (concern, text) in cases {
        let warning = Warning { part: Part::Chain, path: "site.pem".into(), concern };
        assert_eq!(warning.to_string(), format!("site.pem: {text}"));
    }
}

/// The whole chain is looked at, and later too: an authority that ends takes all certificates below it along.
#[test]
fn an_issuer_that_ends_is_warned_about_while_it_is_in_use() {
    let made = Made::new();
    let params = |name: &str, year| {
        let mut params = CertificateParams::new(["a.example".to_owned()]).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(year, 1, 1);
        params
    };
    let (own, of_issuer) =
        (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let issuer = params("CA", 2040);
    let leaf = params("leaf", 2050)
        .signed_by(&own, &rcgen::Issuer::from_params(&issuer, &of_issuer))
        .expect("a certificate");
    let chain = leaf.pem() + &issuer.self_signed(&of_issuer).expect("a certificate").pem();
    let files = pem(made.file("chain", chain), made.file("key", own.serialize_pem()));
    close(&files);
    let outlook = identity(&files).expect("usable").outlook;
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(2_208_988_800);
    let second = Duration::from_secs(1);
    for (now, expected) in [
        (end - 31 * DAY, vec![]),
        (end - 3 * DAY, vec![Concern::ExpiresSoon { number: 2, at: end, days: 3 }]),
        (end + second, vec![Concern::Expired { number: 2, since: end }]),
    ] {
        let concerns: Vec<_> = outlook.warnings(now).into_iter().map(|one| one.concern).collect();
        assert_eq!(concerns, expected, "at {now:?}");
    }
}
