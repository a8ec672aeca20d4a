//! One connection: whether it speaks TLS at all, what the handshake came to, and how a client that is refused is let go.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::Acceptor;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::terms::{HTTP2, Rules};
use crate::net;
use crate::net::tls::Session;
use crate::pki;
use crate::telemetry::HandshakeResult;

/// How long a client that is refused is read from, so that it gets the reason and not a reset.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read from it at most.
const LINGER_BYTES: u64 = 64 * 1024;

/// For a client that speaks HTTP to a port that speaks HTTPS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 57\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks HTTPS: the address begins with https://\n";

/// What was agreed on with a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// Its name in IANA's registry of cipher suites: `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The name that the client asked for (SNI, RFC 6066 §3), in lower case.
    pub server_name: Option<String>,
    /// HTTP/2 is spoken (by ALPN, RFC 7301), else HTTP/1.1.
    pub http2: bool,
    /// The session began with another connection.
    pub resumed: bool,
    /// From the client's certificate, which was found good. `None`: it showed none.
    pub client: Option<pki::Client>,
}

/// Why a connection did not get into TLS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the handshake took too long")]
    Timeout,
    #[error("max_handshakes are under way")]
    Crowded,
    #[error("the client does not speak TLS")]
    NotTls,
    /// In one line: what was not agreed on, or the alert that the client sent.
    #[error("{0}")]
    Rejected(String),
    #[error("the client left during the handshake")]
    Left,
}

impl Failure {
    /// What it counts as.
    pub const fn result(&self) -> HandshakeResult {
        match self {
            Self::Timeout => HandshakeResult::Timeout,
            Self::Crowded => HandshakeResult::Crowded,
            Self::NotTls => HandshakeResult::NotTls,
            Self::Rejected(_) => HandshakeResult::Failed,
            Self::Left => HandshakeResult::Left,
        }
    }
}

/// A client that did not get into TLS.
pub struct Refused {
    failure: Failure,
    /// It is still there perhaps.
    socket: Option<TcpStream>,
    /// What it still is to be told.
    answer: Cow<'static, [u8]>,
    /// Everything was well, but for the certificate that the resumed session began with.
    for_its_session: bool,
}

/// Waits for what a client begins with (ClientHello), all of it. There is no deadline here.
pub async fn hello(socket: TcpStream) -> Result<StartHandshake<TcpStream>, Refused> {
    // Nothing is kept in memory for a client before it says something.
    match first_byte(&socket).await {
        Ok(Some(byte)) if is_tls_record(byte) => {}
        Ok(Some(byte)) => return Err(Refused::not_tls(byte, socket)),
        Ok(None) | Err(_) => return Err(Failure::Left.into()),
    }
    let mut hello = LazyConfigAcceptor::new(Acceptor::default(), socket);
    (&mut hello)
        .await
        .map_err(|error| Refused { socket: hello.take_io(), ..Failure::from(error).into() })
}

/// Answers a ClientHello, and makes the connection that it came on a TLS connection. There is no deadline here.
pub async fn shake(
    rules: &Rules,
    hello: StartHandshake<TcpStream>,
) -> Result<(Box<Session>, Secured), Refused> {
    let stream = match hello.into_stream(Arc::clone(&rules.config)).into_fallible().await {
        Ok(stream) => stream,
        Err((error, socket)) => return Err(Refused::new(Failure::from(error), socket)),
    };
    let tls = stream.get_ref().1;
    let secured = Secured::of(tls);
    match still_good(rules, tls) {
        Ok(()) => Ok((Box::new(Session::from(stream)), secured)),
        Err(error) => {
            let failure = Failure::Rejected(format!("of a session from before: {error}"));
            let (socket, mut tls) = stream.into_inner();
            let answer = farewell(&mut tls).into();
            Err(Refused { answer, for_its_session: true, ..Refused::new(failure, socket) })
        }
    }
}

/// The first byte that the client sends, which stays in the socket. `None`: it closed its side.
async fn first_byte(socket: &TcpStream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let peeked = socket.peek(&mut byte).await?;
    let [byte] = byte;
    Ok((peeked > 0).then_some(byte))
}

/// Whether `byte` is the type of a record (RFC 8446 §5.1): `change_cipher_spec` to `application_data`.
const fn is_tls_record(byte: u8) -> bool {
    matches!(byte, 20..=23)
}

/// Whether the certificate that a session began with is good today: it may have expired since, and it is not asked for
/// again when a session is resumed.
fn still_good(rules: &Rules, tls: &ServerConnection) -> Result<(), rustls::Error> {
    let shown = tls.peer_certificates().and_then(<[_]>::split_first);
    let (Some(verifier), Some((leaf, rest))) = (&rules.clients, shown) else {
        return Ok(());
    };
    if tls.handshake_kind() == Some(HandshakeKind::Resumed) {
        verifier.verify_client_cert(leaf, rest, UnixTime::now())?;
    }
    Ok(())
}

/// What ends TLS on a connection (`close_notify`): to rustls, the handshake is done, and no other alert can be sent.
fn farewell(tls: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    tls.send_close_notify();
    // Into memory, where nothing goes wrong.
    while tls.wants_write() && tls.write_tls(&mut bytes).is_ok_and(|written| written > 0) {}
    bytes
}

impl Secured {
    /// Of a handshake that is done.
    fn of(tls: &ServerConnection) -> Self {
        let leaf = tls.peer_certificates().and_then(<[_]>::first);
        Self {
            version: match tls.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "1.2",
                _ => "1.3",
            },
            cipher: tls.negotiated_cipher_suite().map_or("", |suite| registered(suite.suite())),
            server_name: tls.server_name().map(str::to_owned),
            http2: tls.alpn_protocol() == Some(HTTP2),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            client: leaf.and_then(pki::client),
        }
    }
}

/// The name in IANA's registry. rustls has names of its own for TLS 1.3.
fn registered(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or_default(),
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        cause.map_or(Self::Left, |cause| Self::Rejected(cause.to_string()))
    }
}

/// There is nothing to tell the client, or no way to.
impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, socket: None, answer: Cow::Borrowed(b""), for_its_session: false }
    }
}

impl Refused {
    /// The client was told by an alert, where there was need.
    fn new(failure: Failure, socket: TcpStream) -> Self {
        Self { socket: Some(socket), ..failure.into() }
    }

    fn not_tls(first: u8, socket: TcpStream) -> Self {
        // The name of a method. Whoever speaks another protocol would not understand.
        let answer: &[u8] = if first.is_ascii_uppercase() { PLAIN_HTTP } else { b"" };
        Self { answer: answer.into(), ..Self::new(Failure::NotTls, socket) }
    }

    /// Whether nothing is wrong but the certificate of the session that was resumed: another handshake may succeed.
    pub const fn is_for_its_session(&self) -> bool {
        self.for_its_session
    }

    /// Ends the connection so that the client gets all that was sent.
    pub async fn part(self) -> Failure {
        if let Some(mut socket) = self.socket.filter(|_| self.failure != Failure::Left) {
            let _ = timeout(LINGER, async {
                socket.write_all(&self.answer).await?;
                socket.shutdown().await?;
                net::drain(&mut socket, LINGER_BYTES).await
            })
            .await;
        }
        self.failure
    }
}
