//! Lists of revoked certificates (CRLs, RFC 5280 §5): whether one can do what it is there for.
//!
//! TLS finds the list for a client's certificate by the name of the issuer, takes the first, and looks at its signature
//! only then: a list with another's signature locks all clients of that issuer out, and a second list of one issuer is
//! never looked at. So that is found out here, when files are read.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::AlgorithmIdentifier;
use x509_parser::asn1_rs::Tag;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::moment;
use super::der::Reader;
use super::file::File;
use super::{Concern, Error, Kind, Part, Warning, distinguished};

/// Lists that are in use together, and the authorities that they are for.
#[derive(Debug)]
pub struct Revocations {
    lists: Vec<List>,
    /// The subjects of the authorities, in DER.
    authorities: Vec<Vec<u8>>,
}

/// What a list says, but for whom it revokes.
#[derive(Debug)]
struct List {
    path: PathBuf,
    /// In DER.
    issuer: Vec<u8>,
    /// RFC 4514, in printable ASCII.
    issuer_name: String,
    /// For which certificates of the issuer it is (RFC 5280 §5.2.5), in DER; `None`: for all.
    scope: Option<Vec<u8>>,
    this_update: SystemTime,
    next_update: Option<SystemTime>,
    signed: Signed,
}

/// Which of the authorities that have the name of its issuer signed a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signed {
    ByAll,
    BySome,
    ByNone,
    /// None has that name: the issuer is one whose certificate comes from clients, or of somebody else.
    Unknown,
}

/// Why lists are worse than those before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback {
    /// The list in the file at `path` was made before the one of the same issuer that is in use.
    Older { path: PathBuf, issuer: String, made: SystemTime, in_use: SystemTime },
    /// An authority had one, and has none any more.
    Gone { issuer: String },
}

impl Revocations {
    /// Of the lists in DER, each with the file that it was found in, and the certificates of authorities in the file at
    /// `ca`.
    ///
    /// # Errors
    /// One that would lock clients out, or would not be looked at.
    pub(super) fn new<'a>(
        lists: impl Iterator<Item = (&'a File, &'a [u8])>,
        ca: &Path,
        authorities: &[X509Certificate<'_>],
    ) -> Result<Self, Error> {
        let subjects = authorities.iter().map(|one| one.subject().as_raw().to_vec()).collect();
        let mut all = Self { lists: Vec::new(), authorities: subjects };
        let mut seen: Vec<&[u8]> = Vec::new();
        for (file, der) in lists {
            // The same list twice does no harm.
            if seen.contains(&der) {
                continue;
            }
            seen.push(der);
            let list =
                List::read(&file.path, der, authorities).ok_or_else(|| file.error(Kind::BadCrl))?;
            if list.signed == Signed::ByNone {
                let (issuer, ca) = (list.issuer_name, ca.to_owned());
                return Err(file.error(Kind::CrlNotSigned { issuer, ca }));
            }
            if let Some(first) = all.lists.iter().find(|first| first.hides(&list)) {
                let (issuer, first) = (list.issuer_name, first.path.clone());
                return Err(file.error(Kind::SecondCrl { issuer, first }));
            }
            all.lists.push(list);
        }
        Ok(all)
    }

    /// What there is to see to at `now`.
    pub fn warnings(&self, now: SystemTime) -> Vec<Warning> {
        let of = |list: &List| {
            let issuer = || list.issuer_name.clone();
            let whose = match list.signed {
                Signed::ByAll | Signed::ByNone => None,
                Signed::BySome => Some(Concern::CrlNotOfAll { issuer: issuer() }),
                Signed::Unknown => Some(Concern::CrlOfNobody { issuer: issuer() }),
            };
            let concerns = [whose, list.over(now)].into_iter().flatten();
            let warning = |concern| Warning { part: Part::Crl, path: list.path.clone(), concern };
            concerns.map(warning).collect::<Vec<_>>()
        };
        self.lists.iter().flat_map(of).collect()
    }

