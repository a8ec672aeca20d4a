//! What may become of a certificate that is in use although its files stay as they are: time passes, and the mode of a
//! file changes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;

use super::certificate::moment;
use super::ocsp::Response;
use super::{Concern, Part, Warning, platform};

/// How long before its end a certificate is warned about.
pub const SOON: Duration = Duration::from_secs(30 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// A certificate, its chain, its key and its OCSP response, as far as they can change by themselves.
#[derive(Debug, Clone)]
pub struct Outlook {
    pub(super) chain: Origin,
    pub(super) key: Origin,
    /// Of each certificate of the chain, the server's own first.
    pub(super) validity: Vec<Validity>,
    pub(super) staple: Option<Staple>,
}

/// Where something came from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub part: Part,
    pub path: PathBuf,
}

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    from: SystemTime,
    until: SystemTime,
}

/// The file of an OCSP response.
#[derive(Debug, Clone)]
pub struct Staple {
    pub path: PathBuf,
    /// What it says, or why it is of no use.
    pub response: Result<Response, Concern>,
}

impl Outlook {
    /// What there is to see to at `now`. Looks at the mode of the key's file.
    pub fn warnings(&self, now: SystemTime) -> Vec<Warning> {
        let times = (1..).zip(&self.validity);
        let times = times.filter_map(|(number, validity)| validity.concern(number, now));
        let mut warnings: Vec<_> = times.map(|concern| self.chain.warning(concern)).collect();
        if platform::is_open_to_all(&self.key.path) {
            warnings.push(self.key.warning(Concern::OpenToAll));
        }
        warnings.extend(self.staple_warning(now));
        warnings
    }

    /// Why the OCSP response must not be sent to clients at `now`; `None` when it may, and when there is none.
    pub fn staple_warning(&self, now: SystemTime) -> Option<Warning> {
        let Staple { path, response } = self.staple.as_ref()?;
        let concern = match response {
            Ok(response) => response.concern(now)?,
            Err(concern) => concern.clone(),
        };
        Some(Warning { part: Part::Ocsp, path: path.clone(), concern })
    }

    /// Whether there is an OCSP response that may be sent to clients at `now`.
    pub fn has_staple(&self, now: SystemTime) -> bool {
        let response = self.staple.as_ref().and_then(|staple| staple.response.as_ref().ok());
        response.is_some_and(|response| response.concern(now).is_none())
    }

    /// Where the chain was read from.
    pub fn path(&self) -> &Path {
        &self.chain.path
    }
}

impl Origin {
    pub fn warning(&self, concern: Concern) -> Warning {
        Warning { part: self.part, path: self.path.clone(), concern }
    }
}

impl Validity {
    pub fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { from: moment(validity.not_before), until: moment(validity.not_after) }
    }

    fn concern(self, number: usize, now: SystemTime) -> Option<Concern> {
        let Self { from, until } = self;
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
}
