//! What is told of the files behind an acceptor: how what is in use is doing, and what came of reading them again.

use std::path::PathBuf;
use std::time::SystemTime;

use super::certificate::Certificates;
use super::clients::Clients;
use super::source::{InUse, Look, Patience};
use crate::telemetry;

/// A certificate that clients are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The file that it came from, the chain's if there are several.
    pub path: PathBuf,
    /// `www.example.org`, `*.example.org`, `192.0.2.1`.
    pub names: Vec<String>,
    pub not_after: SystemTime,
    /// Why what the files hold now was not taken, and what else there is to see to but its end, in one line.
    pub trouble: Option<String>,
}

/// The authorities of client certificates, and their CRLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientsFacts {
    /// The file with the authorities.
    pub path: PathBuf,
    /// Why what the files hold now was not taken, and what else there is to see to, in one line.
    pub trouble: Option<String>,
}

/// What came of reading files again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    pub subject: Subject,
    /// The first of the files.
    pub path: PathBuf,
    pub outcome: Outcome,
}

/// What files are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A certificate that clients are shown.
    Certificate,
    /// The authorities of client certificates, and their CRLs.
    Clients,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Unchanged,
    /// New handshakes get this certificate.
    Renewed {
        names: Vec<String>,
        not_after: SystemTime,
    },
    /// Clients are checked anew, and sessions from before are not resumed.
    ClientsRenewed,
    /// What was in use stays: there is something wrong with what the files hold now, in one line.
    Kept {
        error: String,
    },
}

/// Of `certificates` as they are now.
pub fn facts(certificates: &[InUse<Certificates>]) -> Vec<CertificateFacts> {
    let now = SystemTime::now();
    let facts = certificates.iter().map(|one| CertificateFacts {
        path: one.path(),
        names: one.product().names(),
        not_after: one.product().facts().not_after,
        trouble: in_one_line(one.trouble(), one.product().troubles(now)),
    });
    facts.collect()
}

/// Of `clients` as they are now.
pub fn clients_facts(clients: &InUse<Clients>) -> ClientsFacts {
    let troubles = clients.product().troubles(SystemTime::now());
    ClientsFacts { path: clients.path(), trouble: in_one_line(clients.trouble(), troubles) }
}

/// Why files are not taken, and what there is to see to about what is in use.
fn in_one_line(kept: Option<&str>, troubles: impl Iterator<Item = String>) -> Option<String> {
    let all: Vec<_> = kept.map(str::to_owned).into_iter().chain(troubles).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Looks at the files of `certificate`.
pub fn renewed(certificate: &mut InUse<Certificates>, patience: Patience) -> Reloaded {
    let look = certificate.look(patience);
    let outcome = outcome(look, || {
        let certificate = certificate.product();
        for warning in certificate.warnings() {
            log::warn!("A new certificate has to be seen to: {warning}");
        }
        Outcome::Renewed { names: certificate.names(), not_after: certificate.facts().not_after }
    });
    Reloaded { subject: Subject::Certificate, path: certificate.path(), outcome }
}

/// Looks at the files of `clients`.
pub fn clients_renewed(clients: &mut InUse<Clients>, patience: Patience) -> Reloaded {
    let outcome = outcome(clients.look(patience), || {
        for warning in clients.product().warnings(SystemTime::now()) {
            log::warn!("A new CRL has to be seen to: {warning}");
        }
        Outcome::ClientsRenewed
    });
    Reloaded { subject: Subject::Clients, path: clients.path(), outcome }
}

fn outcome(look: Look, taken: impl FnOnce() -> Outcome) -> Outcome {
    match look {
        Look::Unchanged => Outcome::Unchanged,
        Look::Taken => taken(),
        Look::Kept(error) => Outcome::Kept { error },
    }
}

impl Reloaded {
    /// Tells the log, if there is anything to tell.
    pub fn log(&self) {
        let file = self.path.display();
        match (&self.outcome, self.subject) {
            (Outcome::Unchanged, _) => {}
            (Outcome::Renewed { names, not_after }, _) => {
                let (names, expires) = (names.join(","), telemetry::in_seconds(*not_after));
                log::info!("Certificate renewed: file={file} names={names} expires={expires}");
            }
            (Outcome::ClientsRenewed, _) => {
                log::info!("Authorities of client certificates or CRLs renewed: file={file}");
            }
            (Outcome::Kept { error }, Subject::Certificate) => {
                log::warn!("Certificate kept, the new one cannot be used: {error}");
            }
            (Outcome::Kept { error }, Subject::Clients) => {
                log::warn!("Authorities and CRLs kept, the new ones cannot be used: {error}");
            }
        }
    }
}
