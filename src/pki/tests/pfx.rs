use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};

use super::*;

#[test]
fn files_of_windows_and_openssl_old_and_new_are_opened() {
    let cases = [
        ("modern.pfx", "secret"),
        ("legacy.pfx", "secret"),
        ("triple-des.pfx", "secret"),
        ("no-mac.pfx", "secret"),
        ("legacy-no-mac.pfx", "secret"),
        ("umlaut.pfx", "passwört"),
        ("no-password.pfx", ""),
    ];
    let expected = identity(&pem(fixture("chain.pem"), fixture("ec-pkcs8.key"))).expect("usable");
    for (name, password) in cases {
        let opened = identity(&pfx(fixture(name), password));
        let opened = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(opened.key, expected.key, "the key in {name}");
        assert_eq!(opened.chain, expected.chain, "leaf, then issuer, and no root: {name}");
        assert_eq!(opened.facts, expected.facts, "the facts of {name}");
    }
}

#[test]
fn a_wrong_password_is_told_from_a_broken_file() {
    let password = "cannot be opened with this password";
    let unsupported = "is encrypted or sealed in a way that is not supported";
    let cases = [
        ("modern.pfx", "Secret", Part::Password, password),
        ("modern.pfx", "", Part::Password, password),
        ("legacy.pfx", "wrong", Part::Password, password),
        ("triple-des.pfx", "wrong", Part::Password, password),
        ("umlaut.pfx", "passwort", Part::Password, password),
        ("no-password.pfx", "secret", Part::Password, password),
        ("legacy-no-mac.pfx", "wrong", Part::Password, password),
        ("no-mac.pfx", "wrong", Part::Password, "the password is wrong, or the file is broken"),
        ("rc4.pfx", "secret", Part::Pfx, unsupported),
        ("no-key.pfx", "secret", Part::Pfx, "holds no private key: export it with"),
        ("no-certificate.pfx", "secret", Part::Pfx, "holds no certificate for its private key"),
        ("chain.pem", "secret", Part::Pfx, "is PEM, not PKCS#12: give it as `cert` and `key`"),
        ("ec.der", "secret", Part::Pfx, "is broken, or not PKCS#12 in DER"),
        ("ec-key.der", "secret", Part::Pfx, "is broken, or not PKCS#12 in DER"),
    ];
    for (name, password, part, text) in cases {
        let (at, line) = refusal(&pfx(fixture(name), password));
        assert_eq!(at, part, "{name} with {password:?}: {line}");
        assert!(line.contains(text), "{name} with {password:?}: {line}");
    }
}

#[test]
fn a_file_cut_short_or_changed_is_not_opened() {
    let whole = fixture_bytes("modern.pfx");
    let made = Made::new();
    for length in [1, 20, whole.len() / 2, whole.len() - 1] {
        let path = made.file("cut.pfx", whole.get(..length).expect("shorter"));
        let (part, line) = refusal(&pfx(path, "secret"));
        assert_eq!(part, Part::Pfx, "the first {length} bytes: {line}");
    }
    // A change in what is sealed looks like a wrong password: the seal is made with it.
    let mut changed = whole;
    changed[200] ^= 1;
    let (part, line) = refusal(&pfx(made.file("changed.pfx", changed), "secret"));
    assert_eq!((part, line.as_str()), (Part::Password, "cannot be opened with this password"));
}

#[test]
fn of_several_keys_none_is_guessed() {
    let mut store = KeyStore::new();
    for (name, chain, key) in
        [("one", "chain.pem", "ec-pkcs8.key"), ("two", "rsa.pem", "rsa-pkcs8.key")]
    {
        let identity = identity(&pem(fixture(chain), fixture(key))).expect("usable");
        let key = PrivateKey::from_der(identity.key.secret_der()).expect("PKCS#8");
        let chain = identity.chain.iter().map(|one| Certificate::from_der(one).expect("X.509"));
        let entry = PrivateKeyChain::new(name, key, chain);
        store.add_entry(name, KeyStoreEntry::PrivateKeyChain(entry));
    }
    let bytes = store.writer("secret").mac_iterations(16).encryption_iterations(16).write();
    let path = Made::new();
    let (part, line) = refusal(&pfx(path.file("two.pfx", bytes.expect("PKCS#12")), "secret"));
    assert_eq!(part, Part::Pfx, "{line}");
    assert!(line.starts_with("holds 2 private keys"), "{line}");
}
