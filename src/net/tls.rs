//! TLS to workers: who is trusted, the handshake, and the connection that comes of it. TLS to clients has the last in
//! common with it ([`Session`]), and where the cryptography comes from; the rest of that is `listener::tls`.
//!
//! Knows nothing of what is said inside. A connection looks to those above like any other [`Stream`].

mod provider;
mod session;
mod unverified;

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::InvalidDnsNameError;
pub use rustls::pki_types::ServerName;
use rustls::{ConfigBuilder, RootCertStore, WantsVerifier};
use tokio_rustls::TlsConnector;

use crate::config::UpstreamTls;
use crate::pki;

use super::Stream;
pub use provider::{provider, ticketer};
pub use session::Session;
use unverified::Unverified;

/// What is spoken inside (RFC 7301, IANA's registry of ALPN protocol IDs).
const HTTP_1_1: &[u8] = b"http/1.1";

/// Makes TLS connections to the workers of one upstream. Sessions are resumed where a worker offers that. Cheap to
/// clone.
#[derive(Clone)]
pub struct Connector {
    connector: TlsConnector,
    /// The name for all workers, in the place of their own.
    sni: Option<ServerName<'static>>,
}

/// Why TLS cannot be spoken as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}")]
    Authorities(#[from] pki::Error),
    #[error("the system trusts no certificate authorities: {reason}")]
    NoSystemRoots { reason: String },
    #[error("`{name}` is neither a DNS name nor an IP address")]
    Name { name: String, source: InvalidDnsNameError },
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

impl Connector {
    /// Reads the authorities that are trusted: those of the file that `settings` names, else the system's
    /// (`SSL_CERT_FILE` and `SSL_CERT_DIR` come first there). Blocks meanwhile; they are not read again.
    ///
    /// # Errors
    /// [`TlsError`]: there are no usable authorities, or the name is none.
    pub fn new(settings: &UpstreamTls) -> Result<Self, TlsError> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = if settings.verify {
            verified(builder, settings.ca.as_deref())?
        } else {
            unverified(builder, &provider)
        };
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        let sni = settings.sni.as_deref().map(server_name).transpose()?;
        Ok(Self { connector: Arc::new(config).into(), sni })
    }

    /// The name that a worker on `host`, a DNS name or an IP address, is asked for and must prove to have.
    ///
    /// # Errors
    /// [`TlsError::Name`].
    pub fn name_for(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        self.sni.clone().map_or_else(|| server_name(host), Ok)
    }

    /// Speaks TLS on `stream` from now on, with a worker that proves to be `name`. There is no deadline here.
    ///
    /// # Errors
    /// The worker does not speak TLS, or its certificate does not hold; the text says which, in one line.
    pub async fn connect(&self, stream: Stream, name: &ServerName<'static>) -> io::Result<Stream> {
        let Stream::Tcp(socket) = stream else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS is for TCP only"));
        };
        let shaken = Box::pin(self.connector.connect(name.clone(), socket)).await;
        let shaken = shaken.map_err(|error| explained(&error))?;
        Ok(Stream::Tls(Box::new(Session::from(shaken))))
    }
}

/// The error of a handshake with words around it that say what was tried.
fn explained(error: &io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let text = match cause {
        Some(rustls::Error::InvalidMessage(_)) => {
            format!("TLS: what it speaks is not TLS: {error}")
        }
        Some(_) | None => format!("TLS: {error}"),
    };
    io::Error::new(error.kind(), text)
}

fn verified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    ca: Option<&Path>,
) -> Result<ClientConfig, TlsError> {
    let roots = match ca {
        Some(path) => pki::authorities(path)?,
        None => roots_of_the_system()?,
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn unverified(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    provider: &CryptoProvider,
) -> ClientConfig {
    let verifier = Arc::new(Unverified::new(provider));
    builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

/// The authorities that the system trusts, but for those that are no use, as there are on many systems.
fn roots_of_the_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = match found.errors.first() {
            Some(error) => error.to_string(),
            None if ignored > 0 => "none of those it has can be read".to_owned(),
            None => "it has none (install its CA certificates, or set `ca`)".to_owned(),
        };
        return Err(TlsError::NoSystemRoots { reason });
    }
    if let Some(error) = found.errors.first() {
        log::warn!("Some of the system's certificate authorities cannot be read: {error}");
    }
    Ok(roots)
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    // A dot at the end belongs to the resolver; in a certificate or an SNI there is none (RFC 6066 section 3).
    let name = host.strip_suffix('.').unwrap_or(host).to_owned();
    ServerName::try_from(name).map_err(|source| TlsError::Name { name: host.to_owned(), source })
}

#[cfg(test)]
mod tests;
