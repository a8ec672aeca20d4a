//! What TLS needs from files: certificates, private keys, PKCS#12, CRLs, OCSP responses. Read, understood, and where
//! something is wrong, said in one line what and in which file.
//!
//! [`Files`] name them, [`Contents`] are their bytes at one moment, an [`Identity`] is what a server shows to its
//! clients. Reads files and does nothing else: it opens no socket, sets up no TLS, and does not decide whom to trust;
//! `listener::tls` does.

mod certificate;
mod crl;
mod der;
mod distinguished;
mod error;
mod file;
mod key;
mod ocsp;
mod outlook;
mod pem;
mod pfx;
#[cfg(unix)]
#[path = "pki/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "pki/windows.rs"]
mod platform;
#[cfg(test)]
mod tests;
mod trust;
mod warning;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;

pub use crl::{Revocations, Setback};
pub use error::{Error, Kind, Part};
use file::{File, SMALL};
use key::PublicKey;
use outlook::{Origin, Staple, Validity};
pub use outlook::{Outlook, SOON};
pub use trust::{Trust, Trusted, authorities, client, revocations};
pub use warning::{Concern, Warning};

/// A chain, leaf first, and the key of the leaf.
type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub keys: Keys,
    /// A response of the authority's OCSP responder in DER, to be sent to clients.
    pub ocsp: Option<PathBuf>,
}

/// Where a certificate and its private key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// PEM. The chain begins with the server's certificate, its issuer follows, and so on. Both may be one file.
    Pem { chain: PathBuf, key: PathBuf },
    /// PKCS#12.
    Pfx { path: PathBuf, password: Password },
}

/// What a PKCS#12 file is encrypted with; not shown by [`Debug`](fmt::Debug).
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub const fn new(password: String) -> Self {
        Self(password)
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Files {
    /// Reads them. Blocks meanwhile.
    ///
    /// # Errors
    /// One that cannot be read, is empty or larger than 1 MiB; but not that of the OCSP response, which can be done
    /// without.
    pub fn read(&self) -> Result<Contents, Error> {
        let keys = match &self.keys {
            Keys::Pem { chain, key } => Material::Pem {
                chain: File::read(Part::Chain, chain, SMALL)?,
                key: File::read(Part::Key, key, SMALL)?,
            },
            Keys::Pfx { path, password } => Material::Pfx {
                file: File::read(Part::Pfx, path, SMALL)?,
                password: password.clone(),
            },
        };
        let ocsp = self.ocsp.as_deref().map(|path| File::read(Part::Ocsp, path, SMALL));
        Ok(Contents { keys, ocsp })
    }

    /// Where they are; a file that serves two purposes comes twice.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let (first, second) = match &self.keys {
            Keys::Pem { chain, key } => (chain, Some(key)),
            Keys::Pfx { path, .. } => (path, None),
        };
        [Some(first), second, self.ocsp.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }
}

/// What was in the files at one moment. Equal when nothing has changed.
#[derive(PartialEq, Eq)]
pub struct Contents {
    keys: Material,
    ocsp: Option<Result<File, Error>>,
}

#[derive(PartialEq, Eq)]
enum Material {
    Pem { chain: File, key: File },
    Pfx { file: File, password: Password },
}

/// A certificate that a server can show, and prove to be its own.
#[derive(Debug)]
pub struct Identity {
    /// The server's certificate first, then its issuers; at least one.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the first of the chain.
    pub key: PrivateKeyDer<'static>,
    /// To be sent along while [`Outlook::has_staple`] says so. `None` when there is none that is of use.
    pub ocsp: Option<Vec<u8>>,
    /// What the first of the chain says.
    pub facts: Facts,
    /// What may become of all that.
    pub outlook: Outlook,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its alternative names; when it has none at all, its common name.
    pub names: Vec<Name>,
    /// RFC 4514, in printable ASCII.
    pub subject: String,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// `ECDSA P-256`, `RSA 2048`, `Ed25519`.
    pub key: String,
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    pub fingerprint: String,
}

/// Whom a certificate is for. In lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// `www.example.org`
    Exact(String),
    /// `example.org` of `*.example.org`: any one label before it.
    Wildcard(String),
    Address(IpAddr),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// What an app is told about a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// RFC 4514, in printable ASCII; empty when the certificate has none.
    pub subject: String,
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    pub fingerprint: String,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

impl Contents {
    /// Understands them. What time makes of them (an expired certificate) is no error but a warning, and so is all that
    /// is wrong with an OCSP response: a certificate is not to be done without for its sake.
    ///
    /// # Errors
    /// One line: a file that is not what it should be, an encrypted key, a wrong password, a key of another
    /// certificate.
    pub fn identity(&self) -> Result<Identity, Error> {
        let (file, key_file, (chain, key)) = match &self.keys {
            Material::Pem { chain, key } => (chain, key, matched(chain, key)?),
            Material::Pfx { file, password } => (file, file, pfx::open(file, password)?),
        };
        let leaf = chain.first().and_then(|leaf| certificate::parse(leaf));
        let leaf = leaf.ok_or_else(|| file.error(Kind::BadCertificate { number: 1 }))?;
        let facts = certificate::facts(&leaf);
        let staple = self.ocsp.as_ref().map(|ocsp| staple(ocsp, &leaf));
        let is_usable = staple.as_ref().is_some_and(|staple| staple.response.is_ok());
        let ocsp = self.ocsp.as_ref().and_then(|file| file.as_ref().ok()).filter(|_| is_usable);
        let ocsp = ocsp.map(|file| file.bytes.clone());
        let parsed = chain.iter().filter_map(|certificate| certificate::parse(certificate));
        let outlook = Outlook {
            chain: file.origin(),
            key: key_file.origin(),
            validity: parsed.map(|certificate| Validity::of(&certificate)).collect(),
            staple,
        };
        Ok(Identity { chain, key, ocsp, facts, outlook })
    }
}

/// What the file of an OCSP response says about `certificate`, or why it is of no use.
fn staple(file: &Result<File, Error>, certificate: &X509Certificate<'_>) -> Staple {
    let (path, response) = match file {
        Ok(file) => (&file.path, ocsp::Response::read(&file.bytes, certificate)),
        Err(error) => {
            let concern = Concern::OcspUnusable { reason: error.kind.to_string() };
            return Staple { path: error.path.clone(), response: Err(concern) };
        }
    };
    let response = response.map_err(|kind| Concern::OcspUnusable { reason: kind.to_string() });
    Staple { path: path.clone(), response }
}

/// The chain and the key of two PEM files, when they belong together.
fn matched(chain: &File, key: &File) -> Result<ChainAndKey, Error> {
    let certificates = pem::certificates(&chain.bytes).map_err(|kind| chain.error(kind))?;
    let private = pem::private_key(&key.bytes).map_err(|kind| key.error(kind))?;
    let public = PublicKey::of(&private).ok_or_else(|| key.error(Kind::UnusableKey))?;
    let mut owner = None;
    for (number, der) in (1..).zip(&certificates) {
        let certificate =
            certificate::parse(der).ok_or_else(|| chain.error(Kind::BadCertificate { number }))?;
        if owner.is_none() && public.is_in(&certificate) {
            owner = Some(number);
        }
    }
    match owner {
        Some(1) => Ok((certificates, private)),
        Some(number) => Err(chain.error(Kind::LeafNotFirst { number })),
        None => Err(key.error(Kind::KeyMismatch { chain: chain.path.clone() })),
    }
}
