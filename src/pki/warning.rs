//! What does not stop a certificate from being used, but some client, sooner or later.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;

use super::certificate::{self, is_issuer};
use super::{Identity, Part};

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
    /// The file of the OCSP response is of no use: it ...
    OcspUnusable {
        reason: String,
    },
    /// No authority of clients has the name of who issued the CRL.
    CrlOfNobody {
        issuer: String,
    },
    /// There are several authorities of one name, with several keys, and the CRL is for all of them, but not signed by
    /// all.
    CrlNotOfAll {
        issuer: String,
    },
    CrlOver {
        issuer: String,
        since: SystemTime,
    },
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
            Self::OcspUnusable { reason } => write!(f, "not sent to clients: it {reason}"),
            Self::CrlOfNobody { issuer } => write!(
                f,
                "no authority in `ca` is called {issuer}, as the issuer of the CRL is: \
                 it revokes nothing but of clients that bring a certificate of that issuer along"
            ),
            Self::CrlNotOfAll { issuer } => write!(
                f,
                "of the authorities in `ca` that are called {issuer}, not all have the key that the \
                 CRL is signed with: clients of the others are refused"
            ),
            Self::CrlOver { issuer, since } => write!(
                f,
                "the CRL of {issuer} was to be renewed by {}: \
                 what was revoked since then is not known here",
                Date(*since)
            ),
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
    /// What there is to see to at `now`. Looks at the mode of the key's file.
    pub fn warnings(&self, now: SystemTime) -> Vec<Warning> {
        let mut warnings = self.outlook.warnings(now);
        let parsed: Vec<_> =
            self.chain.iter().filter_map(|certificate| certificate::parse(certificate)).collect();
        let lasting = gaps(&parsed).chain(self.nameless(&parsed));
        warnings.extend(lasting.map(|concern| self.outlook.chain.warning(concern)));
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

/// Certificates of a chain that did not issue the one before.
fn gaps(chain: &[X509Certificate<'_>]) -> impl Iterator<Item = Concern> {
    (2..).zip(chain.windows(2)).filter_map(|(number, pair)| match pair {
        [one, next] if !is_issuer(next, one) => Some(Concern::NotTheIssuer { number }),
        _ => None,
    })
}
