//! What comes on a connection before its first request: the PROXY protocol's header, the TLS handshake.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::client::{self, Certificate, Peer, Scheme, TrustedProxies};
use crate::net;
use crate::proxy_protocol::{self, Header, Progress};
use crate::telemetry::{ConnectionRefusal, HandshakeResult};

use super::places::Place;
use super::tls::{Acceptor, Failure, Secured};
use super::{ClientStream, Connection, Facts};

/// The way in to one listener.
pub struct Door {
    pub facts: Arc<Facts>,
    /// The port that clients connect to; `None`: a Unix socket.
    pub port: Option<u16>,
    /// Whose PROXY headers are believed; `None`: there are none.
    pub proxies: Option<TrustedProxies>,
    pub tls: Option<Arc<Acceptor>>,
}

/// Why there is no PROXY header.
#[derive(Debug, thiserror::Error)]
enum Unannounced {
    #[error("it may send no PROXY protocol header: it is none of trusted_proxies")]
    Untrusted,
    #[error("it has no valid PROXY protocol header: {0}")]
    Fault(#[from] proxy_protocol::Fault),
    #[error("its PROXY protocol header did not come within header_timeout")]
    Late,
    #[error("it ended within its PROXY protocol header")]
    Broken,
    #[error("it ended before its PROXY protocol header")]
    Left,
}

/// Whoever is at the other end of a connection, and what it connected to.
struct Visitor {
    peer: Peer,
    port: Option<u16>,
    scheme: Scheme,
}

impl Door {
    /// Whether a client has nothing to say before its first request.
    pub fn is_open(&self) -> bool {
        self.proxies.is_none() && self.tls.is_none()
    }

    /// Lets a client in that has nothing to say before its first request.
    pub fn admit(
        &self,
        socket: net::Stream,
        peer: net::Peer,
        place: &mut Place,
    ) -> Option<Box<ClientStream>> {
        let visitor = self.visitor(peer);
        self.count(&visitor.peer, place)?;
        Some(self.stream(socket, visitor, None))
    }

    /// Hears what a client has to say before its first request, and lets it in if it may come in.
    pub async fn welcome(
        &self,
        mut socket: net::Stream,
        peer: net::Peer,
        place: &mut Place,
    ) -> Option<Box<ClientStream>> {
        let mut visitor = self.visitor(peer);
        if let Some(proxies) = &self.proxies {
            let header = self.announcement(&mut socket, &visitor.peer, proxies).await?;
            visitor = visitor.announced_by(&header);
        }
        self.count(&visitor.peer, place)?;
        match (&self.tls, socket) {
            (Some(tls), net::Stream::Tcp(socket)) => {
                let (socket, secured) = self.shake_hands(tls, socket, &visitor.peer).await?;
                visitor.scheme = Scheme::Https;
                Some(self.stream(socket, visitor, Some(secured)))
            }
            (_, socket) => Some(self.stream(socket, visitor, None)),
        }
    }

    fn visitor(&self, peer: net::Peer) -> Visitor {
        let peer = match peer {
            net::Peer::Tcp(address) => Peer::tcp(address),
            net::Peer::Local => Peer::unix(),
        };
        Visitor { peer, port: self.port, scheme: Scheme::Http }
    }

    fn stream(
        &self,
        socket: net::Stream,
        visitor: Visitor,
        tls: Option<Secured>,
    ) -> Box<ClientStream> {
        let certificate = tls.as_ref().and_then(certificate);
        let connection = Connection {
            identity: client::Facts::new(visitor.scheme, visitor.port).certified(certificate),
            peer: visitor.peer,
            listener: Arc::clone(&self.facts),
            tls,
        };
        Box::new(ClientStream::new(socket, connection))
    }

    /// Counts the connection among those of its client.
    fn count(&self, client: &Peer, place: &mut Place) -> Option<()> {
        place.belong_to(client.ip()).map_err(|full| {
            self.facts.metrics.refused(ConnectionRefusal::MaxConnectionsPerAddress);
            if full.first {
                log::warn!(
                    "Connections are refused, max_connections_per_address reached: listener={} client={client}",
                    self.facts.name
                );
            }
        })
        .ok()
    }

    /// Reads the PROXY header, and not a byte of what follows.
    async fn announcement(
        &self,
        socket: &mut net::Stream,
        peer: &Peer,
        proxies: &TrustedProxies,
    ) -> Option<Header> {
        // Whoever can open a Unix socket may say whom it speaks for.
        let read = match peer.ip().is_none_or(|ip| proxies.contains(ip)) {
            true => timeout(self.facts.header_timeout, announcement(socket)).await,
            false => Ok(Err(Unannounced::Untrusted)),
        };
        let why = match read {
            Ok(Ok(header)) => return Some(header),
            // Somebody looked whether the port is open.
            Ok(Err(Unannounced::Left)) => return None,
            Ok(Err(why)) => why,
            Err(_) => Unannounced::Late,
        };
        self.facts.metrics.refused(ConnectionRefusal::ProxyProtocol);
        log::warn!("Connection refused: listener={} peer={peer} {why}", self.facts.name);
        None
    }

    async fn shake_hands(
        &self,
        tls: &Acceptor,
        socket: tokio::net::TcpStream,
        client: &Peer,
    ) -> Option<(net::Stream, Secured)> {
        match tls.accept(socket).await {
            Ok((socket, secured)) => {
                let how =
                    if secured.resumed { HandshakeResult::Resumed } else { HandshakeResult::Full };
                self.facts.metrics.handshake(how);
                Some((socket, secured))
            }
            Err(failure) => {
                self.facts.metrics.handshake(result(&failure));
                log::debug!(
                    "TLS handshake failed: listener={} client={client} {failure}",
                    self.facts.name
                );
                None
            }
        }
    }
}

impl Visitor {
    /// Who it is by the word of a proxy. A header without addresses is the proxy's own: of its health checks.
    fn announced_by(self, header: &Header) -> Self {
        Self {
            peer: header.source.map_or(self.peer, Peer::tcp),
            port: header.destination.map_or(self.port, |address: SocketAddr| Some(address.port())),
            scheme: if header.tls.is_some() { Scheme::Https } else { self.scheme },
        }
    }
}

async fn announcement(socket: &mut net::Stream) -> Result<Header, Unannounced> {
    let mut read = Vec::new();
    loop {
        let more = match proxy_protocol::read(&read)? {
            Progress::Done(header) => return Ok(header),
            Progress::Need(more) => more,
        };
        let before = read.len();
        read.resize(before + more, 0);
        let space = read.get_mut(before..).unwrap_or_default();
        // Where the client ends its side in the middle, some of it may have come.
        match socket.read(space).await {
            Ok(0) | Err(_) if before == 0 => return Err(Unannounced::Left),
            Ok(0) | Err(_) => return Err(Unannounced::Broken),
            Ok(came) => read.truncate(before + came),
        }
    }
}

/// What the app is told of a client's certificate.
fn certificate(tls: &Secured) -> Option<Certificate> {
    let client = tls.client.as_ref()?;
    let value = |text: &str| HeaderValue::from_str(text).ok();
    Some(Certificate { subject: value(&client.subject)?, fingerprint: value(&client.fingerprint)? })
}

fn result(failure: &Failure) -> HandshakeResult {
    match failure {
        Failure::Timeout => HandshakeResult::Timeout,
        Failure::Crowded => HandshakeResult::Crowded,
        Failure::NotTls => HandshakeResult::NotTls,
        Failure::Rejected(_) => HandshakeResult::Failed,
        Failure::Left => HandshakeResult::Left,
    }
}
