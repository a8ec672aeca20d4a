//! Sockets: TCP everywhere, Unix sockets where the system has them, TLS over TCP, behind one type each.
//!
//! Knows addresses and bytes, no protocol above TLS. What differs between systems is in `unix.rs` and `windows.rs`.

pub mod deadline;
pub mod tls;

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf, copy, sink};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::config::Address;

#[cfg(unix)]
#[path = "net/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "net/windows.rs"]
mod platform;

pub use platform::raise_open_files;
#[cfg(unix)]
pub use platform::restore_open_files;
use platform::{LocalListener, LocalStream};

/// Connections the kernel holds until they are accepted; the kernel clips it to its own limit.
const BACKLOG: i32 = 65_535;

/// A connected socket, with TLS on it or without.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Local(LocalStream),
    Tls(Box<tls::Session>),
}

/// Whether an attempt to connect failed because nobody listens: on the port, or on the Unix socket, whose file may be
/// gone.
pub fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// The other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A process on this machine, without an address.
    Local,
}

impl Stream {
    /// Connects to `address`. TCP connections send without delay (`TCP_NODELAY`).
    ///
    /// # Errors
    /// As the system says; there is no deadline here.
    pub async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let socket = match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => TcpSocket::new_v6()?,
                };
                if address.ip().is_loopback() {
                    platform::refuse_fast(&socket);
                }
                let stream = socket.connect(*address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Address::Unix(path) => Ok(Self::Local(platform::connect(path).await?)),
        }
    }

    /// Whether nothing has arrived that was not read: no bytes, no end, no error. What TLS says to itself is taken in
    /// and is nothing.
    ///
    /// Asks the kernel, since the runtime's notes lag behind by the events that it has not polled yet.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => SockRef::from(&*stream).peek(&mut byte),
            Self::Local(stream) => platform::peek(stream, &mut byte),
            Self::Tls(session) => {
                return session.is_quiet(|socket, buffer| (&*SockRef::from(socket)).read(buffer));
            }
        };
        is_nothing(&peeked)
    }

    /// As [`Self::is_quiet`], but from the runtime's notes where they know: costs no system call then.
    pub fn seems_quiet(&mut self) -> bool {
        let mut byte = [0];
        match self {
            Self::Tcp(stream) => is_nothing(&stream.try_read(&mut byte)),
            Self::Local(stream) => is_nothing(&stream.try_read(&mut byte)),
            Self::Tls(session) => session.is_quiet(TcpStream::try_read),
        }
    }

    /// Makes the close of this socket a reset, so that the peer cannot take what it got for complete.
    pub fn reset_on_close(&self) {
        let done = match self {
            Self::Tcp(stream) => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            Self::Tls(session) => SockRef::from(session.socket()).set_linger(Some(Duration::ZERO)),
            // A Unix socket has no reset; its peer sees the end.
            Self::Local(_) => Ok(()),
        };
        if let Err(error) = done {
            log::debug!("Cannot make the close of a connection a reset: {error}");
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Local(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(session) => Pin::new(&mut **session).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Local(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(session) => Pin::new(&mut **session).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Local(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(session) => Pin::new(&mut **session).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Local(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(session) => Pin::new(&mut **session).poll_shutdown(cx),
        }
    }
}

impl Stream {
    /// Whether the other side is known to have closed its direction, whatever is still to be read.
    pub fn is_closed_by_peer(&self) -> bool {
        // What is known is known at once.
        let mut context = Context::from_waker(Waker::noop());
        let ready = match self {
            Self::Tcp(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut context),
            Self::Local(stream) => pin!(stream.ready(Interest::READABLE)).poll(&mut context),
            Self::Tls(session) => {
                pin!(session.socket().ready(Interest::READABLE)).poll(&mut context)
            }
        };
        matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }
}

/// Reads and drops what still comes, so many bytes at most. After FIN was sent: a close with unread bytes would be a reset,
/// which throws away what the other side has not read yet.
///
/// # Errors
/// As the system says.
pub async fn drain(stream: &mut (impl AsyncRead + Unpin), at_most: u64) -> io::Result<()> {
    copy(&mut stream.take(at_most), &mut sink()).await.map(drop)
}

/// Whether a read that does not wait found nothing, not even an end.
fn is_nothing(read: &io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// A listening socket. A Unix socket's file goes when this is dropped.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Local(LocalListener),
}

impl Listener {
    /// Binds and listens. `[::]` takes IPv4 too, on every system.
    ///
    /// # Errors
    /// The address is in use, not of this machine, or not allowed.
    pub fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            Address::Unix(path) => LocalListener::bind(path).map(Self::Local),
        }
    }

    /// As [`Self::bind`], but only the user that this process runs as (and root) can connect to a Unix socket. A TCP
    /// port has no such bounds.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn bind_private(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            Address::Unix(path) => LocalListener::bind_private(path).map(Self::Local),
        }
    }

    /// The address this listens on, with the real port when port 0 was asked for.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Local(listener) => Ok(Address::Unix(listener.path().to_owned())),
        }
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// As the system says; [`is_of_client`] tells those that are nobody's concern here.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // None of them is needed to serve it, and a client may be gone already.
                let set = stream
                    .set_nodelay(true)
                    .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&dead_peer()))
                    .and_then(|()| platform::queue_little(&stream));
                if let Err(error) = set {
                    log::debug!("Socket options not set: client={peer} {error}");
                }
                Ok((Stream::Tcp(stream), Peer::Tcp(peer)))
            }
            Self::Local(listener) => Ok((Stream::Local(listener.accept().await?), Peer::Local)),
        }
    }
}

/// Whether an accept failed because of the client that was to be accepted, and not of this side.
pub fn is_of_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// A client that is gone without a word is found out in about two minutes, however long its request may last.
fn dead_peer() -> TcpKeepalive {
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10))
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    platform::own_port(&socket)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
