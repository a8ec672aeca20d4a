//! HTTP/2 frames by hand (RFC 9113 §4.1), for what Python's `h2` takes no part in: it gives up at the first GOAWAY.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// END_STREAM of DATA and HEADERS, ACK of SETTINGS and PING.
pub const END: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a request for `path` of host `a`, from HPACK's static table (RFC 7541 appendix A) with literal
/// values.
pub fn block(method: Method, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).expect("a short path");
    assert!(length < 127, "a short path");
    let method = match method {
        Method::Get => 0x82,
        Method::Post => 0x83,
    };
    [&[method, 0x86, 0x04, length], path.as_bytes(), &[0x01, 1, b'a']].concat()
}

/// What [`block`] asks for.
#[derive(Clone, Copy)]
pub enum Method {
    Get,
    Post,
}

/// One HTTP/2 connection without TLS. SETTINGS and PING are acknowledged; the rest is the test's.
pub struct Frames {
    stream: TcpStream,
}

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("connected"))
    }

    /// A client over a connection that is there already.
    pub fn over(mut stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("a preface");
        let mut frames = Self { stream };
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    /// Sends a whole GET request.
    pub fn get(&mut self, stream: u32, path: &str) {
        self.send(HEADERS, END | END_HEADERS, stream, &block(Method::Get, path));
    }

    /// Begins an upload.
    pub fn post(&mut self, stream: u32, path: &str) {
        self.send(HEADERS, END_HEADERS, stream, &block(Method::Post, path));
    }

    /// The same connection, for another thread that only sends.
    pub fn try_clone(&self) -> Self {
        Self { stream: self.stream.try_clone().expect("a second handle") }
    }

    /// Gives a stream up (CANCEL, RFC 9113 §7).
    pub fn reset(&mut self, stream: u32) {
        self.send(RST_STREAM, 0, stream, &8u32.to_be_bytes());
    }

    /// The next frame that is neither SETTINGS nor PING; `None` at the end of the connection.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).ok()?;
            let (kind, flags) = (head[3], head[4]);
            match kind {
                SETTINGS if flags & END == 0 => self.send(SETTINGS, END, 0, &[]),
                PING if flags & END == 0 => self.send(PING, END, 0, &payload),
                SETTINGS | PING => {}
                _ => {
                    return Some(Frame { kind, flags, stream, payload });
                }
            }
        }
    }

    /// Reads until a frame of this kind; what came before it and itself.
    pub fn until(&mut self, kind: u8) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next() {
            let found = frame.kind == kind;
            frames.push(frame);
            if found {
                return frames;
            }
        }
        panic!("the connection ended before a frame of kind {kind}: {frames:#?}");
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        // The edge may have closed: the next read tells.
        let _ = self.stream.write_all(&frame(kind, flags, stream, payload));
    }
}
