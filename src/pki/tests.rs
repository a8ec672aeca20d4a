//! Fixtures are what `fixtures/make` made; what rcgen can make is made here.

mod crl;
mod facts;
mod fuzz;
mod ocsp;
mod pem;
mod pfx;
mod trust;
mod warnings;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use tempfile::TempDir;

use super::{Error, Files, Identity, Keys, Part, Password};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pki/tests/fixtures").join(name)
}

fn fixture_bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn pem(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Files {
    Files { keys: Keys::Pem { chain: chain.into(), key: key.into() }, ocsp: None }
}

fn pfx(path: impl Into<PathBuf>, password: &str) -> Files {
    let password = Password::new(password.to_owned());
    Files { keys: Keys::Pfx { path: path.into(), password }, ocsp: None }
}

fn identity(files: &Files) -> Result<Identity, Error> {
    files.read()?.identity()
}

/// The error of files that must be refused: what it is about, and its line without the path.
fn refusal(files: &Files) -> (Part, String) {
    let error = match identity(files) {
        Ok(identity) => panic!("{files:?} is accepted: {identity:?}"),
        Err(error) => error,
    };
    let line = error.to_string();
    let path = format!("{}: ", error.path.display());
    let text = line.strip_prefix(&path);
    let text = text.unwrap_or_else(|| panic!("the line begins with the path: {line}"));
    assert!(!text.contains('\n'), "an error is one line: {line}");
    (error.part, text.to_owned())
}

/// The same moment for all tests: when the fixtures were made, more or less, and some days.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory with files that are made for one test.
struct Made(TempDir);

impl Made {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file in a temporary directory");
        path
    }

    /// A certificate that signed itself, and its key.
    fn self_signed(&self, params: CertificateParams) -> Files {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        pem(self.file("made.pem", certificate.pem()), self.file("made.key", key.serialize_pem()))
    }
}
