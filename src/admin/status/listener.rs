//! How a listener and its certificates are doing.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::telemetry;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// `ip:port` with the real port, or `unix:/path`.
    pub address: String,
    /// Open client connections.
    pub connections: u64,
    /// How many may be open at a time; 0 where that is not known.
    #[serde(default)]
    pub max_connections: u64,
    /// Connections that were closed at once, by reason (`max_connections`, `proxy_protocol` ...); reasons that did not
    /// occur are left out.
    #[serde(default)]
    pub refused: BTreeMap<String, u64>,
    /// `null` on a plain listener.
    #[serde(default)]
    pub tls: Option<TlsStatus>,
}

/// The TLS of one listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsStatus {
    /// `1.2` or `1.3`.
    pub min_version: String,
    /// In the order of the configuration: the first is for clients that ask for no name that any of them has.
    pub certificates: Vec<CertificateStatus>,
    /// `null` where clients are not asked for certificates.
    #[serde(default)]
    pub client_auth: Option<ClientAuthStatus>,
    /// Handshakes that ended, by result (`full`, `resumed`, `failed` ...); results that did not occur are left out.
    pub handshakes: BTreeMap<String, u64>,
}

/// One certificate, as it is served now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// The names that it is for; none for one without.
    pub names: Vec<String>,
    /// Where it was read from; that of the chain, if there are several files.
    pub file: String,
    /// The last second of its validity (RFC 3339, UTC).
    pub expires: String,
    /// Whole days until then: 0 on the last day, below 0 when it has expired.
    pub days_left: i64,
    /// What is wrong with it or with its file, for people; `null` when nothing is.
    pub problem: Option<String>,
}

/// Whose certificates are taken from clients, and which are revoked, as it is in use now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAuthStatus {
    /// The file with the authorities.
    pub file: String,
    /// What is wrong with it, with a CRL or with what their files hold now, for people; `null` when nothing is.
    pub problem: Option<String>,
}

impl ListenerStatus {
    /// Whether a certificate has expired, so that clients refuse it.
    pub fn has_expired(&self) -> bool {
        let certificates = self.tls.iter().flat_map(|tls| &tls.certificates);
        certificates.into_iter().any(|certificate| certificate.days_left < 0)
    }
}

impl CertificateStatus {
    /// Of a certificate from `file` for `names` that is valid until `not_after`, seen at `now`.
    pub fn new(names: Vec<String>, file: String, not_after: SystemTime, now: SystemTime) -> Self {
        let expires = telemetry::in_seconds(not_after);
        let days_left = days_until(not_after, now);
        let problem = (days_left < 0).then(|| format!("expired on {expires}"));
        Self { names, file, expires, days_left, problem }
    }

    /// The same, about which there is more to say: for example that its file holds another one that cannot be used.
    pub fn with_trouble(self, trouble: Option<String>) -> Self {
        let all: Vec<_> = self.problem.into_iter().chain(trouble).collect();
        let problem = (!all.is_empty()).then(|| all.join("; "));
        Self { problem, ..self }
    }
}

/// Whole days from `now` until `end`, rounded down: below 0 as soon as `end` is over.
fn days_until(end: SystemTime, now: SystemTime) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs() / DAY.as_secs()).unwrap_or(i64::MAX);
    match end.duration_since(now) {
        Ok(left) => whole(left),
        Err(over) => -1 - whole(over.duration()),
    }
}
