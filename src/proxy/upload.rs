//! The request on its way to the worker: its head, then its body, framed anew piece by piece.

use std::fmt::Write as _;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::outcome::Cause;

use super::request::Body;

/// What of a request the worker has not got yet. Holds one piece of the body at most: the next is read from the client
/// when the worker has taken it, so that a slow worker slows its client down and no memory fills.
#[derive(Debug)]
pub struct Upload {
    framing: Body,
    limit: Option<u64>,
    head: Bytes,
    piece: BytesMut,
    /// Body bytes that came from the client.
    taken: u64,
    /// The client has sent all of its body.
    ended: bool,
    /// The worker takes no more.
    broken: bool,
}

impl Upload {
    /// A request with this head and a body of `framing`, of at most `limit` bytes.
    pub fn new(head: Bytes, framing: Body, limit: Option<u64>) -> Self {
        Self {
            framing,
            limit,
            head,
            piece: BytesMut::new(),
            taken: 0,
            ended: framing == Body::None,
            broken: false,
        }
    }

    /// What to write next; empty when the client must send first or nothing is left.
    pub fn pending(&self) -> &[u8] {
        match (self.broken, self.head.is_empty()) {
            (true, _) => &[],
            (false, false) => &self.head,
            (false, true) => &self.piece,
        }
    }

    /// The worker took `sent` bytes of [`Self::pending`].
    pub fn advance(&mut self, sent: usize) {
        if self.head.is_empty() {
            self.piece.advance(sent.min(self.piece.len()));
        } else {
            self.head.advance(sent.min(self.head.len()));
        }
    }

    /// The client sent a piece of its body.
    ///
    /// # Errors
    /// [`Cause::BodyTooLarge`].
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Cause> {
        self.taken += piece.len() as u64;
        if self.limit.is_some_and(|limit| self.taken > limit) {
            return Err(Cause::BodyTooLarge);
        }
        // A piece of length zero would end a chunked body (Pingora issue #935).
        if piece.is_empty() {
            return Ok(());
        }
        if self.framing == Body::Chunked {
            // Writing to memory cannot fail.
            let _ = write!(self.piece, "{:x}\r\n", piece.len());
            self.piece.put_slice(piece);
            self.piece.put_slice(b"\r\n");
        } else {
            self.piece.put_slice(piece);
        }
        Ok(())
    }

    /// The client has sent all of its body.
    pub fn end(&mut self) {
        if !self.ended && self.framing == Body::Chunked {
            self.piece.put_slice(b"0\r\n\r\n");
        }
        self.ended = true;
    }

    /// The worker takes no more, though it may still answer.
    pub fn give_up(&mut self) {
        self.broken = true;
    }

    /// Whether the next thing to happen is that the client sends more.
    pub fn wants_body(&self) -> bool {
        !self.ended && !self.broken && self.pending().is_empty()
    }

    /// Whether the client has nothing more to send, or nobody wants it.
    pub fn is_over(&self) -> bool {
        self.ended || self.broken
    }

    /// Whether the worker has got all of the request.
    pub fn is_sent(&self) -> bool {
        self.ended && !self.broken && self.pending().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(upload: &mut Upload) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !upload.pending().is_empty() {
            bytes.push(upload.pending()[0]);
            upload.advance(1);
        }
        bytes
    }

    #[test]
    fn a_chunked_body_ends_once_however_the_client_ends_it() {
        let mut upload = Upload::new(Bytes::from_static(b"head"), Body::Chunked, None);
        assert!(!upload.wants_body(), "the head goes first");
        assert_eq!(drained(&mut upload), b"head", "head");
        upload.push(b"hello").expect("no limit");
        assert_eq!(drained(&mut upload), b"5\r\nhello\r\n", "a chunk");
        upload.push(b"").expect("no limit");
        assert!(upload.wants_body(), "an empty piece is nothing");
        upload.end();
        upload.end();
        assert_eq!(drained(&mut upload), b"0\r\n\r\n", "one terminator");
        assert!(upload.is_sent(), "all sent");
    }

    #[test]
    fn a_body_may_be_as_large_as_its_limit() {
        for (size, expected) in [(9, Ok(())), (10, Ok(())), (11, Err(Cause::BodyTooLarge))] {
            let mut upload = Upload::new(Bytes::new(), Body::Length(size as u64), Some(10));
            assert_eq!(upload.push(&vec![0; size]), expected, "{size} bytes of 10");
        }
    }

    #[test]
    fn a_worker_that_takes_no_more_gets_no_more() {
        let mut upload = Upload::new(Bytes::from_static(b"head"), Body::Length(3), None);
        upload.give_up();
        assert!(upload.pending().is_empty(), "nothing to send");
        assert!(!upload.wants_body(), "nothing to read");
        assert!(!upload.is_sent(), "not complete");
    }
}
