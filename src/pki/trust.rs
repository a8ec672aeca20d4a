//! Whom to trust: authorities of client certificates, and what they have revoked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::file::{File, LARGE};
use super::{Client, Error, Kind, Part, Revocations, certificate, distinguished, pem};

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

    /// Understands them, as [`authorities`] and [`revocations`] do, and looks at whether they fit together.
    ///
    /// # Errors
    /// One line that says what is wrong with which file; also with a CRL that would lock all clients of its issuer
    /// out, or would not be looked at.
    pub fn understood(&self) -> Result<Trusted, Error> {
        let authorities = Arc::new(authorities_in(&self.ca)?);
        let mut lists = Vec::new();
        for file in &self.crl {
            let found = lists_in(&file.bytes).map_err(|kind| file.error(kind))?;
            for list in found {
                usable(&list, &authorities).map_err(|kind| file.error(kind))?;
                lists.push((file, list));
            }
        }
        let certificates = pem::certificates(&self.ca.bytes).map_err(|kind| self.ca.error(kind))?;
        let parsed: Vec<_> =
            certificates.iter().filter_map(|one| certificate::parse(one)).collect();
        let each = lists.iter().map(|(file, list)| (*file, &**list));
        let revocations = Revocations::new(each, &self.ca.path, &parsed)?;
        let lists = lists.into_iter().map(|(_, list)| list).collect();
        Ok(Trusted { authorities, lists, revocations })
    }
}

/// What [`Trust`] comes to.
#[derive(Debug)]
pub struct Trusted {
    /// At least one.
    pub authorities: Arc<RootCertStore>,
    /// For TLS, which looks at all of them.
    pub lists: Vec<CertificateRevocationListDer<'static>>,
    /// What the lists say about themselves.
    pub revocations: Revocations,
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
    let mut lists = Vec::new();
    for path in paths {
        let file = File::read(Part::Crl, path, LARGE)?;
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

/// Whether TLS takes `list`: not all of RFC 5280 is known there, and what is not would keep the listener from starting.
fn usable(
    list: &CertificateRevocationListDer<'static>,
    authorities: &Arc<RootCertStore>,
) -> Result<(), Kind> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), provider);
    match builder.with_crls([list.clone()]).build() {
        Err(VerifierBuilderError::InvalidCrl(reason)) => {
            Err(Kind::UnusableCrl { reason: format!("{reason:?}") })
        }
        Ok(_) | Err(_) => Ok(()),
    }
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
