//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// An authority, with its files in a directory of its own.
pub struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A private key and the certificate for it.
pub struct Certificate {
    pub key: PathBuf,
    pub certificate: PathBuf,
}

impl Authority {
    pub fn create() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("signed");
        write(&directory.path().join("ca.pem"), &certificate.pem());
        Self { directory, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Signs a certificate for `names`, DNS names or IP addresses. Its files begin with `name`.
    pub fn sign(&self, name: &str, names: &[&str]) -> Certificate {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "worker");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let file = |end: &str| self.directory.path().join(format!("{name}.{end}"));
        let files = Certificate { key: file("key"), certificate: file("pem") };
        write(&files.key, &key.serialize_pem());
        write(&files.certificate, &certificate.pem());
        files
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}
