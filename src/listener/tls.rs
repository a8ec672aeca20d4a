//! TLS to clients: the handshake, which certificate a client is shown, who may be a client, and new files taken while
//! connections are open.
//!
//! One [`Acceptor`] for each TLS listener. It reads the files that the configuration names (`pki` understands them), and
//! knows nothing of what is said inside TLS. Where the cryptography comes from is in `net::tls`.
//!
//! | file | its job |
//! |---|---|
//! | `handshake.rs` | one connection: is it TLS, what came of it, how a client that is refused is let go |
//! | `store.rs` | the certificate for a name and a client |
//! | `certificate.rs`, `clients.rs` | what is made of the files |
//! | `source.rs` | files that change: read again, taken or refused |
//! | `watch.rs` | looks at them from time to time, and at what time does to certificates |
//! | `terms.rs` | rustls's configuration |

mod certificate;
mod clients;
mod handshake;
mod source;
mod store;
mod terms;
#[cfg(test)]
mod tests;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::VerifierBuilderError;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::net::Stream;
use crate::net::tls::{Session, provider};
use crate::{config, pki, telemetry};
use certificate::Certificates;
use clients::Clients;
use handshake::Refused;
pub use handshake::{Failure, Secured};
use source::{InUse, Look, Patience};
use store::{Store, Table};
use terms::{Rules, Terms};

/// Takes clients of one listener into TLS.
///
/// A client is shown the certificate for the name that it asks for (SNI): the one with that very name, else a wildcard
/// for one label, else the default, which is the first of the configuration. The default is also for clients that ask
/// for no name, as they do when they connect to an IP address. Where several certificates have the name, a client that
/// can take ECDSA gets that.
///
/// Sessions are resumed by tickets (TLS 1.2 and 1.3); early data (0-RTT), which an attacker could send again, is never
/// accepted.
pub struct Acceptor {
    handshake_timeout: Duration,
    places: Semaphore,
    rules: ArcSwap<Rules>,
    store: Arc<Store>,
    /// Held while files are read.
    files: Mutex<Files>,
    certificates: ArcSwap<Vec<CertificateFacts>>,
}

/// The files behind an [`Acceptor`].
struct Files {
    certificates: Vec<InUse<Certificates>>,
    clients: Option<InUse<Clients>>,
}

/// Why a listener cannot speak TLS. One line.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Files(#[from] pki::Error),
    #[error("{}: its key cannot be used: {reason}", path.display())]
    Key { path: PathBuf, reason: rustls::Error },
    #[error("{}: clients cannot be checked with it: {reason}", path.display())]
    Clients { path: PathBuf, reason: VerifierBuilderError },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate that clients are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The file that it came from, the chain's if there are several.
    pub path: PathBuf,
    /// `www.example.org`, `*.example.org`, `192.0.2.1`.
    pub names: Vec<String>,
    pub not_after: SystemTime,
    /// Why what the files hold now was not taken, or what else there is to see to but its end, in one line.
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

/// What comes of `work`, if that is in time.
async fn before<T>(end: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match end {
        Some(end) => timeout_at(end, work).await.ok(),
        None => Some(work.await),
    }
}

impl Acceptor {
    /// Reads the files that `settings` names; blocks meanwhile. With `http2`, HTTP/2 is offered before HTTP/1.1.
    ///
    /// # Errors
    /// One line that says what is wrong with which file.
    pub fn new(settings: &config::ListenerTls, http2: bool) -> Result<Self, SetupError> {
        let provider = provider();
        let open = |files: &pki::Files| {
            InUse::open(Certificates { files: files.clone(), provider: Arc::clone(&provider) })
        };
        let certificates = settings.certificates.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let store = Arc::new(Store::new(table(&certificates)));
        let terms = Arc::new(Terms {
            provider: Arc::clone(&provider),
            min_version: settings.min_version,
            protocols: if http2 { &terms::WITH_HTTP2 } else { &terms::HTTP1 },
            store: Arc::clone(&store),
        });
        let check = |auth: &config::ClientAuth| {
            InUse::open(Clients { settings: auth.clone(), terms: Arc::clone(&terms) })
        };
        let clients = settings.client_auth.as_ref().map(check).transpose()?;
        let rules = match &clients {
            Some(clients) => Arc::clone(clients.product()),
            None => Arc::new(terms.rules(None)?),
        };
        Ok(Self {
            handshake_timeout: settings.handshake_timeout,
            places: Semaphore::new(settings.max_handshakes.min(Semaphore::MAX_PERMITS)),
            rules: ArcSwap::new(rules),
            store,
            certificates: ArcSwap::from_pointee(facts(&certificates)),
            files: Mutex::new(Files { certificates, clients }),
        })
    }

