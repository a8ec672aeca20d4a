//! What comes on a connection before its first request: the PROXY protocol's header, the TLS handshake.

use std::sync::Arc;

use http::HeaderValue;
use log::Level;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::client::{self, Certificate, Peer, Scheme, TrustedProxies};
use crate::net;
use crate::proxy_protocol::{self, Header, Progress, ProxiedTls, Speaker};
use crate::telemetry::{ConnectionRefusal, HandshakeResult};

use super::places::Place;
use super::seldom::Seldom;
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
    pub warnings: Warnings,
}

/// What is said of clients that do not get in.
#[derive(Default)]
pub struct Warnings {
    each_full: Seldom,
    unannounced: Seldom,
    crowded: Seldom,
    rejected: Seldom,
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
    proxied: Option<ProxiedTls>,
}

impl Door {
    /// Hears what a client has to say before its first request, if anything, and lets it in if it may come in.
    pub async fn welcome(
        &self,
        mut socket: net::Stream,
        peer: net::Peer,
        place: &mut Place,
    ) -> Option<Box<ClientStream>> {
        let mut visitor = self.visitor(peer);
        if let Some(proxies) = &self.proxies {
            let header = self.announcement(&mut socket, &visitor.peer, proxies).await?;
            visitor = visitor.announced_by(header);
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
            net::Peer::Local => Peer::nameless(),
        };
        Visitor { peer, port: self.port, scheme: Scheme::Http, proxied: None }
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
            proxied: visitor.proxied,
        };
        Box::new(ClientStream::new(socket, connection))
    }

    /// Counts the connection among those of its client.
    fn count(&self, client: &Peer, place: &mut Place) -> Option<()> {
        if place.belong_to(client.ip()).is_ok() {
            return Some(());
        }
        let facts = &self.facts;
        facts.metrics.refused(ConnectionRefusal::MaxConnectionsPerAddress);
        let (level, others) = self.warnings.each_full.level(Level::Warn);
        let name = &facts.name;
        log::log!(
            level,
            "Connection refused, max_connections_per_address reached: listener={name} client={client} others={others}"
        );
        None
    }

    /// Reads the PROXY header, and not a byte of what follows.
    async fn announcement(
        &self,
        socket: &mut net::Stream,
        peer: &Peer,
        proxies: &TrustedProxies,
    ) -> Option<Header> {
        // Whoever can open a Unix socket may say whom it speaks for.
        let read = if peer.ip().is_none_or(|ip| proxies.contains(ip)) {
            timeout(self.facts.header_timeout, announcement(socket)).await
        } else {
            Ok(Err(Unannounced::Untrusted))
        };
        let why = match read {
            Ok(Ok(header)) => return Some(header),
            // Somebody looked whether the port is open.
            Ok(Err(Unannounced::Left)) => return None,
            Ok(Err(why)) => why,
            Err(_) => Unannounced::Late,
        };
        self.facts.metrics.refused(ConnectionRefusal::ProxyProtocol);
        let (level, others) = self.warnings.unannounced.level(Level::Warn);
        let name = &self.facts.name;
        log::log!(level, "Connection refused, {why}: listener={name} peer={peer} others={others}");
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
                self.facts.metrics.handshake(failure.result());
                self.tell(&failure, client);
                None
            }
        }
    }

    /// Says why a client did not get into TLS, where somebody may have to do something about it.
    fn tell(&self, failure: &Failure, client: &Peer) {
        let name = &self.facts.name;
        let (level, others) = match failure {
            Failure::Crowded => self.warnings.crowded.level(Level::Warn),
            Failure::Rejected(_) => self.warnings.rejected.level(Level::Info),
            Failure::Timeout | Failure::NotTls | Failure::Left => (Level::Debug, 0),
        };
        log::log!(
            level,
            "TLS handshake failed: listener={name} client={client} others={others} {failure}"
        );
    }
}

impl Visitor {
    /// Who it is by the word of a proxy. One that the proxy does not know by address is nobody, and is not believed what
    /// the proxy would be.
    fn announced_by(self, header: Header) -> Self {
        Self {
            peer: match (header.speaker, header.source) {
                (Speaker::Proxy, _) => self.peer,
                (Speaker::Client, source) => source.map_or_else(Peer::nameless, Peer::tcp),
            },
            port: header.destination.map(|to| to.port()).filter(|port| *port > 0).or(self.port),
            scheme: if header.tls.is_some() { Scheme::Https } else { self.scheme },
            proxied: header.tls,
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
