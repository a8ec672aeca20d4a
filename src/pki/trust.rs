//! Whom to trust: authorities of client certificates, and what they have revoked.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::file::{File, LARGE};
use super::{Client, Error, Kind, Part, certificate, distinguished, pem};

/// What the files with authorities and CRLs hold, not looked at yet; equal when nothing has changed.
#[derive(PartialEq, Eq)]
pub struct Trust {
    ca: File,
    crl: Vec<File>,
}

impl Trust {
    /// Reads the file with the authorities at `ca` and the CRLs at `crl`. Blocks meanwhile.
    ///
    /// # Errors
    /// One line that says which file cannot be read, and why.
    pub fn read(ca: &Path, crl: &[PathBuf]) -> Result<Self, Error> {
        let crl = crl.iter().map(|path| File::read(Part::Crl, path, LARGE));
        Ok(Self { ca: File::read(Part::Ca, ca, LARGE)?, crl: crl.collect::<Result<_, _>>()? })
    }

    /// As [`authorities`].
    ///
    /// # Errors
    /// As [`authorities`].
    pub fn authorities(&self) -> Result<RootCertStore, Error> {
        authorities_in(&self.ca)
    }

    /// As [`revocations`].
    ///
    /// # Errors
    /// As [`revocations`].
    pub fn revocations(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
        revocations_in(&self.crl)
    }
}

/// The authorities in the PEM file at `path`, at least one. Blocks while it reads.
///
/// # Errors
/// One line that says what is wrong with the file. A certificate that is of no use is an error: the operator believes
/// that it counts.
pub fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    authorities_in(&File::read(Part::Ca, path, LARGE)?)
}

fn authorities_in(file: &File) -> Result<RootCertStore, Error> {
    let certificates = pem::certificates(&file.bytes).map_err(|kind| file.error(kind))?;
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates) {
        roots.add(certificate).map_err(|error| {
            file.error(Kind::UnusableAuthority { number, reason: error.to_string() })
        })?;
    }
    Ok(roots)
}

/// The CRLs in the files at `paths`, each in PEM, several perhaps, or one in DER, as authorities publish them. Blocks
/// while it reads.
///
/// # Errors
/// One line that says what is wrong with which file.
pub fn revocations(paths: &[PathBuf]) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let files = paths.iter().map(|path| File::read(Part::Crl, path, LARGE));
    revocations_in(&files.collect::<Result<Vec<_>, _>>()?)
}

fn revocations_in(files: &[File]) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let mut lists = Vec::new();
    for file in files {
        lists.extend(lists_in(&file.bytes).map_err(|kind| file.error(kind))?);
    }
    Ok(lists)
}

fn lists_in(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Kind> {
    if is_list(bytes) {
        return Ok(vec![CertificateRevocationListDer::from(bytes.to_vec())]);
    }
    if !pem::is_pem(bytes) {
        return Err(Kind::BadCrl);
    }
    let lists = pem::revocations(bytes)?;
    if lists.iter().all(|list| is_list(list)) { Ok(lists) } else { Err(Kind::BadCrl) }
}

fn is_list(der: &[u8]) -> bool {
    matches!(CertificateRevocationList::from_der(der), Ok(([], _)))
}

/// What an app is told about a client's certificate; `None` when it cannot be understood. Whether it is to be trusted
/// must have been found out before.
pub fn client(certificate: &CertificateDer<'_>) -> Option<Client> {
    let parsed = certificate::parse(certificate)?;
    Some(Client {
        subject: distinguished::name(parsed.subject()),
        fingerprint: certificate::fingerprint(certificate),
    })
}
