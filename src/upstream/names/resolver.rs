//! From a host name to addresses: one question to the resolver library, and what became of it in plain words.
//!
//! Keeps nothing between two questions, not even the settings of the system: they may have changed.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::config;

/// For an answer, whatever the settings of the system say.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// When the hosts file is looked at again.
const HOSTS_FILE_TTL: Duration = Duration::from_secs(10);
/// Addresses of one name that are used; a name with more is no name of a pool of workers.
const MOST_ADDRESSES: usize = 256;

/// Asks for the addresses of host names: the hosts file first, then the name servers of the configuration or, where
/// that has none, of the system (`/etc/resolv.conf`, or the network adapters of Windows). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resolver {
    settings: Arc<config::Resolver>,
}

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Never empty.
    pub addresses: BTreeSet<IpAddr>,
    /// How long they are good for, as the name server says.
    pub ttl: Duration,
}

/// Why there are no addresses.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("there is no such name")]
    NoSuchName,
    #[error("the name has no addresses")]
    NoAddresses,
    #[error("no name server answered in time")]
    TimedOut,
    #[error("no name server can be reached")]
    Unreachable,
    #[error("the name servers answered with an error: {0}")]
    Refused(String),
    #[error("cannot ask: {0}")]
    Failed(String),
    #[error("the system does not say which name servers to ask: {0}")]
    NoServers(NetError),
}

/// An address is of one family or the other; a name server is asked for each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Resolver {
    /// With the name servers of `settings`. Nothing is asked or read yet.
    pub fn new(settings: &config::Resolver) -> Self {
        Self { settings: Arc::new(settings.clone()) }
    }

    /// The addresses of `host` now. Of those that it had before, `held`, a family is kept whose question was not
    /// answered while the other's was: half an answer is no reason to lose workers.
    ///
    /// # Errors
    /// [`Unresolved`]: there are none, or nobody knows.
    pub(super) async fn ask(
        &self,
        host: &str,
        held: &BTreeSet<IpAddr>,
    ) -> Result<Found, Unresolved> {
        let asked = Box::pin(timeout(ANSWER_WITHIN, self.ask_unbounded(host, held)));
        asked.await.unwrap_or(Err(Unresolved::TimedOut))
    }

    async fn ask_unbounded(
        &self,
        host: &str,
        held: &BTreeSet<IpAddr>,
    ) -> Result<Found, Unresolved> {
        // Not the library's reading of text, which refuses names with `_` in the middle, as Docker Compose gives them.
        let name = Name::from_ascii(host).map_err(NetError::from)?;
        let settings = Arc::clone(&self.settings);
        // They read files, or ask Windows for its adapters.
        let prepare = move || (Hosts::from_system(), Client::new(&settings));
        let (hosts, client) = tokio::task::spawn_blocking(prepare).await?;
        // A system without the file is one without entries.
        let addresses = hosts.map(|hosts| listed(&hosts, &name)).unwrap_or_default();
        if !addresses.is_empty() {
            return Ok(Found { addresses, ttl: HOSTS_FILE_TTL });
        }
        client?.ask(name, held).await
    }
}

/// The addresses that the hosts file has for `name`. Where it has any, no name server is asked, not even for the other
/// family: who writes a name into that file wants it to be there and nowhere else.
pub(super) fn listed(hosts: &Hosts, name: &Name) -> BTreeSet<IpAddr> {
    let ask = |record_type| hosts.lookup_static_host(&Query::query(name.clone(), record_type));
    let entries = [RecordType::A, RecordType::AAAA].into_iter().filter_map(ask);
    entries.flat_map(|entry| LookupIp::from(entry).into_iter()).collect()
}

/// The library's resolver, with the settings of this moment.
struct Client {
    resolver: TokioResolver,
    /// Why there are no name servers to ask; `localhost` needs none.
    no_servers: Option<NetError>,
}

impl Client {
    fn new(settings: &config::Resolver) -> Result<Self, NetError> {
        let provider = TokioRuntimeProvider::default();
        let (mut builder, no_servers) = if settings.servers.is_empty() {
            match TokioResolver::builder(provider.clone()) {
                Ok(builder) => (builder, None),
                Err(error) => {
                    let nobody = ResolverConfig::from_name_servers(Vec::new());
                    (TokioResolver::builder_with_config(nobody, provider), Some(error))
                }
            }
        } else {
            let servers = settings.servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            (TokioResolver::builder_with_config(config, provider), None)
        };
        // It is looked at before; the library would ask for a family that is not in it.
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        Ok(Self { resolver: builder.build()?, no_servers })
    }

    async fn ask(&self, name: Name, held: &BTreeSet<IpAddr>) -> Result<Found, Unresolved> {
        let lookup = self.look_up(name).await?;
        let mut addresses: BTreeSet<_> = lookup.iter().filter(is_of_a_host).collect();
        for family in [Family::V4, Family::V6] {
            let has = |address: &&IpAddr| Family::of(address) == family;
            let kept: Vec<_> = held.iter().filter(has).copied().collect();
            let is_missing = !kept.is_empty() && !addresses.iter().any(|address| has(&address));
            if is_missing && self.is_unanswered(&lookup, family).await {
                addresses.extend(kept);
            }
        }
        if addresses.is_empty() {
            return Err(Unresolved::NoAddresses);
        }
        let addresses = addresses.into_iter().take(MOST_ADDRESSES).collect();
        Ok(Found { addresses, ttl: ttl(&lookup) })
    }

    async fn look_up(&self, name: Name) -> Result<LookupIp, Unresolved> {
        match (self.resolver.lookup_ip(name).await, &self.no_servers) {
            (Ok(lookup), _) => Ok(lookup),
            (Err(_), Some(error)) => Err(Unresolved::NoServers(error.clone())),
            (Err(error), None) => Err(error.into()),
        }
    }

    /// Whether nobody says if the name that `lookup` found has addresses of `family`.
    async fn is_unanswered(&self, lookup: &LookupIp, family: Family) -> bool {
        let mut name = lookup.query().name().clone();
        // What the search list of the system could add to it was added before.
        name.set_fqdn(true);
        let answer = self.resolver.lookup(name, family.record_type()).await;
        answer.is_err_and(|error| !error.is_no_records_found())
    }
}

impl Family {
    fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    fn record_type(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::AAAA,
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// Name servers that block names answer `0.0.0.0`, and to connect there is to connect to this machine.
fn is_of_a_host(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast()
}

/// The shortest of all records that led to the addresses.
fn ttl(lookup: &LookupIp) -> Duration {
    let seconds = lookup.as_lookup().answers().iter().map(|record| record.ttl).min();
    Duration::from_secs(seconds.unwrap_or_default().into())
}

impl From<NetError> for Unresolved {
    fn from(error: NetError) -> Self {
        match error {
            error if error.is_nx_domain() => Self::NoSuchName,
            error if error.is_no_records_found() => Self::NoAddresses,
            NetError::Timeout => Self::TimedOut,
            NetError::Io(error) if error.kind() == io::ErrorKind::TimedOut => Self::TimedOut,
            NetError::NoConnections => Self::Unreachable,
            NetError::Dns(DnsError::ResponseCode(code)) => Self::Refused(code.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<JoinError> for Unresolved {
    fn from(error: JoinError) -> Self {
        Self::Failed(error.to_string())
    }
}
