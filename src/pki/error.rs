//! What is wrong with a file, in one line each.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What a file is for: where an error or a warning belongs in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `cert`
    Chain,
    /// `key`
    Key,
    /// `pfx`
    Pfx,
    /// `password`, of the PKCS#12 file that the path leads to
    Password,
    /// `ocsp`
    Ocsp,
    /// `ca`
    Ca,
    /// `crl`
    Crl,
}

/// A file that cannot be used. Prints one line: which file, and what is wrong with it.
#[derive(Debug)]
pub struct Error {
    pub part: Part,
    pub path: PathBuf,
    pub kind: Kind,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.kind)
    }
}

/// Equal when they say the same.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (self.part, &self.path) == (other.part, &other.path)
            && self.kind.to_string() == other.kind.to_string()
    }
}

impl Eq for Error {}

// The kind is in the line already, with the error of the system: there is nothing to chain.
impl std::error::Error for Error {}

/// What is wrong with a file. Certificates are counted from 1, in the order of the file.
#[derive(Debug, thiserror::Error)]
pub enum Kind {
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("is not a file")]
    NotAFile,
    #[error("is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("is empty")]
    Empty,
    #[error("is UTF-16 text: save it as ASCII or UTF-8")]
    Utf16,
    #[error("is in DER, not PEM: convert it with `{command}`")]
    Der { command: &'static str },
    #[error("is PKCS#12, not PEM: give it as `pfx`")]
    IsPkcs12,
    #[error("is not in PEM: nothing in it begins with -----BEGIN")]
    NotPem,
    #[error("is broken: its {label} cannot be decoded")]
    BrokenPem { label: String },
    #[error("ends in the middle of its {label}")]
    CutOff { label: String },
    #[error("holds no certificate, only {found}{}", swapped(found, PRIVATE_KEY))]
    NoCertificate { found: String },
    #[error("is broken: certificate {number} in it cannot be understood")]
    BadCertificate { number: usize },
    #[error("holds no private key, only {found}{}", swapped(found, CERTIFICATE))]
    NoKey { found: String },
    #[error("holds {count} private keys, of which it cannot be known which is meant")]
    SeveralKeys { count: usize },
    #[error(
        "holds an encrypted private key, and there is nobody to ask for the passphrase: \
         decrypt it with `openssl pkey -in FILE -out NEWFILE`"
    )]
    EncryptedKey,
    #[error(
        "holds a private key that cannot be used: \
         it must be RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519, and whole"
    )]
    UnusableKey,
    #[error("holds a private key that is not the one of the certificate in {}", chain.display())]
    KeyMismatch { chain: PathBuf },
    #[error("must begin with the certificate of the private key, which is number {number} in it")]
    LeafNotFirst { number: usize },
    #[error("is PEM, not PKCS#12: give it as `cert` and `key`")]
    NotPkcs12,
    #[error("is broken, or not PKCS#12 in DER: {reason}")]
    BrokenPkcs12 { reason: String },
    #[error(
        "is encrypted or sealed in a way that is not supported: \
         write it anew with AES-256 (`openssl pkcs12`, or AES256-SHA256 in Windows)"
    )]
    UnsupportedPkcs12,
    #[error("holds no private key: export it with the private key")]
    NoKeyInPkcs12,
    #[error("holds no certificate for its private key")]
    NoCertificateForKey,
    #[error("cannot be opened with this password")]
    WrongPassword,
    #[error("cannot be decrypted: the password is wrong, or the file is broken ({reason})")]
    Undecipherable { reason: String },
    #[error("is not an OCSP response in DER (RFC 6960)")]
    NotOcsp,
    #[error("is not an answer: the OCSP responder refused with status {status}")]
    OcspRefused { status: u32 },
    #[error("is an OCSP response for another certificate")]
    OcspMismatch,
    #[error("holds a certificate (number {number}) that is of no use as an authority: {reason}")]
    UnusableAuthority { number: usize, reason: String },
    #[error("holds no CRL, only {found}")]
    NoCrl { found: String },
    #[error("is broken, or not a CRL in DER or PEM")]
    BadCrl,
    #[error(
        "holds a CRL that TLS has no use for ({reason}): \
         it must be of version 2 with a nextUpdate, and neither indirect nor a delta"
    )]
    UnusableCrl { reason: String },
    #[error(
        "holds a CRL of {issuer} that the authority of this name in {} has not signed: \
         with it, no client of that authority could be let in", ca.display()
    )]
    CrlNotSigned { issuer: String, ca: PathBuf },
    #[error(
        "holds a second CRL of {issuer} for the same certificates, beside the one in {}: \
         only one can be in use", first.display()
    )]
    SecondCrl { issuer: String, first: PathBuf },
}

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// A hint for those who gave the certificate for the key or the other way round.
fn swapped(found: &str, other: &str) -> &'static str {
    if found.ends_with(other) { ": are `cert` and `key` swapped?" } else { "" }
}
