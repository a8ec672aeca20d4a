//! Sockets on Windows: TCP only. Unix sockets exist there, but neither asyncio nor tokio speaks them.

#![expect(unsafe_code, reason = "calls into the operating system")]

use std::convert::Infallible;
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::AsRawSocket;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::Socket;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpSocket, TcpStream};
use windows_sys::Win32::Networking::WinSock;

/// A Unix socket stream; there is none.
#[derive(Debug)]
pub struct LocalStream(Infallible);

impl LocalStream {
    pub fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }

    pub async fn ready(&self, _: Interest) -> io::Result<Ready> {
        match self.0 {}
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

/// A listening Unix socket; there is none.
#[derive(Debug)]
pub struct LocalListener(Infallible);

impl LocalListener {
    pub fn bind(_: &Path) -> io::Result<Self> {
        Err(unsupported())
    }

    pub fn bind_private(_: &Path) -> io::Result<Self> {
        Err(unsupported())
    }

    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    pub async fn accept(&self) -> io::Result<LocalStream> {
        match self.0 {}
    }
}

pub async fn connect(_: &Path) -> io::Result<LocalStream> {
    Err(unsupported())
}

pub fn peek(stream: &LocalStream, _: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    match stream.0 {}
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "Unix sockets are not supported on Windows")
}

/// Makes a connection to a port that nobody listens on fail at once. Windows would send the SYN again, three times in two
/// seconds, although it was answered with a reset (Microsoft KB175523); over loopback no SYN is lost. Where the system
/// does not know the option (before Windows 10 version 1709) it stays slow.
pub fn refuse_fast(socket: &TcpSocket) {
    const NO_RETRANSMISSION: u8 = WinSock::TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS as u8;
    let settings = WinSock::TCP_INITIAL_RTO_PARAMETERS {
        Rtt: WinSock::TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS,
        MaxSynRetransmissions: NO_RETRANSMISSION,
    };
    let Ok(handle) = WinSock::SOCKET::try_from(socket.as_raw_socket()) else {
        return;
    };
    let mut returned = 0;
    // SAFETY: the handle is an open socket that `socket` owns, the input is a structure of the length given, there is no
    // output, and without an overlapped structure the call does not outlive its pointers.
    let done = unsafe {
        WinSock::WSAIoctl(
            handle,
            WinSock::SIO_TCP_INITIAL_RTO,
            std::ptr::from_ref(&settings).cast(),
            size_of::<WinSock::TCP_INITIAL_RTO_PARAMETERS>() as u32,
            std::ptr::null_mut(),
            0,
            &raw mut returned,
            std::ptr::null_mut(),
            None,
        )
    };
    if done != 0 {
        log::debug!("Refused connections will be slow: {}", io::Error::last_os_error());
    }
}

/// Nothing to do: the system fits what it buffers to the connection, and tells of each part of it that was sent.
pub fn queue_little(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// Keeps other processes from binding the same port: on Windows `SO_REUSEADDR` would let them.
pub fn own_port(socket: &Socket) -> io::Result<()> {
    let on: i32 = 1;
    let handle = WinSock::SOCKET::try_from(socket.as_raw_socket()).map_err(io::Error::other)?;
    // SAFETY: the handle is an open socket that `socket` owns, and the value is an i32 of the length given.
    let done = unsafe {
        WinSock::setsockopt(
            handle,
            WinSock::SOL_SOCKET,
            WinSock::SO_EXCLUSIVEADDRUSE,
            std::ptr::from_ref(&on).cast(),
            size_of::<i32>() as i32,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Nothing to raise: handles are not limited in number.
pub fn raise_open_files() -> Option<u64> {
    None
}
