//! A certificate authority of a test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::openssl::openssl;

/// An authority, with its files in a directory of its own.
pub struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    serial: AtomicU64,
}

/// A private key and the certificate for it.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub key: PathBuf,
    pub certificate: PathBuf,
    serial: u64,
}

/// What a certificate is to say.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// DNS names and IP addresses.
    pub names: &'a [&'a str],
    /// The parts of the subject in the order of the certificate.
    pub subject: &'a [(Attribute, &'a str)],
    pub purpose: Purpose,
    pub key: KeyKind,
    /// The years on whose first day it begins and ends to be valid.
    pub valid: (i32, i32),
}

#[derive(Clone, Copy)]
pub enum Attribute {
    CommonName,
    Organization,
    Country,
}

#[derive(Clone, Copy)]
pub enum Purpose {
    Server,
    Client,
}

#[derive(Clone, Copy)]
pub enum KeyKind {
    P256,
    /// Made by the `openssl` command.
    Rsa2048,
}

// === impl Wanted ===

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            names: &[],
            subject: &[(Attribute::CommonName, "worker")],
            purpose: Purpose::Server,
            key: KeyKind::P256,
            valid: (2000, 2200),
        }
    }
}

impl Wanted<'_> {
    fn params(&self) -> CertificateParams {
        let names: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = DistinguishedName::new();
        for (attribute, value) in self.subject {
            let attribute = match attribute {
                Attribute::CommonName => DnType::CommonName,
                Attribute::Organization => DnType::OrganizationName,
                Attribute::Country => DnType::CountryName,
            };
            params.distinguished_name.push(attribute, *value);
        }
        params.extended_key_usages = vec![match self.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.not_before = date_time_ymd(self.valid.0, 1, 1);
        params.not_after = date_time_ymd(self.valid.1, 1, 1);
        params
    }
}

// === impl Authority ===

impl Authority {
    pub fn create() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        // Two of them with one name would be taken for each other.
        let name = format!("authority in {}", directory.path().display());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("signed");
        write(&directory.path().join("ca.pem"), &certificate.pem());
        write_private(&directory.path().join("ca.key"), &key.serialize_pem());
        Self { directory, issuer: Issuer::new(params, key), serial: AtomicU64::new(1) }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Its own key.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("ca.key")
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Signs a certificate for `names`, DNS names or IP addresses. Its files begin with `name`.
    pub fn sign(&self, name: &str, names: &[&str]) -> Certificate {
        self.issue(name, Wanted { names, ..Wanted::default() })
    }

    /// Signs what is wanted. Its files begin with `name`; the key is readable by its owner alone.
    pub fn issue(&self, name: &str, wanted: Wanted<'_>) -> Certificate {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut params = wanted.params();
        params.serial_number = Some(SerialNumber::from(serial));
        let key = match wanted.key {
            KeyKind::P256 => KeyPair::generate().expect("a key"),
            KeyKind::Rsa2048 => rsa_key(),
        };
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let file = |end: &str| self.directory.path().join(format!("{name}.{end}"));
        let files = Certificate { key: file("key"), certificate: file("pem"), serial };
        write_private(&files.key, &key.serialize_pem());
        write(&files.certificate, &certificate.pem());
        files
    }

    /// Writes a list in which these certificates are revoked, and returns its file.
    pub fn revoke(&self, name: &str, certificates: &[&Certificate]) -> PathBuf {
        let revoked = certificates.iter().map(|certificate| RevokedCertParams {
            serial_number: SerialNumber::from(certificate.serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2200, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list").pem().expect("as PEM");
        let file = self.directory.path().join(name);
        write(&file, &list);
        file
    }
}

// === impl Certificate ===

impl Certificate {
    /// The same with the key in another file.
    pub fn with_key(&self, key: PathBuf) -> Self {
        Self { key, ..self.clone() }
    }

    /// What the certificate and the key are as an item of `certificates`.
    pub fn item(&self) -> String {
        let [cert, key] = [&self.certificate, &self.key].map(|path| path.display().to_string());
        format!("{{ cert: {cert:?}, key: {key:?} }}")
    }

    /// The keys of a TLS listener that serves it: `tls: { certificates: […] }`.
    pub fn listener(&self) -> String {
        format!("tls: {{ certificates: [{}] }}", self.item())
    }

    /// Its serial number, unique among those of its authority.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// SHA-256 of the certificate in lower-case hexadecimal digits, as `openssl` has it.
    pub fn fingerprint(&self) -> String {
        let file = self.certificate.display().to_string();
        let told = openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", &file], "");
        let (_, digits) = told.split_once('=').expect("NAME=AA:BB:…");
        digits.trim().replace(':', "").to_lowercase()
    }
}

fn rsa_key() -> KeyPair {
    let bits = "rsa_keygen_bits:2048";
    let pem = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", bits], "");
    KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).expect("an RSA key")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    write(path, text);
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("its mode");
}
