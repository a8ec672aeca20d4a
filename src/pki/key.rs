//! Whether a private key can be used, and which certificate is its.

use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The public half of a private key.
pub struct PublicKey(SubjectPublicKeyInfoDer<'static>);

impl PublicKey {
    /// The public half of `key`; `None` when the provider of cryptography cannot sign with it: too short, of another
    /// kind, broken. The provider is the one that TLS is set up with.
    pub fn of(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).ok()?;
        Some(Self(signer.public_key()?.into_owned()))
    }

    /// Whether `certificate` is one for this key. The encodings may differ in what does not matter, such as the
    /// parameters of RSA, which some leave out (RFC 3279 §2.3.1).
    pub fn is_in(&self, certificate: &X509Certificate<'_>) -> bool {
        let theirs = certificate.public_key();
        SubjectPublicKeyInfo::from_der(&self.0).is_ok_and(|(_, own)| {
            own.algorithm.algorithm == theirs.algorithm.algorithm
                && own.subject_public_key.data == theirs.subject_public_key.data
        })
    }
}
