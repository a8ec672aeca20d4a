//! When a worker counts as ready: it accepted a connection and answered an HTTP request on it, whatever the status.
//!
//! The app sees that request: `HEAD /` with `User-Agent: asgate-readiness`. HEAD, because its answer has no body to
//! wait for and RFC 9110 section 9.3.2 makes it safe.
//!
//! A connection, once made, is never given up for a new attempt: connections that are opened and dropped are what
//! makes a Windows worker deaf (python/cpython#93821), and asking an app twice does not make it answer sooner.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::platform;
use crate::config::Address;

/// Between two attempts to connect to a worker that does not listen yet.
const POLL: Duration = Duration::from_millis(50);
/// How long the rest of an answer is read, once its status line has come.
const REST: Duration = Duration::from_secs(1);
const REQUEST: &[u8] =
    b"HEAD / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: asgate-readiness\r\nConnection: close\r\n\r\n";
/// `HTTP/1.1 200`: protocol, space, status (RFC 9112 section 4).
const STATUS_LENGTH: usize = 12;

/// Why there was no answer: how the last attempt went.
#[derive(Debug, Error)]
pub enum Silence {
    #[error("it does not accept connections: {0}")]
    Unreachable(io::Error),
    #[error("it accepted the connection and then said nothing")]
    Mute,
    #[error("it closed the connection without an answer")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("what it answered is not HTTP/1: {0:?}")]
    NotHttp(String),
}

/// Returns once the worker at `address` has answered.
///
/// # Errors
/// It has not `within` that time.
pub(super) async fn until_answered(address: &Address, within: Duration) -> Result<(), Silence> {
    let mut silence = Silence::Unreachable(io::ErrorKind::TimedOut.into());
    timeout(within, poll(address, &mut silence)).await.map_err(|_elapsed| silence)
}

async fn poll(address: &Address, silence: &mut Silence) {
    while let Err(reason) = attempt(address, silence).await {
        *silence = reason;
        sleep(POLL).await;
    }
}

async fn attempt(address: &Address, silence: &mut Silence) -> Result<(), Silence> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await.map_err(Silence::Unreachable)?;
            refuse_self_connection(&stream).map_err(Silence::Unreachable)?;
            *silence = Silence::Mute;
            exchange(stream).await
        }
        Address::Unix(path) => {
            let stream = platform::connect_unix(path).await.map_err(Silence::Unreachable)?;
            *silence = Silence::Mute;
            exchange(stream).await
        }
    }
}

/// Connecting to a port of the ephemeral range that nobody listens on can succeed: when the system picks that very
/// port as the source, the socket is connected to itself (simultaneous open, RFC 9293 section 3.5).
fn refuse_self_connection(stream: &TcpStream) -> io::Result<()> {
    match stream.local_addr()? == stream.peer_addr()? {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(()),
    }
}

/// One request, one answer, read to its end so that the close that follows is a FIN and not a reset. Our side is
/// not shut down before: Uvicorn takes a half-close for a client that has left.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Silence> {
    stream.write_all(REQUEST).await.map_err(Silence::Broken)?;
    let mut head = [0; STATUS_LENGTH];
    stream.read_exact(&mut head).await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Silence::Closed,
        _ => Silence::Broken(error),
    })?;
    if !is_status(&head) {
        return Err(Silence::NotHttp(String::from_utf8_lossy(&head).into_owned()));
    }
    // Neither a slow end nor a broken one takes the answer back.
    let _ = timeout(REST, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
    Ok(())
}

fn is_status(head: &[u8; STATUS_LENGTH]) -> bool {
    let [protocol @ .., minor, b' ', a, b, c] = head else {
        return false;
    };
    protocol == b"HTTP/1." && [minor, a, b, c].into_iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
