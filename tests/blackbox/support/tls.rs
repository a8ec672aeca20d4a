//! Clients that speak TLS: single handshakes, and a tunnel that puts every other client of these tests behind one.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use tokio::net::{TcpListener, TcpStream as AsyncStream};

use super::PATIENCE;
use super::certificates::{Authority, Certificate};

/// What a client offers, beside trusting one authority.
#[derive(Clone, Copy, Default)]
pub struct Offer<'a> {
    /// All versions when there is none.
    pub versions: &'a [&'static SupportedProtocolVersion],
    pub alpn: &'a [&'a str],
    pub identity: Option<&'a Certificate>,
}

/// A client that keeps its session tickets from one connection to the next.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// One connection after its handshake.
pub struct Session(StreamOwned<ClientConnection, TcpStream>);

/// A port behind which every connection is one over TLS to the edge.
pub struct Tunnel {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

// === impl Tls ===

impl Tls {
    /// A client that trusts `authority` alone.
    pub fn trusting(authority: &Authority, offer: Offer<'_>) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(authority.certificate()).expect("a certificate");
        roots.add(ca).expect("an authority");
        let versions =
            if offer.versions.is_empty() { rustls::ALL_VERSIONS } else { offer.versions };
        let builder = ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_protocol_versions(versions)
        .expect("versions that there are")
        .with_root_certificates(roots);
        let mut config = match offer.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_file_iter(&identity.certificate).expect("a file");
                let chain = chain.map(|found| found.expect("a certificate")).collect();
                let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a key for the certificate")
            }
        };
        config.alpn_protocols = offer.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    /// The same without session tickets: each handshake is a full one.
    pub fn forgetful(&self) -> Self {
        let mut config = ClientConfig::clone(&self.0);
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }

    /// Connects and shakes hands. Where TLS 1.3 asks for a certificate, whether it was good shows at the first read.
    pub fn handshake(&self, address: SocketAddr, name: &str) -> io::Result<Session> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        self.handshake_over(socket, name)
    }

    /// Says the first word of a handshake, whole, and nothing after it.
    pub fn begin(&self, address: SocketAddr, name: &str) -> TcpStream {
        let mut socket = TcpStream::connect(address).expect("connected");
        let mut connection = self.connection(name);
        while connection.wants_write() {
            connection.write_tls(&mut socket).expect("a ClientHello");
        }
        socket
    }

    fn connection(&self, name: &str) -> ClientConnection {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        ClientConnection::new(Arc::clone(&self.0), name).expect("a configuration that holds")
    }

    /// As [`Self::handshake`], over a connection that is there already.
    pub fn handshake_over(&self, socket: TcpStream, name: &str) -> io::Result<Session> {
        let mut stream = StreamOwned::new(self.connection(name), socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Session(stream))
    }
}

// === impl Session ===

impl Session {
    /// As the log calls it: `1.2`.
    pub fn version(&self) -> &'static str {
        match self.0.conn.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            other => panic!("neither 1.2 nor 1.3: {other:?}"),
        }
    }

    pub fn alpn(&self) -> Option<&str> {
        self.0.conn.alpn_protocol().and_then(|name| std::str::from_utf8(name).ok())
    }

    pub fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// How the two agreed on a key, as IANA calls it: `X25519`.
    pub fn key_exchange(&self) -> String {
        let group = self.0.conn.negotiated_key_exchange_group().expect("a key exchange");
        format!("{:?}", group.name())
    }

    /// The certificate of the edge itself, as DER.
    pub fn leaf(&self) -> Vec<u8> {
        let chain = self.0.conn.peer_certificates().expect("a chain");
        chain.first().expect("a certificate").to_vec()
    }

    /// Sends a GET that asks for the end of the connection, and returns all that comes back, tickets taken in on the way.
    pub fn get(&mut self, path: &str) -> io::Result<String> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n");
        self.0.write_all(head.as_bytes())?;
        self.0.flush()?;
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The connection, for what else there is to send.
    pub fn stream(&mut self) -> &mut StreamOwned<ClientConnection, TcpStream> {
        &mut self.0
    }
}

/// The certificate of a file as DER, to compare with what an edge shows.
pub fn der(certificate: &Certificate) -> Vec<u8> {
    CertificateDer::from_pem_file(&certificate.certificate).expect("a certificate").to_vec()
}

// === impl Tunnel ===

impl Tunnel {
    /// A way to `edge` for clients that speak no TLS.
    pub fn to(edge: SocketAddr, tls: &Tls, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.0));
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        runtime.spawn(async move {
            while let Ok((plain, _)) = listener.accept().await {
                tokio::spawn(pass(plain, edge, connector.clone(), name.clone()));
            }
        });
        Self { address, _runtime: runtime }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Passes bytes both ways until both sides have ended. A handshake that fails ends the plain connection.
async fn pass(
    mut plain: AsyncStream,
    edge: SocketAddr,
    connector: tokio_rustls::TlsConnector,
    name: ServerName<'static>,
) -> io::Result<()> {
    plain.set_nodelay(true)?;
    let socket = AsyncStream::connect(edge).await?;
    socket.set_nodelay(true)?;
    let mut secured = connector.connect(name, socket).await?;
    tokio::io::copy_bidirectional(&mut plain, &mut secured).await?;
    Ok(())
}
