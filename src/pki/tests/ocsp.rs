use super::super::Concern;
use super::*;

fn stapled(ocsp: PathBuf) -> Files {
    let mut files = pem(fixture("chain.pem"), fixture("ec-pkcs8.key"));
    files.ocsp = Some(ocsp);
    files
}

/// What is warned about in the file of the OCSP response.
fn concerns(files: &Files, now: SystemTime) -> Vec<Concern> {
    let warnings = identity(files).expect("usable").warnings(now).into_iter();
    let about = warnings.filter(|warning| warning.part == Part::Ocsp);
    about.map(|warning| warning.concern).collect()
}

#[test]
fn a_good_response_is_stapled() {
    for name in ["ocsp-good.der", "ocsp-good-sha256.der", "ocsp-good-endless.der"] {
        let files = stapled(fixture(name));
        let identity = identity(&files).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(identity.ocsp, Some(fixture_bytes(name)), "{name}");
        assert_eq!(concerns(&files, SystemTime::now()), [], "{name}");
    }
}

/// The response with another time in the place of the nth one. Clients would find the signature wrong.
fn with_time(nth: usize, time: &[u8; 15]) -> Vec<u8> {
    /// The tag of GeneralizedTime and the length.
    const START: &[u8] = &[0x18, 0x0f];
    let mut bytes = fixture_bytes("ocsp-good.der");
    let at =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(START)).nth(nth).expect("a time");
    bytes[at + 2..at + 17].copy_from_slice(time);
    bytes
}

#[test]
fn a_response_is_not_stapled_outside_of_its_time() {
    let made = Made::new();
    let files = stapled(made.file("over", with_time(2, b"20200102030405Z")));
    assert!(!may_be_sent(&files, now()), "an old response");
    let files = stapled(made.file("early", with_time(1, b"20991231000000Z")));
    assert!(!may_be_sent(&files, now()), "one of the future");
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    assert!(may_be_sent(&files, then), "when its time has come: clocks are set late, too");
}

fn may_be_sent(files: &Files, now: SystemTime) -> bool {
    let identity = identity(files).expect("no response is a reason to do without a certificate");
    let is_sent = identity.outlook.has_staple(now);
    assert!(!is_sent || identity.ocsp.is_some(), "{files:?}: there is something to send");
    assert_eq!(is_sent, concerns(files, now).is_empty(), "{files:?}: it is told why not");
    is_sent
}

#[test]
fn the_end_of_a_response_is_sharp_and_its_begin_forgives_clocks() {
    let made = Made::new();
    let files = stapled(made.file("until", with_time(2, b"20300102030405Z")));
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_553_445);
    let second = Duration::from_secs(1);
    assert_eq!(concerns(&files, until - second), [], "the last second");
    assert_eq!(concerns(&files, until), [Concern::OcspOver { since: until }]);

    let files = stapled(made.file("later", with_time(1, b"20300101000000Z")));
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let skew = Duration::from_secs(300);
    assert_eq!(concerns(&files, from - skew - second), [Concern::OcspEarly { from }]);
    assert_eq!(concerns(&files, from - skew), [], "five minutes may be the clocks");
}

#[test]
fn a_response_that_is_of_no_use_does_not_stand_in_the_way_of_the_certificate() {
    let mismatch = "is an OCSP response for another certificate";
    let nonsense = "is not an OCSP response in DER (RFC 6960)";
    let made = Made::new();
    let cases = [
        ("ocsp-revoked.der", mismatch),
        ("ocsp-unknown.der", mismatch),
        ("ocsp-try-later.der", "is not an answer: the OCSP responder refused with status 3"),
        ("ec.der", nonsense),
        ("crl.der", nonsense),
        ("chain.pem", nonsense),
        ("nowhere.der", "cannot be read: "),
        (".", "is not a file"),
    ];
    let empty = (made.file("empty", ""), "is empty");
    let cases = cases.into_iter().map(|(name, text)| (fixture(name), text)).chain([empty]);
    for (path, text) in cases {
        let files = stapled(path.clone());
        assert_eq!(files.read().expect("read"), files.read().expect("read"), "{path:?}: the same");
        assert!(!may_be_sent(&files, now()), "{path:?}");
        let warning = identity(&files).expect("usable").outlook.staple_warning(now());
        let told = warning.expect("told").to_string();
        let expected = format!("{}: not sent to clients: it {text}", path.display());
        assert!(told.starts_with(&expected) && !told.contains('\n'), "{told}");
    }
}

#[test]
fn a_response_that_speaks_against_the_certificate_is_not_stapled() {
    for (name, chain, key, expected) in [
        ("ocsp-revoked.der", "rsa.pem", "rsa-pkcs8.key", Concern::OcspRevoked),
        ("ocsp-unknown.der", "ed25519.pem", "ed25519.key", Concern::OcspUnknown),
    ] {
        let mut files = pem(fixture(chain), fixture(key));
        files.ocsp = Some(fixture(name));
        assert!(!may_be_sent(&files, now()), "{name}");
        assert_eq!(concerns(&files, now()), [expected], "{name}");
    }
}
