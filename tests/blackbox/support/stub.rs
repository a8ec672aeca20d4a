//! A worker that does what a test says, byte by byte, and keeps what it was sent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{PATIENCE, wait_for};

/// What came on one connection.
type Received = Arc<Mutex<Vec<u8>>>;

/// A listening worker. Each connection is served on a thread of its own.
pub struct Stub {
    address: SocketAddr,
    listener: TcpListener,
    connections: Arc<Mutex<Vec<Received>>>,
}

/// One accepted connection, from the worker's side.
pub struct Accepted {
    /// Counted from 0 in the order they were accepted.
    pub number: usize,
    pub stream: TcpStream,
    received: Received,
    unread: Vec<u8>,
}

impl Stub {
    /// Runs `serve` for every connection.
    pub fn start(serve: impl Fn(Accepted) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port"), serve)
    }

    /// Runs `serve` for every connection that comes, or has come already, to `listener`.
    pub fn on(listener: TcpListener, serve: impl Fn(Accepted) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("its address");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (serve, kept) = (Arc::new(serve), Arc::clone(&connections));
        let accepting = listener.try_clone().expect("a second handle");
        std::thread::spawn(move || {
            for stream in accepting.incoming().map_while(Result::ok) {
                let received = Arc::new(Mutex::new(Vec::new()));
                let number = {
                    let mut all = kept.lock().expect("connections");
                    all.push(Arc::clone(&received));
                    all.len() - 1
                };
                stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
                let accepted = Accepted { number, stream, received, unread: Vec::new() };
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(accepted));
            }
        });
        Self { address, listener, connections }
    }

    /// Answers every request with these bytes and keeps the connection.
    pub fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |mut accepted| {
            while accepted.request().is_some() {
                accepted.send(answer);
            }
        })
    }

    /// Answers every request with an empty 200 and keeps the connection.
    pub fn ok() -> Self {
        Self::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    }

    /// Answers every request with the request itself, head and body as they came, and keeps the connection.
    pub fn echoing() -> Self {
        Self::start(|mut accepted| {
            while let Some(request) = accepted.request_bytes() {
                let length = request.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                accepted.send([head.as_bytes(), &request].concat());
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections are refused; those that were accepted live on.
    pub fn close_listener(&self) {
        let closed = socket2::SockRef::from(&self.listener).shutdown(Shutdown::Both);
        closed.expect("Linux ends listening so");
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.connections.lock().expect("connections").len()
    }

    /// What came on connection `number` so far, as text.
    pub fn received(&self, number: usize) -> String {
        let connections = self.connections.lock().expect("connections");
        let bytes = connections.get(number).map(|bytes| bytes.lock().expect("bytes").clone());
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// What came so far, over all connections.
    pub fn received_in_all(&self) -> String {
        (0..self.accepted()).map(|number| self.received(number)).collect()
    }

    /// Waits until what came on connection `number` contains `text`, and returns all of it.
    pub fn wait_until_received(&self, number: usize, text: &str) -> String {
        wait_for(&format!("{text:?} at the worker"), || {
            Some(self.received(number)).filter(|received| received.contains(text))
        })
    }
}

impl Accepted {
    /// Reads one request, head and body; `None` at the end of the connection.
    pub fn request(&mut self) -> Option<String> {
        self.request_bytes().map(|request| String::from_utf8_lossy(&request).into_owned())
    }

    /// As [`Self::request`], byte for byte.
    pub fn request_bytes(&mut self) -> Option<Vec<u8>> {
        let mut request = self.until(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&request).to_lowercase();
        if head.contains("transfer-encoding: chunked") {
            request.extend(self.until(b"0\r\n\r\n")?);
        } else if let Some((_, rest)) = head.split_once("content-length: ") {
            let length = rest.split("\r\n").next()?.parse().ok()?;
            request.extend(self.bytes(length)?);
        }
        Some(request)
    }

    /// Reads one request head; `None` at the end of the connection.
    pub fn request_head(&mut self) -> Option<String> {
        self.until(b"\r\n\r\n").map(|head| String::from_utf8_lossy(&head).into_owned())
    }

    /// Reads exactly this many bytes; `None` when the connection ends before.
    pub fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            self.more()?;
        }
        Some(self.unread.drain(..count).collect())
    }

    /// Reads up to and including `end`.
    pub fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return Some(self.unread.drain(..at + end.len()).collect());
            }
            self.more()?;
        }
    }

    /// Sends bytes; whether the edge still takes them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Closes with FIN.
    pub fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes with a reset.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    }

    /// Waits for the edge to end the connection: `true` by FIN, `false` by a reset.
    pub fn wait_for_fin(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 64 * 1024];
        let read = self.stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        self.received.lock().expect("received").extend_from_slice(&buffer[..read]);
        self.unread.extend_from_slice(&buffer[..read]);
        Some(())
    }
}
