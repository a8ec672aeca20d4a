//! Upstreams: where their workers come from, how one is chosen and how it is spoken to.

use std::fmt;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::header::HeaderName;

use super::{Address, App, Connections, Ejection, Health, Queue, Retry};

#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    pub workers: Workers,
    pub balance: Balance,
    /// A cookie that names the client's worker; `None`: there is none.
    pub affinity: Option<Affinity>,
    /// Checks by request; `None`: none.
    pub health: Option<Health>,
    /// Workers that fail requests are taken out for a while; `None`: never.
    pub ejection: Option<Ejection>,
    /// How long the share of a worker that joins others grows to its full one; `None`: at once full.
    pub slow_start: Option<Duration>,
    pub connections: Connections,
    /// Requests in flight per worker, at most; below `max_connections`.
    pub slots: NonZeroUsize,
    /// Open connections per worker, at most, those of checks included; `None`: no limit.
    pub max_connections: Option<NonZeroUsize>,
    pub queue: Queue,
    pub retry: Retry,
    /// `None`: plain HTTP, which is all that supervised workers and Unix sockets are spoken to in.
    pub tls: Option<UpstreamTls>,
}

/// Where an upstream's workers come from.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each upstream and it is not moved about"
)]
pub enum Workers {
    /// asgate starts and stops them.
    Supervised(App),
    /// They are there already; never empty.
    Fixed(Vec<Server>),
}

/// A fixed worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub address: ServerAddress,
    /// Share of the requests beside the other servers of the upstream.
    pub weight: NonZeroU16,
}

/// Where a fixed worker is, or several of them behind one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    Known(Address),
    /// To be resolved.
    Name {
        /// As in the file; may end with a dot.
        host: String,
        /// Not 0.
        port: u16,
    },
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// How a worker is chosen for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// The one with the fewest requests in flight.
    LeastRequests,
    /// In turn.
    RoundRobin,
    /// The less busy of two that are drawn.
    Random,
    /// Of two that are drawn, the one with the lower latency (peak EWMA) times its load.
    Latency,
    /// The same for the same key.
    Hash(HashKey),
}

/// What requests are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    ClientIp,
    /// Without the query.
    Path,
    Header(HeaderName),
    /// Name of a cookie: a token (RFC 6265 §4.1.1).
    Cookie(String),
    /// Name of a query parameter, percent-decoded; not empty.
    Query(String),
}

/// A cookie that names a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affinity {
    /// A token (RFC 6265 §4.1.1) that no other upstream has.
    pub cookie: String,
    /// What it is signed with; `None`: something random.
    pub secret: Option<Secret>,
}

/// Bytes that are never shown; at least 16.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Fewer bytes than this can be guessed.
    pub const SHORTEST: usize = 16;

    /// `None` when `bytes` are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::SHORTEST).then(|| Self(bytes.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// TLS to the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// A DNS name without a dot at its end, or an IP address; `None`: the host of the server's address.
    pub sni: Option<String>,
    /// An absolute path of a file that could be read and holds certificates in PEM; `None`: the system's roots.
    pub ca: Option<PathBuf>,
    /// Whether the certificate is looked at; never `false` with a `ca`.
    pub verify: bool,
}
