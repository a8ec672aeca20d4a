//! Who may be a client: authorities that issue client certificates, and what they have revoked.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;

use super::SetupError;
use super::source::Source;
use super::terms::{Rules, Terms};
use crate::config::{ClientAuth, Demand};
use crate::pki;

/// The files with the authorities and their CRLs.
///
/// With a CRL, every certificate between the client's and the authority is looked up in the CRL of its issuer. One whose
/// issuer has no CRL here counts as not revoked. A CRL does not lose its force when its `nextUpdate` is over: what it
/// revokes stays revoked, and nobody is locked out because a new one is late.
pub struct Clients {
    pub settings: ClientAuth,
    pub terms: Arc<Terms>,
}

impl Source for Clients {
    type Contents = pki::Trust;
    type Product = Arc<Rules>;

    fn path(&self) -> PathBuf {
        self.settings.ca.clone()
    }

    fn read(&self) -> Result<pki::Trust, SetupError> {
        Ok(pki::Trust::read(&self.settings.ca, &self.settings.crl)?)
    }

    fn make(&self, trust: &pki::Trust) -> Result<Arc<Rules>, SetupError> {
        let authorities = Arc::new(trust.authorities()?);
        let provider = Arc::clone(&self.terms.provider);
        let builder = WebPkiClientVerifier::builder_with_provider(authorities, provider)
            .with_crls(trust.revocations()?)
            .allow_unknown_revocation_status();
        let builder = match self.settings.demand {
            Demand::Required => builder,
            Demand::Optional => builder.allow_unauthenticated(),
        };
        let verifier =
            builder.build().map_err(|reason| SetupError::Clients { path: self.path(), reason })?;
        Ok(Arc::new(self.terms.rules(Some(verifier))?))
    }

    fn objection(&self, _: &Arc<Rules>, _: &Arc<Rules>) -> Option<String> {
        None
    }
}
