//! Sockets on Unix systems.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use socket2::{SockRef, Socket};
use tokio::net::UnixListener;
pub use tokio::net::UnixStream as LocalStream;

/// A listening Unix socket and its file.
#[derive(Debug)]
pub struct LocalListener {
    socket: UnixListener,
    path: PathBuf,
}

impl LocalListener {
    /// Binds to `path`, taking the place of a socket file that nobody listens on any more.
    pub fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = UnixListener::bind(path)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub async fn accept(&self) -> io::Result<LocalStream> {
        self.socket.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::debug!("Cannot remove socket file: path={} {error}", self.path.display());
        }
    }
}

/// Removes the socket file that an earlier process left, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is no socket is there",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

pub async fn connect(path: &Path) -> io::Result<LocalStream> {
    LocalStream::connect(path).await
}

pub fn peek(stream: &LocalStream, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    SockRef::from(stream).peek(buffer)
}

/// Lets a restarted edge bind while connections of the last one are in TIME_WAIT. On Unix this shares no live port.
pub fn own_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}
