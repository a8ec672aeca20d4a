//! Authorities, files of certificates, and a front door that takes one connection at a time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, PKCS_ED25519, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::LONG;
use super::visitor::{Met, Visitor};
use crate::config::{ClientAuth, Demand, ListenerTls, TlsVersion};
use crate::listener::tls::{Acceptor, Failure, Secured};
use crate::net::Stream;
use crate::pki;

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Ecdsa,
    Ed25519,
    /// Always the same one.
    Rsa,
}

impl Key {
    fn pair(self) -> KeyPair {
        let pair = match self {
            Self::Ecdsa => KeyPair::generate(),
            Self::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
            Self::Rsa => KeyPair::from_pem(include_str!("rsa.pem")),
        };
        pair.expect("a key")
    }
}

pub struct Authority {
    pub certificate: rcgen::Certificate,
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

    /// A certificate for `names`.
    pub fn sign(&self, names: &[&str], key: Key) -> Signed {
        self.sign_with(names, key, |_| ())
    }

    pub fn sign_with(
        &self,
        names: &[&str],
        key: Key,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Signed {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = key.pair();
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        Signed { certificate, key }
    }

    /// A list in PEM that revokes the certificates with `serials`; due for renewal in `due`.
    pub fn revoke(&self, serials: &[u64], due: i32) -> String {
        self.revoke_in(2000, serials, due)
    }

    /// The same, of this year.
    pub fn revoke_in(&self, year: i32, serials: &[u64], due: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2001, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(year, 1, 1),
            next_update: date_time_ymd(due, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("signed").pem().expect("PEM")
    }
}

/// A certificate and its key.
pub struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Signed {
    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }
}

/// A directory with files of certificates; it goes when it is dropped.
pub struct Directory(TempDir);

impl Directory {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("written");
        set_mode(&path, 0o600);
        path
    }

    /// Writes `signed` as `name`.pem and `name`.key.
    pub fn put(&self, name: &str, signed: &Signed) -> pki::Files {
        let chain = self.write(&format!("{name}.pem"), signed.certificate.pem());
        let key = self.write(&format!("{name}.key"), signed.key.serialize_pem());
        pki::Files { keys: pki::Keys::Pem { chain, key }, ocsp: None }
    }
}

/// Sets who may read a file, where that is told by a mode.
pub fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("one's own file");
    }
    #[cfg(windows)]
    let _ = (path, mode);
}

pub fn settings(certificates: Vec<pki::Files>) -> ListenerTls {
    ListenerTls {
        certificates,
        min_version: TlsVersion::V1_2,
        client_auth: None,
        handshake_timeout: LONG,
        max_handshakes: 100,
        hsts: None,
    }
}

pub fn client_auth(ca: &Path, crl: &[&Path], demand: Demand) -> Option<ClientAuth> {
    let crl = crl.iter().map(|path| path.to_path_buf()).collect();
    Some(ClientAuth { ca: ca.to_owned(), crl, demand })
}

/// A listening socket and what takes clients into TLS behind it.
pub struct Front {
    listener: TcpListener,
    pub acceptor: Arc<Acceptor>,
}

/// What came of a connection for the server.
pub type Served = Result<(Stream, Secured), Failure>;

impl Front {
    pub async fn open(settings: &ListenerTls) -> Self {
        Self::over(Acceptor::new(settings, true).expect("settings that work")).await
    }

    pub async fn over(acceptor: Acceptor) -> Self {
        Self::sharing(Arc::new(acceptor)).await
    }

    /// Another port of the same acceptor.
    pub async fn sharing(acceptor: Arc<Acceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener, acceptor }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// The next connection, without TLS.
    pub async fn socket(&self) -> TcpStream {
        self.listener.accept().await.expect("accepted").0
    }

    /// Takes the next connection.
    pub async fn serve(&self) -> Served {
        self.acceptor.accept(self.socket().await).await
    }

    /// Both ends of a connection of `visitor`, who asks for `name`, after an exchange of a few bytes.
    pub async fn meet(&self, visitor: &Visitor, name: &str) -> (Met, Served) {
        let serve = async {
            let (mut stream, secured) = self.serve().await?;
            let mut question = [0; 4];
            // A client that does not like what it sees says so after the handshake.
            stream.read_exact(&mut question).await.map_err(|_| Failure::Left)?;
            stream.write_all(b"pong").await.map_err(|_| Failure::Left)?;
            stream.flush().await.map_err(|_| Failure::Left)?;
            Ok((stream, secured))
        };
        let met = async { tokio::join!(visitor.visit(self.address(), name), serve) };
        timeout(LONG, met).await.expect("in time")
    }

    /// What was agreed on with `visitor`, who is content.
    pub async fn greet(&self, visitor: &Visitor, name: &str) -> Secured {
        let (met, served) = self.meet(visitor, name).await;
        met.unwrap_or_else(|error| panic!("{name}: {error}"));
        served.unwrap_or_else(|failure| panic!("{name}: {failure}")).1
    }
}

/// A deadline that passes while a test waits for it.
pub const SHORT: Duration = Duration::from_millis(100);
