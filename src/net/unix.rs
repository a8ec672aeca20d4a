//! Sockets on Unix systems, and how many a process may have.

use std::fs::Permissions;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
pub use tokio::net::UnixStream as LocalStream;
use tokio::net::{TcpSocket, TcpStream, UnixListener};

/// The limits of open files that this process was started with, since they were changed.
static INHERITED: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit of open files to the hard one (getrlimit(2), RLIMIT_NOFILE): it is low for the sake of programs
/// that use select(2). Returns how many there may be now; `None` is any number.
pub fn raise_open_files() -> Option<u64> {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::warn!("Cannot raise the limit of open files: {error}");
        return limits.current;
    }
    // Called twice, the first has it right.
    let _ = INHERITED.set(limits);
    raised.current
}

/// Takes back what [`raise_open_files`] did, in a process about to run another program. Neither allocates nor locks.
pub fn restore_open_files() -> io::Result<()> {
    match INHERITED.get() {
        Some(limits) => Ok(setrlimit(Resource::Nofile, *limits)?),
        None => Ok(()),
    }
}

/// A listening Unix socket and its file.
#[derive(Debug)]
pub struct LocalListener {
    /// First, so that the file goes before the socket is closed: nobody finds it stale, removes it and puts a file of
    /// their own in its place meanwhile.
    file: SocketFile,
    socket: UnixListener,
}

/// The file of a Unix socket, removed when dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl LocalListener {
    /// Binds to `path`, taking the place of a socket file that nobody listens on any more.
    pub fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = UnixListener::bind(path)?;
        Ok(Self { socket, file: SocketFile(path.to_owned()) })
    }

    /// As [`Self::bind`], with mode 0600: connecting takes the permission to write (unix(7)).
    pub fn bind_private(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // From here on the file is there and goes when something fails.
        let file = SocketFile(path.to_owned());
        // Before it listens, so that nobody connects while the mode is still what the umask left.
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        socket.listen(super::BACKLOG)?;
        let socket = UnixListener::from_std(OwnedFd::from(socket).into())?;
        Ok(Self { socket, file })
    }

    pub fn path(&self) -> &Path {
        &self.file.0
    }

    pub async fn accept(&self) -> io::Result<LocalStream> {
        self.socket.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            log::debug!("Cannot remove socket file: path={} {error}", self.0.display());
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

/// Nothing to do: a refused connection fails at once here.
pub fn refuse_fast(_socket: &TcpSocket) {}

/// Bytes that were written and not sent, above which a socket takes no more.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 128 * 1024;

/// Has the system keep little that is not on its way yet (`TCP_NOTSENT_LOWAT`, tcp(7)). It would keep megabytes, and tell
/// of a client that takes them when a third of that is gone: a slow one would look like one that takes nothing.
pub fn queue_little(stream: &TcpStream) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = stream;
    Ok(())
}

/// Lets a restarted edge bind while connections of the last one are in TIME_WAIT. On Unix this shares no live port.
pub fn own_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}
