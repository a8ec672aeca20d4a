//! The request on its way to the worker: its head, then its body, framed anew piece by piece.

use std::fmt::Write as _;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::outcome::Cause;

use super::request::Body;

/// What of a request the worker has not got yet. Holds one piece of the body: the next is read from the client when the
/// worker has taken it, so that a slow worker slows its client down and no memory fills. Beside that, the beginning of the
/// body is kept for another attempt, as much as is asked for.
#[derive(Debug)]
pub struct Upload {
    framing: Body,
    limit: Option<u64>,
    /// Bytes of the body that are kept for another attempt; a longer one can be sent only once.
    keep: usize,
    head: Bytes,
    piece: BytesMut,
    /// All pieces so far, framed; `None` when they were too many to be kept, or are not needed any more.
    kept: Option<BytesMut>,
    /// Body bytes that came from the client.
    taken: u64,
    /// The client has sent all of its body.
    ended: bool,
    /// Not a byte was taken since [`Self::begin`].
    unsent: bool,
    /// The worker takes no more.
    broken: bool,
}

impl Upload {
    /// A request with a body of `framing`, of at most `limit` bytes, of which up to `keep` are kept for another attempt.
    /// Nothing is to be sent before [`Self::begin`].
    pub fn new(framing: Body, limit: Option<u64>, keep: usize) -> Self {
        Self {
            framing,
            limit,
            keep,
            head: Bytes::new(),
            piece: BytesMut::new(),
            kept: Some(BytesMut::new()),
            taken: 0,
            ended: framing == Body::None,
            unsent: true,
            broken: false,
        }
    }

    /// Starts with this head, from the beginning. After an attempt that may only be done where
    /// [`Self::can_begin_again`] says so.
    pub fn begin(&mut self, head: Bytes) {
        self.head = head;
        self.piece = self.kept.clone().unwrap_or_default();
        self.unsent = true;
        self.broken = false;
    }

    /// Whether the worker's connection has taken nothing of this attempt.
    pub fn is_unsent(&self) -> bool {
        self.unsent
    }

    /// Whether all that was sent can be sent once more.
    pub fn can_begin_again(&self) -> bool {
        self.kept.is_some()
    }

    /// It will not be sent again.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    /// Whether the client has sent something of its body.
    pub fn has_body(&self) -> bool {
        self.taken > 0
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
        self.unsent &= sent == 0;
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
        let before = self.piece.len();
        if self.framing == Body::Chunked {
            // Writing to memory cannot fail.
            let _ = write!(self.piece, "{:x}\r\n", piece.len());
            self.piece.put_slice(piece);
            self.piece.put_slice(b"\r\n");
        } else {
            self.piece.put_slice(piece);
        }
        self.keep(before);
        // Known without asking the client, whose word may come after the worker's answer.
        if matches!(self.framing, Body::Length(length) if self.taken >= length) {
            self.ended = true;
        }
        Ok(())
    }

    /// Keeps what was added to the piece after its first `before` bytes.
    fn keep(&mut self, before: usize) {
        let added = self.piece.get(before..).unwrap_or_default();
        let is_short = self.taken <= self.keep as u64;
        self.kept = self.kept.take().filter(|_| is_short);
        if let Some(kept) = &mut self.kept {
            kept.put_slice(added);
        }
    }

    /// The client has sent all of its body.
    pub fn end(&mut self) {
        if !self.ended && self.framing == Body::Chunked {
            let before = self.piece.len();
            self.piece.put_slice(b"0\r\n\r\n");
            self.keep(before);
        }
        self.ended = true;
    }

    /// The worker takes no more, though it may still answer.
    pub fn give_up(&mut self) {
        self.broken = true;
    }

    /// Whether the client has sent all of its body.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the next thing to happen is that the client sends more.
    pub fn wants_body(&self) -> bool {
        !self.ended && !self.broken && self.pending().is_empty()
    }

    /// Whether the worker has got all of the request.
    pub fn is_sent(&self) -> bool {
        self.ended && !self.broken && self.pending().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = 1024;

    fn upload(head: &'static [u8], framing: Body, limit: Option<u64>) -> Upload {
        let mut upload = Upload::new(framing, limit, KEPT);
        upload.begin(Bytes::from_static(head));
        upload
    }

    #[test]
    fn what_was_sent_can_be_sent_again_unless_it_was_much() {
        let mut small = upload(b"first", Body::Chunked, None);
        small.push(b"hello").expect("no limit");
        assert_eq!(drained(&mut small), b"first5\r\nhello\r\n", "once");
        small.give_up();
        assert!(small.can_begin_again(), "it is kept");
        small.begin(Bytes::from_static(b"second"));
        small.end();
        assert_eq!(drained(&mut small), b"second5\r\nhello\r\n0\r\n\r\n", "all of it again");
        assert!(small.is_sent(), "and to its end");
        for (size, kept) in [(KEPT, true), (KEPT + 1, false)] {
            let mut large = upload(b"", Body::Length(size as u64), None);
            large.push(&vec![0; size]).expect("no limit");
            assert_eq!(large.can_begin_again(), kept, "{size} bytes");
        }
    }

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
        let mut upload = upload(b"head", Body::Chunked, None);
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
    fn a_body_of_known_length_has_ended_with_its_last_byte() {
        let mut upload = upload(b"", Body::Length(3), None);
        upload.push(b"ab").expect("no limit");
        drained(&mut upload);
        assert!(upload.wants_body() && !upload.is_sent(), "one byte is to come");
        upload.push(b"c").expect("no limit");
        drained(&mut upload);
        assert!(upload.is_sent() && !upload.wants_body(), "that was the last");
    }

    #[test]
    fn a_body_may_be_as_large_as_its_limit() {
        for (size, expected) in [(9, Ok(())), (10, Ok(())), (11, Err(Cause::BodyTooLarge))] {
            let mut upload = upload(b"", Body::Length(size as u64), Some(10));
            assert_eq!(upload.push(&vec![0; size]), expected, "{size} bytes of 10");
        }
    }

    #[test]
    fn a_worker_that_takes_no_more_gets_no_more() {
        let mut upload = upload(b"head", Body::Length(3), None);
        upload.give_up();
        assert!(upload.pending().is_empty(), "nothing to send");
        assert!(!upload.wants_body(), "nothing to read");
        assert!(!upload.is_sent(), "not complete");
    }
}
