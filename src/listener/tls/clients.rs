//! Who may be a client: authorities that issue client certificates, and what they have revoked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::server::WebPkiClientVerifier;

use super::SetupError;
use super::source::Source;
use super::terms::{Rules, Terms};
use crate::config::{ClientAuth, Demand};
use crate::{pki, telemetry};

/// The files with the authorities and their CRLs.
///
/// With a CRL, every certificate between the client's and the authority is looked up in the CRL of its issuer. One whose
/// issuer has no CRL here counts as not revoked. A CRL does not lose its force when its `nextUpdate` is over: what it
/// revokes stays revoked, and nobody is locked out because a new one is late.
pub struct Clients {
    pub settings: ClientAuth,
    pub terms: Arc<Terms>,
}

/// What is made of them.
pub struct Checked {
    /// What handshakes begin with; they may have got other ticket keys since.
    pub rules: Arc<Rules>,
    revocations: pki::Revocations,
}

impl Checked {
    /// What there is to see to at `now`.
    pub fn warnings(&self, now: SystemTime) -> Vec<pki::Warning> {
        self.revocations.warnings(now)
    }

    /// What there is to see to at `now` of what may change while it is in use, each in one line.
    pub fn troubles(&self, now: SystemTime) -> impl Iterator<Item = String> {
        self.revocations.overdue(now).into_iter().map(|warning| warning.to_string())
    }
}

impl Source for Clients {
    type Contents = pki::Trust;
    type Product = Checked;

    fn path(&self) -> PathBuf {
        self.settings.ca.clone()
    }

    fn read(&self) -> Result<pki::Trust, SetupError> {
        Ok(pki::Trust::read(&self.settings.ca, &self.settings.crl)?)
    }

    fn make(&self, trust: &pki::Trust) -> Result<Checked, SetupError> {
        let pki::Trusted { authorities, lists, revocations } = trust.understood()?;
        let provider = Arc::clone(&self.terms.provider);
        let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider)
            .with_crls(lists)
            .allow_unknown_revocation_status();
        let builder = match self.settings.demand {
            Demand::Required => builder,
            Demand::Optional => builder.allow_unauthenticated(),
        };
        let verifier =
            builder.build().map_err(|reason| SetupError::Clients { path: self.path(), reason })?;
        Ok(Checked { rules: Arc::new(self.terms.rules(Some(verifier))?), revocations })
    }

    /// Who is revoked stays revoked, whatever a mirror that lags behind or a wrong address has to offer.
    fn objection(&self, new: &Checked, current: &Checked) -> Option<String> {
        Some(match new.revocations.setback(&current.revocations)? {
            pki::Setback::Older { path, issuer, made, in_use } => {
                let (made, in_use) = (telemetry::in_seconds(made), telemetry::in_seconds(in_use));
                let path = path.display();
                format!("{path}: the CRL of {issuer} is of {made}, the one in use of {in_use}")
            }
            pki::Setback::Gone { issuer } => {
                format!("there is no CRL of {issuer} any more: restart if that is meant")
            }
        })
    }
}
