//! A certificate and its key, ready to be shown to clients.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::SetupError;
use super::source::Source;
use crate::{pki, telemetry};

/// All that a server's key may sign with.
const SCHEMES: [SignatureScheme; 10] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// A certificate that clients can be shown.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// With the OCSP response, for the time that it is good.
    stapled: Option<Arc<CertifiedKey>>,
    /// What its key can sign with.
    schemes: Vec<SignatureScheme>,
    facts: pki::Facts,
    outlook: pki::Outlook,
    warnings: Vec<pki::Warning>,
}

/// Which keys come first for a client that can take several. A signature with ECDSA costs a server a fraction of one
/// with RSA; Ed25519 is known to few clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preference {
    Ecdsa,
    EdDsa,
    Rsa,
}

impl Certificate {
    fn new(
        identity: pki::Identity,
        warnings: Vec<pki::Warning>,
        provider: &CryptoProvider,
    ) -> Result<Self, rustls::Error> {
        let pki::Identity { chain, key, ocsp, facts, outlook } = identity;
        // Not `CertifiedKey::from_der`: it asks webpki, which knows version 3 of X.509 only, whether the key is the
        // certificate's. `pki` has found that out, and whether to trust the certificate is for the client to decide.
        let key = CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?);
        let schemes = SCHEMES.into_iter().filter(|scheme| signs_with(&*key.key, *scheme));
        let schemes = schemes.collect();
        let stapled = ocsp.map(|ocsp| Arc::new(CertifiedKey { ocsp: Some(ocsp), ..key.clone() }));
        Ok(Self { key: Arc::new(key), stapled, schemes, facts, outlook, warnings })
    }

    /// What it says.
    pub const fn facts(&self) -> &pki::Facts {
        &self.facts
    }

    /// Its names, as people write them.
    pub fn names(&self) -> Vec<String> {
        self.facts.names.iter().map(ToString::to_string).collect()
    }

    /// What there was to see to when it was read.
    pub fn warnings(&self) -> &[pki::Warning] {
        &self.warnings
    }

    /// What there is to see to at `now` of what may change while it is in use, each in one line; but not its own end,
    /// which is told by itself. Looks at the mode of the key's file.
    pub fn troubles(&self, now: SystemTime) -> impl Iterator<Item = String> {
        let mut warnings = self.outlook.warnings(now);
        warnings.retain(|warning| {
            use pki::Concern::{Expired, ExpiresSoon};
            !matches!(warning.concern, Expired { number: 1, .. } | ExpiresSoon { number: 1, .. })
        });
        let path = self.outlook.path();
        warnings.into_iter().map(move |warning| {
            if warning.path == path { warning.concern.to_string() } else { warning.to_string() }
        })
    }

    /// What rustls needs of it now. Clients refuse an OCSP response that is over, and do without one.
    pub fn key(&self) -> Arc<CertifiedKey> {
        let stapled = self.stapled.as_ref().filter(|_| self.outlook.has_staple(SystemTime::now()));
        Arc::clone(stapled.unwrap_or(&self.key))
    }

    /// Whether clients would be shown the same as of `other`, but for an OCSP response that they would not get.
    fn loses_staple_of(&self, other: &Self, now: SystemTime) -> bool {
        self.key.cert == other.key.cert
            && other.outlook.has_staple(now)
            && !self.outlook.has_staple(now)
    }

    /// Whether it suits a client that can verify signatures of these `schemes`.
    pub fn suits(&self, schemes: &[SignatureScheme]) -> bool {
        self.schemes.iter().any(|scheme| schemes.contains(scheme))
    }

    pub fn preference(&self) -> Preference {
        match self.key.key.algorithm() {
            SignatureAlgorithm::ECDSA => Preference::Ecdsa,
            SignatureAlgorithm::ED25519 | SignatureAlgorithm::ED448 => Preference::EdDsa,
            _ => Preference::Rsa,
        }
    }

    /// Whether it has the names of `other`, in any order.
    pub fn is_for_the_same(&self, other: &Self) -> bool {
        let has_all = |of: &Self, all: &Self| {
            all.facts.names.iter().all(|name| of.facts.names.contains(name))
        };
        has_all(self, other) && has_all(other, self)
    }

    fn is_valid_at(&self, time: SystemTime) -> bool {
        self.facts.not_before <= time && time <= self.facts.not_after
    }
}

fn signs_with(key: &dyn SigningKey, scheme: SignatureScheme) -> bool {
    key.choose_scheme(&[scheme]).is_some()
}

/// The files of a certificate.
pub struct Certificates {
    pub files: pki::Files,
    pub provider: Arc<CryptoProvider>,
}

impl Source for Certificates {
    type Contents = pki::Contents;
    type Product = Arc<Certificate>;

    fn path(&self) -> PathBuf {
        // There is always one.
        self.files.paths().next().map(ToOwned::to_owned).unwrap_or_default()
    }

    fn read(&self) -> Result<pki::Contents, SetupError> {
        Ok(self.files.read()?)
    }

    fn make(&self, contents: &pki::Contents) -> Result<Arc<Certificate>, SetupError> {
        let identity = contents.identity()?;
        let warnings = identity.warnings(SystemTime::now());
        let certificate = Certificate::new(identity, warnings, &self.provider)
            .map_err(|reason| SetupError::Key { path: self.path(), reason })?;
        Ok(Arc::new(certificate))
    }

    fn objection(&self, new: &Arc<Certificate>, current: &Arc<Certificate>) -> Option<String> {
        let now = SystemTime::now();
        if new.is_valid_at(now) || !current.is_valid_at(now) {
            let lost = new.loses_staple_of(current, now).then(|| new.outlook.staple_warning(now));
            return lost.flatten().map(|why| format!("{why}; the response from before is sent"));
        }
        let facts = new.facts();
        let (from, until) =
            (telemetry::in_seconds(facts.not_before), telemetry::in_seconds(facts.not_after));
        let path = self.path();
        Some(format!("{}: the certificate is valid from {from} to {until}", path.display()))
    }
}
