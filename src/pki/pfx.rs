//! PKCS#12 files (RFC 7292), as Windows and OpenSSL write them, with ciphers of today and of old.

use p12_keystore::{Pkcs12Archive, error::Error as ArchiveError};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;

use super::certificate::{self, is_issuer};
use super::file::File;
use super::key::PublicKey;
use super::{ChainAndKey, Error, Kind, Part, Password, pem};

/// Opens the file: its one private key, and that key's certificate with those of its issuers that are in the file, in
/// order. A root is left out: who trusts it has it, and who does not is not helped by it. Of several certificates for
/// the key, the one that is valid longest is taken.
pub fn open(file: &File, password: &Password) -> Result<ChainAndKey, Error> {
    let archive = Pkcs12Archive::from_pkcs12(&file.bytes, password.as_str())
        .map_err(|error| refused(file, &error))?;
    let key = only_key(&archive).map_err(|kind| file.error(kind))?;
    let public = PublicKey::of(&key).ok_or_else(|| file.error(Kind::UnusableKey))?;
    let pile: Vec<_> =
        archive.certs.iter().filter_map(|bag| certificate::parse(bag.cert.as_der())).collect();
    let leaf = pile.iter().filter(|certificate| public.is_in(certificate));
    let leaf = leaf.max_by_key(|certificate| certificate.validity().not_after);
    let leaf = leaf.ok_or_else(|| file.error(Kind::NoCertificateForKey))?;
    Ok((chain(leaf, &pile), key))
}

/// What an archive that does not open suffers from. Its MAC is looked at first, and only the right password gets
/// past it; without a MAC the padding at the end of what was decrypted tells.
fn refused(file: &File, error: &ArchiveError) -> Error {
    let wrong = |kind| Error { part: Part::Password, path: file.path.clone(), kind };
    match error {
        ArchiveError::MacError(_) | ArchiveError::UnpadError => wrong(Kind::WrongPassword),
        ArchiveError::Pkcs5Error(reason) => wrong(Kind::Undecipherable { reason: reason.clone() }),
        ArchiveError::UnsupportedEncryptionScheme | ArchiveError::UnsupportedMacAlgorithm => {
            file.error(Kind::UnsupportedPkcs12)
        }
        _ if pem::is_pem(&file.bytes) => file.error(Kind::NotPkcs12),
        broken => file.error(Kind::BrokenPkcs12 { reason: broken.to_string() }),
    }
}

fn only_key(archive: &Pkcs12Archive) -> Result<PrivateKeyDer<'static>, Kind> {
    match archive.keys.as_slice() {
        [] => Err(Kind::NoKeyInPkcs12),
        [bag] => Ok(PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()).into()),
        several => Err(Kind::SeveralKeys { count: several.len() }),
    }
}

/// `leaf`, then its issuer, then the issuer of that, as far as `pile` goes.
fn chain(leaf: &X509Certificate<'_>, pile: &[X509Certificate<'_>]) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![leaf];
    let mut last = leaf;
    while let Some(issuer) = pile.iter().find(|next| {
        is_issuer(next, last) && !is_issuer(next, next) && chain.iter().all(|one| one != next)
    }) {
        chain.push(issuer);
        last = issuer;
    }
    chain.into_iter().map(|one| CertificateDer::from(one.as_raw().to_vec())).collect()
}
