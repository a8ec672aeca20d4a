use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};
use rustls::pki_types::PrivateKeyDer;

use super::super::Contents;
use super::*;

#[test]
fn keys_of_every_unencrypted_format_are_read() {
    let cases = [
        ("chain.pem", "ec-pkcs8.key", "ECDSA P-256", 2),
        ("chain.pem", "ec-sec1.key", "ECDSA P-256", 2),
        ("chain.pem", "ec-parameters.key", "ECDSA P-256", 2),
        ("rsa.pem", "rsa-pkcs8.key", "RSA 2048", 1),
        ("rsa.pem", "rsa-pkcs1.key", "RSA 2048", 1),
        ("ed25519.pem", "ed25519.key", "Ed25519", 1),
        ("together.pem", "together.pem", "ECDSA P-256", 2),
        ("version1.pem", "version1.key", "ECDSA P-256", 1),
    ];
    for (chain, key, kind, length) in cases {
        let identity = identity(&pem(fixture(chain), fixture(key)))
            .unwrap_or_else(|error| panic!("{chain} with {key}: {error}"));
        assert_eq!(identity.facts.key, kind, "the kind of key of {chain}");
        assert_eq!(identity.chain.len(), length, "the certificates in {chain}");
    }
}

#[test]
fn each_format_of_a_key_is_passed_on_as_what_it_is() {
    let key = |chain, key| identity(&pem(fixture(chain), fixture(key))).expect("usable").key;
    assert!(matches!(key("chain.pem", "ec-pkcs8.key"), PrivateKeyDer::Pkcs8(_)), "PKCS#8");
    assert!(matches!(key("chain.pem", "ec-sec1.key"), PrivateKeyDer::Sec1(_)), "SEC 1");
    assert!(matches!(key("rsa.pem", "rsa-pkcs1.key"), PrivateKeyDer::Pkcs1(_)), "PKCS#1");
}

#[test]
fn what_does_not_belong_is_refused_with_a_line_that_says_what_it_is() {
    let cases = [
        ("chain.pem", "encrypted-pkcs8.key", Part::Key, "holds an encrypted private key"),
        ("rsa.pem", "encrypted-legacy.key", Part::Key, "decrypt it with `openssl pkey -in FILE"),
        ("chain.pem", "rsa-pkcs8.key", Part::Key, "is not the one of the certificate in /"),
        ("chain-reversed.pem", "ec-pkcs8.key", Part::Chain, "which is number 2 in it"),
        ("chain.pem", "root.pem", Part::Key, "holds no private key, only CERTIFICATE: are"),
        ("ec-pkcs8.key", "ec-pkcs8.key", Part::Chain, "no certificate, only PRIVATE KEY: are"),
        ("ec-parameters.key", "ec-pkcs8.key", Part::Chain, "only EC PARAMETERS, EC PRIVATE KEY"),
        ("ec.csr", "ec-pkcs8.key", Part::Chain, "holds no certificate, only CERTIFICATE REQUEST"),
        (
            "ec.der",
            "ec-pkcs8.key",
            Part::Chain,
            "is in DER, not PEM: convert it with `openssl x509",
        ),
        ("chain.pem", "ec-key.der", Part::Key, "is in DER, not PEM: convert it with `openssl pkey"),
        ("chain.pem", "ed25519-key.der", Part::Key, "is in DER, not PEM"),
        ("modern.pfx", "ec-pkcs8.key", Part::Chain, "is PKCS#12, not PEM: give it as `pfx`"),
        ("chain.pem", "modern.pfx", Part::Key, "is PKCS#12, not PEM: give it as `pfx`"),
        ("short.pem", "short.key", Part::Key, "it must be RSA of 2048 to 8192 bits"),
        ("nowhere.pem", "ec-pkcs8.key", Part::Chain, "cannot be read: "),
        ("chain.pem", "", Part::Key, "is not a file"),
    ];
    for (chain, key, part, text) in cases {
        let (at, line) = refusal(&pem(fixture(chain), fixture(key)));
        assert_eq!(at, part, "{chain} with {key}: {line}");
        let text = text.replace(" /", &format!(" {}", fixture("").display()));
        assert!(line.contains(&text), "{chain} with {key}: {line}");
    }
}

#[test]
fn a_broken_file_is_refused_as_what_it_is() {
    let whole = String::from_utf8(fixture_bytes("ec-pkcs8.key")).expect("PEM is text");
    let utf16: Vec<u8> =
        [0xfe_ff].into_iter().chain(whole.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("nothing", vec![], "is empty"),
        ("white space", b" \r\n\n".to_vec(), "is empty"),
        ("text", b"not a key".to_vec(), "is not in PEM: nothing in it begins with -----BEGIN"),
        ("UTF-16", utf16, "is UTF-16 text"),
        ("twice", whole.repeat(2).into(), "holds 2 private keys"),
        ("no end", whole.replace("-----END", "").into(), "ends in the middle of its PRIVATE KEY"),
        ("no base64", whole.replace("\nM", "\n*").into(), "its PRIVATE KEY cannot be decoded"),
        ("cut DER", whole.replacen("MIGH", "", 1).into(), "a private key that cannot be used"),
        (
            "DSA",
            whole.replace("PRIVATE", "DSA PRIVATE").into(),
            "a private key that cannot be used",
        ),
    ];
    for (name, bytes, text) in cases {
        let made = Made::new();
        let (part, line) = refusal(&pem(fixture("chain.pem"), made.file("key", bytes)));
        assert_eq!(part, Part::Key, "{name}: {line}");
        assert!(line.contains(text), "{name}: {line}");
    }
}

