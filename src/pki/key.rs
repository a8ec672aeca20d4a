//! Whether a private key can be used, and which certificate is its.

use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use x509_parser::certificate::X509Certificate;

/// The public half of a private key.
pub struct PublicKey(SubjectPublicKeyInfoDer<'static>);

impl PublicKey {
    /// The public half of `key`; `None` when the provider of cryptography cannot sign with it: too short, of another
    /// kind, broken. The provider is the one that TLS is set up with.
    pub fn of(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).ok()?;
        Some(Self(signer.public_key()?.into_owned()))
    }

    /// Whether `certificate` is one for this key: it has the same bytes for it, parameters included. Nobody else looks at
    /// that; with a certificate of another key, every handshake would fail.
    pub fn is_in(&self, certificate: &X509Certificate<'_>) -> bool {
        certificate.public_key().raw == &*self.0
    }
}