    /// Makes a connection that was just accepted a TLS connection.
    ///
    /// # Errors
    /// [`Failure`]. The client was told why, as far as TLS has words for it, and the connection is closed.
    pub async fn accept(&self, socket: TcpStream) -> Result<(Stream, Secured), Failure> {
        let end = Instant::now().checked_add(self.handshake_timeout);
        // Boxed: a connection under way is large, and this is part of every task that serves a client.
        match Box::pin(self.shake(socket, end)).await {
            Ok((session, secured)) => Ok((Stream::Tls(session), secured)),
            Err(refused) => Err(Box::pin(refused.part()).await),
        }
    }

    async fn shake(
        &self,
        socket: TcpStream,
        end: Option<Instant>,
    ) -> Result<(Box<Session>, Secured), Refused> {
        let hello = before(end, handshake::hello(socket)).await.ok_or(Failure::Timeout)??;
        // Clients that have said nothing take nobody's place; those that have wait for theirs.
        let place = before(end, self.places.acquire()).await.ok_or(Failure::Crowded)?;
        let rules = self.rules.load_full();
        let shaken = before(end, handshake::shake(&rules, hello)).await;
        drop(place);
        shaken.ok_or(Failure::Timeout)?
    }

    /// Reads the files again and takes what is new; blocks meanwhile. Connections live on, also those of clients whose
    /// certificates would be refused now. What cannot be used is not taken, and neither is a certificate that is not
    /// valid at this time in the place of one that is.
    ///
    /// One entry for each certificate, in the order of the configuration, then one for the authorities and CRLs for
    /// clients, if there are any.
    pub fn reload(&self) -> Vec<Reloaded> {
        self.look(Patience::None)
    }

    /// The certificates that clients are shown now, in the order of the configuration.
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        self.certificates.load().to_vec()
    }

    fn look(&self, patience: Patience) -> Vec<Reloaded> {
        let mut files = self.files.lock();
        let Files { certificates, clients } = &mut *files;
        let mut found: Vec<_> = certificates.iter_mut().map(|one| renewed(one, patience)).collect();
        if found.iter().any(|one| one.outcome != Outcome::Unchanged) {
            self.store.replace(table(certificates));
        }
        // Trouble goes without a change of what is in use, too.
        self.certificates.store(Arc::new(facts(certificates)));
        if let Some(clients) = clients {
            let outcome = outcome(clients.look(patience), || Outcome::ClientsRenewed);
            self.rules.store(Arc::clone(clients.product()));
            found.push(Reloaded { subject: Subject::Clients, path: clients.path(), outcome });
        }
        for one in &found {
            one.log();
        }
        found
    }
}

fn table(certificates: &[InUse<Certificates>]) -> Table {
    Table::new(certificates.iter().map(|one| Arc::clone(one.product())))
}

fn facts(certificates: &[InUse<Certificates>]) -> Vec<CertificateFacts> {
    let now = SystemTime::now();
    let facts = certificates.iter().map(|one| CertificateFacts {
        path: one.path(),
        names: one.product().names(),
        not_after: one.product().facts().not_after,
        trouble: one.trouble().map(str::to_owned).or_else(|| one.product().trouble(now)),
    });
    facts.collect()
}

fn renewed(certificate: &mut InUse<Certificates>, patience: Patience) -> Reloaded {
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

fn outcome(look: Look, taken: impl FnOnce() -> Outcome) -> Outcome {
    match look {
        Look::Unchanged => Outcome::Unchanged,
        Look::Taken => taken(),
        Look::Kept(error) => Outcome::Kept { error },
    }
}

impl Reloaded {
    fn log(&self) {
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