#[test]
fn a_certificate_that_makes_no_sense_is_refused_by_its_number() {
    let made = Made::new();
    let mut chain = fixture_bytes("chain.pem");
    chain.extend(b"-----BEGIN CERTIFICATE-----\nMIGH\n-----END CERTIFICATE-----\n");
    let (part, line) = refusal(&pem(made.file("chain", chain), fixture("ec-pkcs8.key")));
    assert_eq!(part, Part::Chain, "{line}");
    assert_eq!(line, "is broken: certificate 3 in it cannot be understood");
}

#[test]
fn a_file_may_come_from_an_editor_on_windows() {
    let text = String::from_utf8(fixture_bytes("chain.pem")).expect("PEM is text");
    let made = Made::new();
    for (name, text) in [
        ("byte order mark", format!("\u{feff}{text}")),
        ("CR LF", text.replace('\n', "\r\n")),
        ("CR", text.replace('\n', "\r")),
        ("words around it", format!("subject=…\r\n{text}\nthe end")),
        ("no line end at the end", text.trim_end().to_owned()),
    ] {
        let chain = made.file("chain", text);
        let identity = identity(&pem(chain, fixture("ec-pkcs8.key")));
        let identity = identity.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(identity.chain.len(), 2, "{name}");
    }
}

#[test]
fn a_file_of_a_mebibyte_is_read_and_no_larger_one() {
    const LIMIT: usize = 1 << 20;
    let made = Made::new();
    for length in [LIMIT - 1, LIMIT, LIMIT + 1] {
        let mut key = fixture_bytes("ec-pkcs8.key");
        key.resize(length, b'\n');
        let read = identity(&pem(fixture("chain.pem"), made.file("key", key)));
        match read {
            Ok(_) => assert!(length <= LIMIT, "{length} bytes are read"),
            Err(error) => {
                assert!(length > LIMIT, "{length} bytes: {error}");
                assert!(error.to_string().ends_with("is larger than 1048576 bytes"), "{error}");
            }
        }
    }
}

#[test]
fn a_change_of_any_file_shows_in_the_contents() {
    let made = Made::new();
    let chain = made.file("chain", fixture_bytes("chain.pem"));
    let key = made.file("key", fixture_bytes("ec-pkcs8.key"));
    let ocsp = made.file("ocsp", fixture_bytes("ocsp-good.der"));
    let mut files = pem(&chain, &key);
    files.ocsp = Some(ocsp.clone());
    let before = files.read().expect("readable");
    assert!(before == files.read().expect("readable"), "nothing has changed");
    for path in [chain, key, ocsp] {
        let old = std::fs::read(&path).expect("readable");
        std::fs::write(&path, [old.as_slice(), b"\n"].concat()).expect("writable");
        assert!(before != files.read().expect("readable"), "{} has changed", path.display());
        std::fs::write(&path, old).expect("writable");
    }
    assert!(before == files.read().expect("readable"), "all is as it was");
}

#[test]
fn the_paths_are_all_those_that_are_read() {
    let mut files = pem("a", "b");
    files.ocsp = Some("c".into());
    assert_eq!(files.paths().collect::<Vec<_>>(), ["a", "b", "c"].map(Path::new));
    assert_eq!(pfx("a", "").paths().collect::<Vec<_>>(), ["a"].map(Path::new));
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let shown = format!("{:?}", pfx("a", "hunter2"));
    assert!(!shown.contains("hunter2"), "the password: {shown}");
    let files = pem(fixture("chain.pem"), fixture("ec-pkcs8.key"));
    let contents: Contents = files.read().expect("readable");
    assert_eq!(format!("{contents:?}"), "Contents { .. }");
    let PrivateKeyDer::Pkcs8(key) = identity(&files).expect("usable").key else {
        panic!("the key is PKCS#8");
    };
    let bytes = format!("{:?}", key.secret_pkcs8_der());
    let shown = format!("{:?}", identity(&files).expect("usable"));
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "the key: {shown}");
}

#[test]
fn a_key_of_another_curve_is_told_apart() {
    let made = Made::new();
    let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
    let (part, line) = refusal(&pem(fixture("chain.pem"), made.file("key", other.serialize_pem())));
    assert_eq!(part, Part::Key, "{line}");
    assert!(line.contains("is not the one of the certificate"), "{line}");
}