    /// What is to be told again and again: at `now`, these lists are not the latest any more.
    pub fn overdue(&self, now: SystemTime) -> Vec<Warning> {
        let mut warnings = self.warnings(now);
        warnings.retain(|warning| matches!(warning.concern, Concern::CrlOver { .. }));
        warnings
    }

    /// Why these should not take the place of `current`, by which somebody may be refused who would get in again.
    pub fn setback(&self, current: &Self) -> Option<Setback> {
        current.lists.iter().find_map(|before| {
            let mut of_issuer = self.lists.iter().filter(|list| list.issuer == before.issuer);
            let is_wanted = self.authorities.contains(&before.issuer);
            let covers = |list: &&List| list.scope == before.scope || list.scope.is_none();
            if is_wanted && of_issuer.clone().find(covers).is_none() {
                return Some(Setback::Gone { issuer: before.issuer_name.clone() });
            }
            let older = of_issuer
                .find(|list| list.scope == before.scope && list.this_update < before.this_update)?;
            Some(Setback::Older {
                path: older.path.clone(),
                issuer: older.issuer_name.clone(),
                made: older.this_update,
                in_use: before.this_update,
            })
        })
    }
}

impl List {
    fn read(path: &Path, der: &[u8], authorities: &[X509Certificate<'_>]) -> Option<Self> {
        let (_, list) = CertificateRevocationList::from_der(der).ok()?;
        let issuer = list.issuer().as_raw();
        let scope = list.extensions().iter();
        let mut scope =
            scope.filter(|extension| extension.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
        let mut signed = Signed::Unknown;
        for authority in authorities.iter().filter(|one| one.subject().as_raw() == issuer) {
            signed = signed.and(is_signed_by(der, authority).unwrap_or(false));
        }
        Some(Self {
            path: path.to_owned(),
            issuer: issuer.to_vec(),
            issuer_name: distinguished::name(list.issuer()),
            scope: scope.next().map(|extension| extension.value.to_vec()),
            this_update: moment(list.last_update()),
            next_update: list.next_update().map(moment),
            signed,
        })
    }

    /// Whether `later`, which comes after it, is not looked at for any certificate that this one is not looked at for.
    fn hides(&self, later: &Self) -> bool {
        self.issuer == later.issuer && (self.scope.is_none() || self.scope == later.scope)
    }

    fn over(&self, now: SystemTime) -> Option<Concern> {
        let since = self.next_update.filter(|end| *end <= now)?;
        Some(Concern::CrlOver { issuer: self.issuer_name.clone(), since })
    }
}

impl Signed {
    /// With what is known of one more authority of that name.
    fn and(self, is_signed: bool) -> Self {
        match (self, is_signed) {
            (Self::Unknown | Self::ByAll, true) => Self::ByAll,
            (Self::Unknown | Self::ByNone, false) => Self::ByNone,
            (Self::ByNone | Self::BySome, true) | (Self::ByAll | Self::BySome, false) => {
                Self::BySome
            }
        }
    }
}

/// Whether `authority` signed the list in `der`, as TLS finds it out; `None`: what is signed cannot be found in it.
fn is_signed_by(der: &[u8], authority: &X509Certificate<'_>) -> Option<bool> {
    let mut list = Reader::new(der).sequence()?;
    let content = list.whole()?;
    let algorithm = list.next(Tag::Sequence)?.data;
    // A string of bits begins with how many of its last byte do not count.
    let (0, signature) = list.next(Tag::BitString)?.data.split_first()? else { return None };
    let key = authority.public_key();
    let kind = Reader::new(key.raw).sequence()?.next(Tag::Sequence)?.data;
    let known = aws_lc_rs::default_provider().signature_verification_algorithms;
    let is = |id: AlgorithmIdentifier, found: &[u8]| id.as_ref() == found;
    let mut fitting = known
        .all
        .iter()
        .filter(|one| is(one.signature_alg_id(), algorithm) && is(one.public_key_alg_id(), kind));
    let key = &*key.subject_public_key.data;
    Some(fitting.any(|one| one.verify_signature(key, content, signature).is_ok()))
}
