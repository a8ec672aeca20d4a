//! A TLS server on loopback and the authority that signs its certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::super::{Connector, HTTP_1_1, ServerName, provider};
use super::{LONG, file};
use crate::config::Address;
use crate::net::Stream;

type Served = tokio_rustls::server::TlsStream<TcpStream>;

pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Its certificate, as `ca` takes it.
    pub fn file(&self) -> NamedTempFile {
        file(&self.certificate.pem())
    }

    /// A certificate with `names`.
    pub fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        Identity::new(names, |params, key| {
            change(params);
            params.signed_by(key, &self.issuer).expect("signed")
        })
    }

    /// A server whose certificate has `names`.
    pub async fn server(&self, names: &[&str]) -> Server {
        Server::start(&self.sign(names, |_| ()), rustls::ALL_VERSIONS).await
    }
}

/// A certificate and its key.
pub struct Identity {
    certificate: Certificate,
    key: KeyPair,
}

impl Identity {
    fn new(
        names: &[&str],
        sign: impl FnOnce(&mut CertificateParams, &KeyPair) -> Certificate,
    ) -> Self {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        Self { certificate: sign(&mut params, &key), key }
    }

    /// A certificate with `names` that nobody signed but its own key.
    pub fn self_signed(names: &[&str], is_ca: IsCa) -> Self {
        Self::new(names, |params, key| {
            params.is_ca = is_ca;
            params.self_signed(key).expect("signed")
        })
    }

    /// The certificate, as `ca` takes it.
    pub fn file(&self) -> NamedTempFile {
        file(&self.certificate.pem())
    }
}

pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    pub async fn start(
        identity: &Identity,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate.der().clone()], key)
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"h2".to_vec(), HTTP_1_1.to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener, acceptor: Arc::new(config).into() }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    pub async fn accept(&self) -> io::Result<Served> {
        let (socket, _) = self.listener.accept().await?;
        self.acceptor.accept(socket).await
    }

    /// Both ends of a connection, or why there is none.
    pub async fn meet(
        &self,
        connector: &Connector,
        host: &str,
    ) -> Result<(Stream, Served), String> {
        let name = connector.name_for(host).expect("a name");
        let connect = async {
            let stream = Stream::connect(&Address::Tcp(self.address())).await?;
            connector.connect(stream, &name).await
        };
        let met = timeout(LONG, async { tokio::join!(connect, self.accept()) });
        let (client, server) = met.await.expect("in time");
        Ok((client.map_err(|error| error.to_string())?, server.expect("the client is content")))
    }

    /// Connects and exchanges a few bytes. The server's side of a refused connection fails too.
    pub async fn meet_or_fail(&self, connector: &Connector, host: &str) -> Result<(), String> {
        let name = connector.name_for(host).expect("a name");
        let connect = async {
            let stream = Stream::connect(&Address::Tcp(self.address())).await?;
            let mut stream = connector.connect(stream, &name).await?;
            stream.write_all(b"ping").await?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await?;
            assert_eq!(&answer, b"pong", "what the server said");
            io::Result::Ok(())
        };
        let serve = async {
            let mut served = self.accept().await?;
            let tls = served.get_ref().1;
            assert_eq!(tls.alpn_protocol(), Some(HTTP_1_1), "of h2 and this");
            if let ServerName::DnsName(name) = &name {
                assert_eq!(tls.server_name(), Some(name.as_ref()), "the server is asked for it");
            }
            let mut question = [0; 4];
            served.read_exact(&mut question).await?;
            served.write_all(b"pong").await?;
            served.flush().await
        };
        let (client, server) =
            timeout(LONG, async { tokio::join!(connect, serve) }).await.expect("in time");
        assert_eq!(client.is_ok(), server.is_ok(), "{client:?} and {server:?}");
        client.map_err(|error| error.to_string())
    }
}
