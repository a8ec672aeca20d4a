//! A client that sends the bytes it is told to and takes responses apart.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// One TCP connection.
pub struct Client {
    pub stream: TcpStream,
    input: Vec<u8>,
}

/// One HTTP/1.1 response.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body came to the end that its framing promises.
    pub complete: bool,
}

impl Response {
    /// The value of a header that is there at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there more than once: {:?}", self.headers);
        value
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("connected"))
    }

    /// A client over a connection that is there already.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Self { stream, input: Vec::new() }
    }

    pub fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("its address")
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("sent");
    }

    /// Sends these bytes, or as many as the other side takes before it closes.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends FIN.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("FIN sent");
    }

    /// A GET for `path`, answered.
    pub fn get(&mut self, path: &str) -> Response {
        self.get_with(path, "")
    }

    /// A GET for `path` with these header lines, each with its CRLF, answered.
    pub fn get_with(&mut self, path: &str, headers: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n{headers}\r\n"));
        self.response()
    }

    /// A POST of `body` to `path`, answered.
    pub fn post(&mut self, path: &str, body: &str) -> Response {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: test.example\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        self.response()
    }

    /// Reads one response that has a body by its framing.
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads one response to a request with this method. Fails when the connection ends before the head does.
    pub fn response_to(&mut self, method: &str) -> Response {
        self.try_response_to(method).expect("a response head")
    }

    /// As [`Self::response_to`]; `None` when the connection ends before a head is there.
    pub fn try_response_to(&mut self, method: &str) -> Option<Response> {
        let (status, headers) = self.head()?;
        let find =
            |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, v)| v.clone());
        let bodiless =
            method == "HEAD" || status == 204 || status == 304 || (100..200).contains(&status);
        let (body, complete) = if bodiless {
            (Vec::new(), true)
        } else if find("transfer-encoding").is_some() {
            self.chunked()
        } else if let Some(length) = find("content-length") {
            let length = length.parse().expect("a length");
            let complete = self.fill(length);
            (self.take(length), complete)
        } else {
            while self.more() {}
            (std::mem::take(&mut self.input), true)
        };
        Some(Response { status, headers, body, complete })
    }

    /// Reads a response head: status and headers.
    pub fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let end = loop {
            if let Some(at) = self.input.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more() {
                assert!(
                    self.input.is_empty(),
                    "half a head: {:?}",
                    self.input.escape_ascii().to_string()
                );
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.take(end)).into_owned();
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        Some((status, headers))
    }

    /// Reads one chunk of a chunked body: `Some` of its data (empty for the last), `None` when the connection ends.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.input.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            if !self.more() {
                return None;
            }
        };
        let line = self.take(end + 2);
        let size = usize::from_str_radix(String::from_utf8_lossy(&line[..end]).trim(), 16)
            .expect("a size");
        if !self.fill(size + 2) {
            self.input.clear();
            return None;
        }
        let mut data = self.take(size + 2);
        data.truncate(size);
        Some(data)
    }

    fn chunked(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.chunk() {
                Some(data) if data.is_empty() => return (body, true),
                Some(data) => body.extend(data),
                None => return (body, false),
            }
        }
    }

    /// Takes what was read off the connection and not yet asked for.
    pub fn buffered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// Reads exactly this many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        assert!(self.fill(count), "the connection ended after {} bytes", self.input.len());
        self.take(count)
    }

    /// Waits for the end of the connection (FIN or reset) and returns what came before it.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.input)
    }

    /// As [`Self::rest`], and whether the connection ended with FIN, not with a reset.
    pub fn rest_to_fin(&mut self) -> (Vec<u8>, bool) {
        let mut rest = std::mem::take(&mut self.input);
        let ended = self.stream.read_to_end(&mut rest);
        (rest, ended.is_ok())
    }

    /// How long it takes until the connection ends, and what came before it.
    pub fn time_to_end(&mut self) -> (Duration, Vec<u8>) {
        let begun = Instant::now();
        let rest = self.rest();
        (begun.elapsed(), rest)
    }

    /// Whether nothing comes for this long.
    pub fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a read timeout");
        let mut byte = [0];
        let quiet = match self.stream.read(&mut byte) {
            Ok(0) => false,
            Ok(_) => {
                self.input.push(byte[0]);
                false
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        quiet && self.input.is_empty()
    }

    fn fill(&mut self, count: usize) -> bool {
        while self.input.len() < count {
            if !self.more() {
                return false;
            }
        }
        true
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.input.drain(..count.min(self.input.len())).collect()
    }

    /// Reads once; `false` at the end of the connection.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                self.input.extend_from_slice(&buffer[..read]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!(
                    "nothing came for {PATIENCE:?}; so far {:?}",
                    self.input.escape_ascii().to_string()
                )
            }
            Err(_) => false,
        }
    }
}
