//! A client with TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::world::{Authority, Signed};
use crate::net::tls::provider;

/// What came of a connection for the client.
pub type Met = Result<TlsStream<TcpStream>, String>;

/// A client that keeps its sessions.
#[derive(Clone)]
pub struct Visitor {
    pub config: ClientConfig,
    seen: Arc<Seen>,
}

/// Trusts what `strict` trusts, whatever its name, and keeps what came with it.
#[derive(Debug)]
struct Seen {
    strict: Arc<WebPkiServerVerifier>,
    schemes: Option<Vec<SignatureScheme>>,
    staple: Mutex<Vec<u8>>,
}

/// How a client differs from one that can do everything.
#[derive(Default)]
pub struct Traits<'a> {
    pub versions: Option<&'static [&'static SupportedProtocolVersion]>,
    /// Signatures that it can verify.
    pub schemes: Option<&'a [SignatureScheme]>,
    pub provider: Option<CryptoProvider>,
    pub certificate: Option<&'a Signed>,
}

impl Visitor {
    /// One that trusts `authority`.
    pub fn new(authority: &Authority, traits: Traits<'_>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).expect("an authority");
        let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let seen = Arc::new(Seen {
            strict: strict.build().expect("roots"),
            schemes: traits.schemes.map(<[_]>::to_vec),
            staple: Mutex::default(),
        });
        let provider = traits.provider.map_or_else(provider, Arc::new);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(traits.versions.unwrap_or(rustls::ALL_VERSIONS))
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&seen) as _);
        let config = match traits.certificate {
            Some(signed) => builder
                .with_client_auth_cert(vec![signed.der()], signed.key_der())
                .expect("a certificate and its key"),
            None => builder.with_no_client_auth(),
        };
        Self { config, seen }
    }

    pub fn trusting(authority: &Authority) -> Self {
        Self::new(authority, Traits::default())
    }

    /// The OCSP response that came with the last certificate.
    pub fn staple(&self) -> Vec<u8> {
        self.seen.staple.lock().clone()
    }

    /// Connects to `address`, asks for `name`, and exchanges a few bytes.
    pub async fn visit(&self, address: SocketAddr, name: &str) -> Met {
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let talk = async {
            let socket = TcpStream::connect(address).await?;
            let mut stream = connector.connect(name, socket).await?;
            stream.write_all(b"ping").await?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await?;
            assert_eq!(&answer, b"pong", "what the server said");
            std::io::Result::Ok(stream)
        };
        talk.await.map_err(|error| error.to_string())
    }
}

/// The certificate that a client was shown.
pub fn shown(met: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = met.get_ref().1.peer_certificates().expect("a chain");
    chain[0].clone().into_owned()
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        staple: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.staple.lock() = staple.to_vec();
        match self.strict.verify_server_cert(leaf, rest, name, &[], now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone().unwrap_or_else(|| self.strict.supported_verify_schemes())
    }
}
