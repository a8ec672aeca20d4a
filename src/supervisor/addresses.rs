//! Private addresses for workers: Unix sockets in a directory that only asgate's user may enter, or free ports on
//! loopback. Does not connect to them.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use thiserror::Error;

use super::WorkerId;
use super::command::Reach;
use super::platform::{self, Guardian};
use super::private_directory::{DirectoryError, PrivateDirectory};
use crate::config::Address;

/// How many ports are tried that turn out to be taken before we give up.
const PORT_ATTEMPTS: usize = 64;
/// Where worker ports begin, and how many there are: below 32768, where Linux begins to give ports away (Windows: 49152).
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

/// No address for a worker.
#[derive(Debug, Error)]
pub enum AddressError {
    #[error("cannot create a private directory for sockets, {0}")]
    Directory(DirectoryError),
    #[error(
        "socket path {} cannot be used: {source}; point XDG_RUNTIME_DIR or the temporary directory to a shorter path",
        path.display()
    )]
    SocketPath { path: PathBuf, source: io::Error },
    #[error("no free port on loopback: {0}")]
    Port(io::Error),
}

/// The loopback ports that the workers of this process were given. Clones share one list; one list serves all
/// supervisors, because a port is still free for the system until its worker has bound it.
#[derive(Debug, Clone, Default)]
pub struct Ports(Arc<Mutex<BTreeSet<u16>>>);

/// Where the addresses of one upstream's workers come from.
#[derive(Debug)]
pub(super) enum Addresses {
    Sockets(Mutex<PrivateDirectory>),
    Ports(Ports),
}

/// An address in use by one generation of a worker; dropped when its process is gone, which removes the socket or
/// gives the port back.
#[derive(Debug)]
pub(super) struct Lease {
    address: Address,
    ports: Option<Ports>,
}

// === impl Ports ===

impl Ports {
    /// A port that is free now and not handed out to another worker. It is drawn from below the ports that systems
    /// give to connections and to whoever asks for any port, so that none of those takes it before the worker does.
    fn take(&self) -> io::Result<u16> {
        let mut taken = self.0.lock();
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..PORT_ATTEMPTS {
            let port = fastrand::u16(FIRST_PORT..FIRST_PORT + PORTS);
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(_) if taken.insert(port) => return Ok(port),
                Ok(_) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn give_back(&self, port: u16) {
        self.0.lock().remove(&port);
    }
}

// === impl Addresses ===

impl Addresses {
    pub(super) fn new(
        reach: Reach,
        ports: &Ports,
        guardian: &Guardian,
    ) -> Result<Self, AddressError> {
        Ok(match reach {
            Reach::Socket => {
                let directory = PrivateDirectory::create(guardian);
                Self::Sockets(Mutex::new(directory.map_err(AddressError::Directory)?))
            }
            Reach::Port => Self::Ports(ports.clone()),
        })
    }

    /// A new address for this start of a worker; never one that an earlier generation had and that could still
    /// have connections. Makes the directory of the sockets again if it is gone.
    pub(super) fn lease(&self, id: WorkerId) -> Result<Lease, AddressError> {
        match self {
            Self::Sockets(directory) => {
                let mut directory = directory.lock();
                directory.restore().map_err(AddressError::Directory)?;
                let path = directory.path().join(format!("{}-{}.sock", id.index, id.generation));
                platform::check_socket_path(&path)
                    .map_err(|source| AddressError::SocketPath { path: path.clone(), source })?;
                Ok(Lease { address: Address::Unix(path), ports: None })
            }
            Self::Ports(ports) => {
                let port = ports.take().map_err(AddressError::Port)?;
                let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                Ok(Lease { address, ports: Some(ports.clone()) })
            }
        }
    }
}

// === impl Lease ===

impl Lease {
    pub(super) fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match (&self.address, &self.ports) {
            (Address::Tcp(address), Some(ports)) => ports.give_back(address.port()),
            (Address::Unix(path), _) => remove(path, std::fs::remove_file(path)),
            (Address::Tcp(_), None) => {}
        }
    }
}

/// Gone already is as good as removed: some servers remove their own socket.
fn remove(path: &Path, outcome: io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != io::ErrorKind::NotFound
    {
        log::warn!("Cannot remove a worker's socket: path={} error={error}", path.display());
    }
}

#[cfg(test)]
mod tests;
