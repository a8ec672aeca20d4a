//! rustls's configuration: what all handshakes of a listener have in common.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ServerConfig};
use rustls::{SupportedProtocolVersion, version};

use super::store::Store;
use crate::config::TlsVersion;
use crate::net::tls::ticketer;

/// What is spoken inside (RFC 7301, IANA's registry of ALPN protocol IDs), best first.
pub const WITH_HTTP2: [&[u8]; 3] = [HTTP2, b"http/1.1", b"http/1.0"];
/// The same, without HTTP/2.
pub const HTTP1: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];
/// HTTP/2 over TLS (RFC 9113 §3.2).
pub const HTTP2: &[u8] = b"h2";

static SINCE_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static SINCE_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];

/// What never changes while a listener lives.
pub struct Terms {
    pub provider: Arc<CryptoProvider>,
    pub min_version: TlsVersion,
    pub protocols: &'static [&'static [u8]],
    pub store: Arc<Store>,
}

/// What a handshake goes by.
pub struct Rules {
    pub config: Arc<ServerConfig>,
    /// What checks the certificates of clients; `None`: they are not asked for one.
    pub clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Terms {
    /// Rules under which clients are checked by `clients`. Sessions that began under other rules are not resumed under
    /// these: tickets are sealed with keys of their own, so that nobody gets around a revocation with an old one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn rules(
        &self,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Rules, rustls::Error> {
        let verifier = clients.clone().unwrap_or_else(|| Arc::new(NoClientAuth));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(self.versions())?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.store.clone());
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config.ignore_client_order = true;
        config.ticketer = ticketer()?;
        Ok(Rules { config: Arc::new(config), clients })
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        match self.min_version {
            TlsVersion::V1_2 => &SINCE_1_2,
            TlsVersion::V1_3 => &SINCE_1_3,
        }
    }
}
