//! The client's side of TLS: one protocol, one cipher suite, one key exchange, and no checks of who the server is.

use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme, version};
use tokio::io::{AsyncRead, ReadBuf};

/// Unused tickets that a client keeps.
const MAX_TICKETS: usize = 4;

/// The kind of certificate that the client asks for, by the signatures it accepts.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    Ecdsa,
    Rsa,
}

impl FromStr for Key {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "ecdsa" => Ok(Self::Ecdsa),
            "rsa" => Ok(Self::Rsa),
            _ => Err(format!("{name:?} is no kind of key (allowed: ecdsa, rsa)").into()),
        }
    }
}

/// TLS 1.3 with `TLS_AES_128_GCM_SHA256` and X25519, so that every server does the same work.
///
/// # Errors
/// None but those of rustls about its own parts.
pub fn config(key: Key, tickets: Arc<Tickets>) -> Result<ClientConfig, rustls::Error> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
    provider.kx_groups = vec![kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(key)))
        .with_no_client_auth();
    config.resumption = Resumption::store(tickets);
    Ok(config)
}

/// Believes everybody: what a check costs the client is not what is measured.
#[derive(Debug)]
struct Credulous(Key);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.0 {
            Key::Ecdsa => vec![SignatureScheme::ECDSA_NISTP256_SHA256],
            // TLS 1.3 has no use for the second, but by it HAProxy 2.6 sees that the client can do RSA.
            Key::Rsa => vec![SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256],
        }
    }
}

/// The tickets that a client got and has not used; each is used once (RFC 8446 appendix C.4).
#[derive(Debug, Default)]
pub struct Tickets(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    unused: VecDeque<Tls13ClientSessionValue>,
    /// One came since the last [`Tickets::wait`].
    arrived: bool,
}

impl Tickets {
    /// Drops all, so that the next handshake is a full one.
    pub fn forget(&self) {
        self.inbox(|inbox| inbox.unused.clear());
    }

    /// Reads until a ticket has come since the last call.
    ///
    /// # Errors
    /// Those of the connection, and its end.
    pub async fn wait(&self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        poll_fn(|cx| self.poll_wait(stream, cx)).await
    }

    fn poll_wait(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = [0; 256];
        let mut data = ReadBuf::new(&mut space);
        let read = Pin::new(stream).poll_read(cx, &mut data);
        // A ticket is no data: what came of it shows in the store alone.
        if self.inbox(|inbox| std::mem::take(&mut inbox.arrived)) {
            return Poll::Ready(Ok(()));
        }
        read.map(|read| read.and(Err(io::ErrorKind::UnexpectedEof.into())))
    }

    fn inbox<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientSessionStore for Tickets {
    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.inbox(|inbox| {
            inbox.arrived = true;
            inbox.unused.push_back(ticket);
            // Servers send more of them than are used.
            if inbox.unused.len() > MAX_TICKETS {
                inbox.unused.pop_front();
            }
        });
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.inbox(|inbox| {
            inbox.arrived = false;
            inbox.unused.pop_front()
        })
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
}
