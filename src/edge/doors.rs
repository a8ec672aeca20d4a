//! The listeners as operators see them: how they are doing, and what reading their files again changed.
//!
//! Asks `listener` and `telemetry` for what they know; accepts nothing and reads no file itself.

mod reload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::admin::{CertificateStatus, ClientAuthStatus, ListenerStatus, TlsStatus};
use crate::config::{self, Address};
use crate::listener::Listener;
use crate::listener::tls::{Acceptor, CertificateFacts};
use crate::telemetry::ListenerMetrics;

pub use reload::reload;

/// One listener.
pub struct Door {
    address: Address,
    max_connections: usize,
    metrics: Arc<ListenerMetrics>,
    tls: Option<Tls>,
}

/// What it speaks TLS with.
struct Tls {
    min_version: config::TlsVersion,
    acceptor: Arc<Acceptor>,
}

impl Door {
    /// Of a bound listener and the settings that it was bound with.
    pub fn new(listener: &Listener, settings: &config::Listener) -> Self {
        let acceptor = listener.acceptor().cloned();
        let tls = acceptor.zip(settings.tls.as_ref());
        Self {
            address: listener.address().clone(),
            max_connections: settings.max_connections,
            metrics: Arc::clone(listener.metrics()),
            tls: tls.map(|(acceptor, tls)| Tls { min_version: tls.min_version, acceptor }),
        }
    }

    /// How it is doing at `now`.
    pub fn status(&self, now: SystemTime) -> ListenerStatus {
        let refused = self.metrics.refusals().map(|(reason, count)| (reason.as_str(), count));
        ListenerStatus {
            address: self.address.to_string(),
            connections: self.metrics.open(),
            max_connections: u64::try_from(self.max_connections).unwrap_or(u64::MAX),
            refused: occurred(refused),
            tls: self.tls.as_ref().map(|tls| self.tls_status(tls, now)),
        }
    }

    fn tls_status(&self, tls: &Tls, now: SystemTime) -> TlsStatus {
        let handshakes = self.metrics.handshakes().map(|(result, count)| (result.as_str(), count));
        let certificates = tls.acceptor.certificates();
        TlsStatus {
            min_version: word(tls.min_version).to_owned(),
            certificates: certificates.iter().map(|facts| certificate(facts, now)).collect(),
            client_auth: tls.acceptor.clients().map(|clients| ClientAuthStatus {
                file: clients.path.display().to_string(),
                problem: clients.trouble.clone(),
            }),
            handshakes: occurred(handshakes),
        }
    }

    /// Tells the metrics when the certificates that are served now end.
    pub fn tell_expiry(&self) {
        let Some(tls) = &self.tls else {
            return;
        };
        for CertificateFacts { path, not_after, .. } in tls.acceptor.certificates().iter() {
            self.metrics.certificate_expires(&path.to_string_lossy(), *not_after);
        }
    }
}

fn certificate(facts: &CertificateFacts, now: SystemTime) -> CertificateStatus {
    let CertificateFacts { names, path, not_after, trouble } = facts;
    CertificateStatus::new(names.clone(), path.display().to_string(), *not_after, now)
        .with_trouble(trouble.clone())
}

fn word(version: config::TlsVersion) -> &'static str {
    match version {
        config::TlsVersion::V1_2 => "1.2",
        config::TlsVersion::V1_3 => "1.3",
    }
}

/// Those that are not 0.
fn occurred(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<String, u64> {
    counts.filter(|(_, count)| *count > 0).map(|(word, count)| (word.to_owned(), count)).collect()
}
