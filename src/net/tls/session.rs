//! An open TLS connection, to a worker or of a client.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::{ConnectionCommon, SideData};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsStream, client, server};

use crate::net::is_nothing;

/// Reads at most while it is decided whether a connection is quiet. Two session tickets, the usual number, take one.
const MAX_READS: usize = 16;

/// TLS on a TCP connection, once the handshake is done.
///
/// To be read and written by one task: what could not be sent at once goes out with the next write, flush or read.
#[derive(Debug)]
pub struct Session(TlsStream<TcpStream>);

impl From<client::TlsStream<TcpStream>> for Session {
    fn from(stream: client::TlsStream<TcpStream>) -> Self {
        Self(stream.into())
    }
}

impl From<server::TlsStream<TcpStream>> for Session {
    fn from(stream: server::TlsStream<TcpStream>) -> Self {
        Self(stream.into())
    }
}

impl Session {
    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        self.0.get_ref().0
    }

    /// Whether nothing has arrived but what TLS says to itself: no bytes, no end, no error. `read` reads from the socket
    /// without waiting.
    ///
    /// A worker may send session tickets at any time after the handshake (RFC 8446 section 4.6.1), so bytes on the
    /// socket say nothing yet; they are taken in here and looked at. It is not decided by polling a read, which says
    /// that there is nothing too when the task has used up its share of the runtime's time.
    pub fn is_quiet(
        &mut self,
        read: impl FnMut(&TcpStream, &mut [u8]) -> io::Result<usize>,
    ) -> bool {
        match &mut self.0 {
            TlsStream::Client(stream) => {
                let (socket, tls) = stream.get_mut();
                takes_in_nothing(tls, Arrived { socket, read })
            }
            TlsStream::Server(stream) => {
                let (socket, tls) = stream.get_mut();
                takes_in_nothing(tls, Arrived { socket, read })
            }
        }
    }
}

/// Gives `tls` what has arrived, and says whether there was nothing in it for those above.
fn takes_in_nothing<S: SideData>(tls: &mut ConnectionCommon<S>, mut arrived: impl Read) -> bool {
    for _ in 0..MAX_READS {
        let is_silent = tls
            .process_new_packets()
            .is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed());
        if !is_silent {
            return false;
        }
        match tls.read_tls(&mut arrived) {
            Ok(1..) => {}
            ended_or_empty => return is_nothing(&ended_or_empty),
        }
    }
    false
}

/// What is there to be read from a socket now.
struct Arrived<'a, R> {
    socket: &'a TcpStream,
    read: R,
}

impl<R: FnMut(&TcpStream, &mut [u8]) -> io::Result<usize>> Read for Arrived<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.read)(self.socket, buffer)
    }
}

impl AsyncRead for Session {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.get_ref().1.wants_write() {
            // Those above do not flush, since a socket needs none, and then wait for the answer. A failure is told by
            // the next write; what the worker said before comes first.
            let _ = Pin::new(&mut self.0).poll_flush(cx);
        }
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Session {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// Says that nothing follows (`close_notify`), then sends FIN.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
