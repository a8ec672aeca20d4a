//! Files for TLS: whatever is in them, they are understood or refused in one line that names the file, and what is
//! told of a client's certificate fits into a header.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use asgate::pki::{self, Files, Keys, Password};
use rustls::pki_types::CertificateDer;

/// A certificate with its key, for OCSP responses to be about.
const IDENTITY: &[u8] = include_bytes!("../../src/pki/tests/fixtures/together.pem");

/// What the fixtures of PKCS#12 are encrypted with.
const PASSWORD: &str = "secret";

/// What the name of the folder begins with that the files are in.
const FOLDER: &str = "asgate-fuzz-";

/// `bytes` are a file of any kind, and a client's certificate.
pub fn check(bytes: &[u8]) {
    let folder = Folder::new();
    let (file, identity) = (|| folder.0.join("input"), || folder.0.join("identity.pem"));
    fs::write(file(), bytes).expect("a file");
    fs::write(identity(), IDENTITY).expect("a file");
    let pem = |chain, key| Keys::Pem { chain, key };
    let pfx = Keys::Pfx { path: file(), password: Password::new(PASSWORD.to_owned()) };
    for (keys, ocsp) in [
        (pem(file(), file()), None),
        (pem(file(), identity()), None),
        (pem(identity(), file()), None),
        (pem(identity(), identity()), Some(file())),
        (pfx, None),
    ] {
        check_identity(&Files { keys, ocsp });
    }
    told(pki::authorities(&file()));
    told(pki::revocations(&[file()]));
    if let Some(client) = pki::client(&CertificateDer::from(bytes)) {
        assert!(is_text(&client.subject), "subject {:?}", client.subject);
        assert_eq!(client.fingerprint.len(), 64, "SHA-256");
    }
}

/// Where the files are, in memory where the system has such a place; removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("{FOLDER}{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the files");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What could not be removed is in nobody's way.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What can be served has a key that rustls takes, and can be told in one line.
fn check_identity(files: &Files) {
    let Some(contents) = told(files.read()) else { return };
    assert!(files.read().is_ok_and(|again| again == contents), "unchanged files differ");
    let Some(identity) = told(contents.identity()) else { return };
    assert!(!identity.chain.is_empty(), "an identity without a certificate");
    assert!(is_text(&identity.facts.subject), "subject {:?}", identity.facts.subject);
    for warning in identity.warnings(SystemTime::now()) {
        assert!(!warning.to_string().contains('\n'), "more than a line: {warning}");
    }
    let key =
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&identity.key).expect("a key for TLS");
    let certified = rustls::sign::CertifiedKey::new(identity.chain, key);
    match certified.keys_match() {
        // What rustls does not understand (version 1, unknown extensions) is for clients to judge.
        Ok(()) | Err(rustls::Error::InvalidCertificate(_)) => (),
        Err(error) => panic!("the key of the certificate: {error}"),
    }
    let key = certified.key.public_key().expect("a public half");
    let leaf = certified.end_entity_cert().expect("a certificate");
    assert!(leaf.windows(key.len()).any(|part| part == &*key), "the key is in the certificate");
}

/// The value, if there is no error; an error is one line and names a file.
fn told<T, E: Display>(outcome: Result<T, E>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains('\n'), "more than a line: {line}");
            assert!(line.contains(FOLDER), "no file is named: {line}");
            None
        }
    }
}

fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
