//! What does not stop a certificate from being used, but some client, sooner or later.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;

use super::certificate::{self, is_issuer, moment};
use super::{Files, Identity, Keys, Part, platform};

/// How long before its end a certificate is warned about.
pub const SOON: Duration = Duration::from_secs(30 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// Something to see to. Prints one line: which file, and what about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub part: Part,
    pub path: PathBuf,
    pub concern: Concern,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.concern)
    }
}

/// What there is to see to. Certificates are counted from 1, which is the server's own, in the order of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    Expired {
        number: usize,
        since: SystemTime,
    },
    NotYetValid {
        number: usize,
        from: SystemTime,
    },
    /// `days` are whole ones.
    ExpiresSoon {
        number: usize,
        at: SystemTime,
        days: u64,
    },
    NoNames,
    /// The names are those of the subject, where clients do not look.
    OnlyCommonName,
    /// Certificate `number` did not issue the one before it.
    NotTheIssuer {
        number: usize,
    },
    OpenToAll,
    OcspOver {
        since: SystemTime,
    },
    OcspEarly {
        from: SystemTime,
    },
    OcspRevoked,
    OcspUnknown,
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { number, since } => {
                write!(f, "certificate {number} expired on {}", Date(*since))
            }
            Self::NotYetValid { number, from } => {
                write!(f, "certificate {number} is not valid before {}", Date(*from))
            }
            Self::ExpiresSoon { number, at, days } => {
                write!(f, "certificate {number} expires on {}, in {days} days", Date(*at))
            }
            Self::NoNames => {
                f.write_str("the certificate is for no name that a client can ask for")
            }
            Self::OnlyCommonName => f.write_str(
                "the certificate names its host only in the common name, which clients ignore: \
                 it needs a subjectAltName",
            ),
            Self::NotTheIssuer { number } => write!(
                f,
                "certificate {number} is not the issuer of the one before it: \
                 clients may not find their way to an authority"
            ),
            Self::OpenToAll => f.write_str("every user of this machine may read the private key"),
            Self::OcspOver { since } => {
                write!(f, "not sent to clients: the OCSP response was good until {}", Date(*since))
            }
            Self::OcspEarly { from } => {
                write!(f, "not sent to clients: the OCSP response is of {}", Date(*from))
            }
            Self::OcspRevoked => {
                f.write_str("not sent to clients: it says that the certificate is revoked")
            }
            Self::OcspUnknown => {
                f.write_str("not sent to clients: the responder does not know the certificate")
            }
        }
    }
}

/// A day in UTC, `2026-11-21`.
struct Date(SystemTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = match self.0.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()),
            Err(before) => i64::try_from(before.duration().as_secs()).map(|seconds| -seconds),
        };
        match seconds.map(ASN1Time::from_timestamp) {
            Ok(Ok(time)) => {
                let date = time.to_datetime();
                write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
            }
            Ok(Err(_)) | Err(_) => f.write_str("a day beyond the calendar"),
        }
    }
}

impl Identity {
    /// What there is to see to at `now`; `files` are those that it came from. Looks at the mode of the key's file.
    pub fn warnings(&self, files: &Files, now: SystemTime) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let (part, chain) = files.certificates();
        let parsed: Vec<_> =
            self.chain.iter().filter_map(|certificate| certificate::parse(certificate)).collect();
        for concern in about(&parsed, now).chain(self.nameless(&parsed)) {
            warnings.push(Warning { part, path: chain.to_owned(), concern });
        }
        let (part, key) = files.private_key();
        if platform::is_open_to_all(key) {
            warnings.push(Warning { part, path: key.to_owned(), concern: Concern::OpenToAll });
        }
        let response = self.response.and_then(|response| response.concern(now));
        if let (Some(concern), Some(path)) = (response, &files.ocsp) {
            warnings.push(Warning { part: Part::Ocsp, path: path.clone(), concern });
        }
        warnings
    }

    fn nameless(&self, chain: &[X509Certificate<'_>]) -> Option<Concern> {
        if self.facts.names.is_empty() {
            return Some(Concern::NoNames);
        }
        let leaf = chain.first()?;
        (!certificate::has_alternative_names(leaf)).then_some(Concern::OnlyCommonName)
    }
}

/// Each certificate of a chain: its time, and whether it issued the one before.
fn about(chain: &[X509Certificate<'_>], now: SystemTime) -> impl Iterator<Item = Concern> {
    let times = (1..).zip(chain).filter_map(move |(number, one)| untimely(number, one, now));
    let links = (2..).zip(chain.windows(2)).filter_map(|(number, pair)| match pair {
        [one, next] if !is_issuer(next, one) => Some(Concern::NotTheIssuer { number }),
        _ => None,
    });
    times.chain(links)
}

fn untimely(number: usize, certificate: &X509Certificate<'_>, now: SystemTime) -> Option<Concern> {
    let from = moment(certificate.validity().not_before);
    let until = moment(certificate.validity().not_after);
    if now < from {
        return Some(Concern::NotYetValid { number, from });
    }
    match until.duration_since(now) {
        Err(_) => Some(Concern::Expired { number, since: until }),
        Ok(left) if left < SOON => {
            Some(Concern::ExpiresSoon { number, at: until, days: left.as_secs() / DAY })
        }
        Ok(_) => None,
    }
}

impl Files {
    /// Where the certificates are.
    fn certificates(&self) -> (Part, &Path) {
        match &self.keys {
            Keys::Pem { chain, .. } => (Part::Chain, chain),
            Keys::Pfx { path, .. } => (Part::Pfx, path),
        }
    }

    /// Where the private key is.
    fn private_key(&self) -> (Part, &Path) {
        match &self.keys {
            Keys::Pem { key, .. } => (Part::Key, key),
            Keys::Pfx { path, .. } => (Part::Pfx, path),
        }
    }
}
