//! No bytes make a reader panic, and what one accepts is whole.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{Trust, authorities, client, revocations};
use super::*;

const SEEDS: [&str; 12] = [
    "chain.pem",
    "ec-pkcs8.key",
    "rsa-pkcs1.key",
    "encrypted-legacy.key",
    "crl.pem",
    "crl.der",
    "ec.der",
    "ed25519-key.der",
    "ocsp-good.der",
    "modern.pfx",
    "no-mac.pfx",
    "legacy-no-mac.pfx",
];

/// A fixture with some bytes changed, and perhaps cut short.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 1..6);
    let end = prop::option::weighted(0.2, any::<Index>());
    (prop::sample::select(&SEEDS[..]), changes, end).prop_map(|(seed, changes, end)| {
        let mut bytes = fixture_bytes(seed);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

/// Reads `bytes` as everything that a file can be.
fn read_as_all(bytes: &[u8]) {
    let made = Made::new();
    let path = made.file("bytes", bytes);
    let good = pem(fixture("chain.pem"), fixture("ec-pkcs8.key"));
    let stapled = Files { ocsp: Some(path.clone()), ..good };
    for files in [
        pem(&path, fixture("ec-pkcs8.key")),
        pem(fixture("chain.pem"), &path),
        pem(&path, &path),
        pfx(&path, "secret"),
        stapled,
    ] {
        match identity(&files) {
            Ok(identity) => {
                assert!(!identity.chain.is_empty(), "an identity has a certificate");
                identity.warnings(now());
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "one line: {error}"),
        }
    }
    let _ = authorities(&path);
    let _ = revocations(std::slice::from_ref(&path));
    if let Ok(trust) = Trust::read(&fixture("issuer.pem"), &[path]) {
        let _ = trust.understood().map(|trusted| trusted.revocations.warnings(now()));
    }
    let _ = client(&bytes.to_vec().into());
}

proptest! {
    #[test]
    fn changed_files_are_refused_or_understood(bytes in mutated()) {
        read_as_all(&bytes);
    }

    #[test]
    fn random_bytes_are_refused_or_understood(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        read_as_all(&bytes);
    }
}
