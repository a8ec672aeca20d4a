//! What TLS needs from files: certificates, private keys, PKCS#12, CRLs, OCSP responses. Read, understood, and where
//! something is wrong, said in one line what and in which file.
//!
//! [`Files`] name them, [`Contents`] are their bytes at one moment, an [`Identity`] is what a server shows to its
//! clients. Reads files and does nothing else: it opens no socket, sets up no TLS, and does not decide whom to trust;
//! `listener::tls` does.

mod certificate;
mod distinguished;
mod error;
mod file;
mod key;
mod ocsp;
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

pub use error::{Error, Kind, Part};
use file::{File, SMALL};
use key::PublicKey;
pub use trust::{Trust, authorities, client, revocations};
pub use warning::{Concern, SOON, Warning};

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
    /// One that cannot be read, is empty or larger than 1 MiB.
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
        Ok(Contents { keys, ocsp: ocsp.transpose()? })
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
    ocsp: Option<File>,
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
    /// To be sent along, until [`Identity::ocsp_until`]. None when there is none that may be sent now.
    pub ocsp: Option<Vec<u8>>,
    /// What the first of the chain says.
    pub facts: Facts,
    /// What the file of the OCSP response says, even if it may not be sent.
    response: Option<ocsp::Response>,
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
    /// Understands them. What time makes of them (an expired certificate) is no error but a warning; an OCSP response
    /// that may not be sent at this time is left out.
    ///
    /// # Errors
    /// One line: a file that is not what it should be, an encrypted key, a wrong password, a key of another
    /// certificate, an OCSP response for another.
    pub fn identity(&self) -> Result<Identity, Error> {
        let (file, (chain, key)) = match &self.keys {
            Material::Pem { chain, key } => (chain, matched(chain, key)?),
            Material::Pfx { file, password } => (file, pfx::open(file, password)?),
        };
        let leaf = chain.first().and_then(|leaf| certificate::parse(leaf));
        let leaf = leaf.ok_or_else(|| file.error(Kind::BadCertificate { number: 1 }))?;
        let facts = certificate::facts(&leaf);
        let read =
            |file: &File| ocsp::Response::read(&file.bytes, &leaf).map_err(|kind| file.error(kind));
        let response = self.ocsp.as_ref().map(read).transpose()?;
        let may_be_sent = response.is_some_and(|one| one.concern(SystemTime::now()).is_none());
        let ocsp = self.ocsp.as_ref().filter(|_| may_be_sent).map(|file| file.bytes.clone());
        Ok(Identity { chain, key, ocsp, facts, response })
    }
}

impl Identity {
    /// When the OCSP response must not be sent any more: clients refuse connections with an old one. `None` when there
    /// is none, or it does not say.
    pub fn ocsp_until(&self) -> Option<SystemTime> {
        self.response.and_then(|response| response.until())
    }
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
