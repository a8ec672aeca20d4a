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
//! | `report.rs` | what is told of files: how those in use are, what came of new ones |
//! | `watch.rs` | looks at them from time to time, and at what time does to certificates |
//! | `terms.rs` | rustls's configuration |

mod certificate;
mod clients;
mod handshake;
mod report;
mod source;
mod store;
mod terms;
#[cfg(test)]
mod tests;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use rustls::server::VerifierBuilderError;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::net::Stream;
use crate::net::tls::{Session, provider};
use crate::{config, pki};
use certificate::Certificates;
use clients::Clients;
use handshake::Refused;
pub use handshake::{Failure, Secured};
pub use report::{CertificateFacts, ClientsFacts, Outcome, Reloaded, Subject};
use source::{InUse, Patience};
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
    terms: Arc<Terms>,
    rules: ArcSwap<Rules>,
    /// Held while files are read.
    files: Mutex<Files>,
    certificates: ArcSwap<Vec<CertificateFacts>>,
    clients: ArcSwapOption<ClientsFacts>,
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
            Some(clients) => Arc::clone(&clients.product().rules),
            None => Arc::new(terms.rules(None)?),
        };
        Ok(Self {
            handshake_timeout: settings.handshake_timeout,
            places: Semaphore::new(settings.max_handshakes.min(Semaphore::MAX_PERMITS)),
            terms,
            rules: ArcSwap::new(rules),
            certificates: ArcSwap::from_pointee(report::facts(&certificates)),
            clients: ArcSwapOption::new(
                clients.as_ref().map(|one| Arc::new(report::clients_facts(one))),
            ),
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
        let place = self.place(end).await.ok_or(Failure::Crowded)?;
        let rules = self.rules.load_full();
        let shaken = before(end, handshake::shake(&rules, hello)).await;
        drop(place);
        let shaken = shaken.ok_or(Failure::Timeout)?;
        if matches!(&shaken, Err(refused) if refused.is_for_its_session()) {
            self.forget_sessions_of(&rules);
        }
        shaken
    }

    /// A place among the handshakes under way, if there is one in time.
    async fn place(&self, end: Option<Instant>) -> Option<SemaphorePermit<'_>> {
        if let Ok(free) = self.places.try_acquire() {
            return Some(free);
        }
        let place = before(end, self.places.acquire()).await?.ok()?;
        // One that comes with the last moment is none: the time went by in the wait for it.
        end.is_none_or(|end| Instant::now() < end).then_some(place)
    }

    /// Resumes no session that began under `rules` any more: one is of no use, and its client, who may have another
    /// certificate by now, comes with it again and again, since each connection brings new tickets. A full handshake
    /// asks for the certificate anew.
    ///
    /// Nobody can do this at will: it takes a session under the rules in use, and thus a certificate that has been good
    /// since the last time and is not any more.
    fn forget_sessions_of(&self, rules: &Arc<Rules>) {
        match self.terms.rules(rules.clients.clone()) {
            Ok(fresh) => {
                self.rules.compare_and_swap(rules, Arc::new(fresh));
            }
            Err(error) => log::error!("Cannot make new keys for session tickets: {error}"),
        }
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

    /// Those who may be clients, if clients are asked for certificates.
    pub fn clients(&self) -> Option<Arc<ClientsFacts>> {
        self.clients.load_full()
    }

    fn look(&self, patience: Patience) -> Vec<Reloaded> {
        let mut files = self.files.lock();
        let Files { certificates, clients } = &mut *files;
        let mut found: Vec<_> =
            certificates.iter_mut().map(|one| report::renewed(one, patience)).collect();
        if found.iter().any(|one| one.outcome != Outcome::Unchanged) {
            self.terms.store.replace(table(certificates));
        }
        // Trouble goes without a change of what is in use, too.
        self.certificates.store(Arc::new(report::facts(certificates)));
        if let Some(clients) = clients {
            let reloaded = report::clients_renewed(clients, patience);
            if reloaded.outcome == Outcome::ClientsRenewed {
                self.rules.store(Arc::clone(&clients.product().rules));
            }
            self.clients.store(Some(Arc::new(report::clients_facts(clients))));
            found.push(reloaded);
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
