use super::super::Concern;
use super::*;

fn stapled(ocsp: PathBuf) -> Files {
    let mut files = pem(fixture("chain.pem"), fixture("ec-pkcs8.key"));
    files.ocsp = Some(ocsp);
    files
}

/// What is warned about in the file of the OCSP response.
fn concerns(files: &Files, now: SystemTime) -> Vec<Concern> {
    let warnings = identity(files).expect("usable").warnings(files, now).into_iter();
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
        assert_eq!(identity.ocsp_until().is_none(), name.contains("endless"), "{name}");
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
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_934_245);
    let identity = identity(&files).expect("an old response is no error");
    assert_eq!(identity.ocsp, None, "an old response is not sent");
    assert_eq!(identity.ocsp_until(), Some(until));
    let early = stapled(made.file("early", with_time(1, b"20991231000000Z")));
    assert_eq!(super::identity(&early).expect("an early one is no error").ocsp, None);
}

#[test]
fn the_end_of_a_response_is_sharp_and_its_begin_forgives_clocks() {
    let files = stapled(fixture("ocsp-good.der"));
    let identity = identity(&files).expect("usable");
    let until = identity.ocsp_until().expect("it says");
    let second = Duration::from_secs(1);
    assert_eq!(concerns(&files, until - second), [], "the last second");
    assert_eq!(concerns(&files, until), [Concern::OcspOver { since: until }]);

    let made = Made::new();
    let files = stapled(made.file("later", with_time(1, b"20300101000000Z")));
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let skew = Duration::from_secs(300);
    assert_eq!(concerns(&files, from - skew - second), [Concern::OcspEarly { from }]);
    assert_eq!(concerns(&files, from - skew), [], "five minutes may be the clocks");
}

#[test]
fn a_response_about_another_certificate_is_an_error() {
    let mismatch = "is an OCSP response for another certificate";
    let nonsense = "is not an OCSP response in DER (RFC 6960)";
    let cases = [
        ("ocsp-revoked.der", mismatch),
        ("ocsp-unknown.der", mismatch),
        ("ocsp-try-later.der", "is not an answer: the OCSP responder refused with status 3"),
        ("ec.der", nonsense),
        ("crl.der", nonsense),
        ("chain.pem", nonsense),
    ];
    for (name, text) in cases {
        assert_eq!(refusal(&stapled(fixture(name))), (Part::Ocsp, text.to_owned()), "{name}");
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
        assert_eq!(identity(&files).expect("usable").ocsp, None, "{name}");
        assert_eq!(concerns(&files, now()), [expected], "{name}");
    }
}
