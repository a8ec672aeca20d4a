//! The body of a response on its way from the worker: its framing taken off, its end known.

use bytes::{Bytes, BytesMut};

use super::Fault;
use super::chunked::{Decoded, Decoder};
use super::response::Framing;

/// What was received of a body at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub data: Bytes,
    /// The body ends with it.
    pub complete: bool,
}

/// One response body.
#[derive(Debug)]
pub struct Download {
    state: State,
    /// The worker keeps the connection after it.
    keep_alive: bool,
}

#[derive(Debug)]
enum State {
    /// Bytes left.
    Length(u64),
    Chunked(Decoder),
    UntilClose,
}

impl Download {
    pub fn new(framing: Framing, keep_alive: bool) -> Self {
        let state = match framing {
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Decoder::default()),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, keep_alive }
    }

    /// Takes what `input` holds of the body. `closed`: the worker has closed the connection.
    ///
    /// # Errors
    /// The worker broke the framing.
    pub fn take(&mut self, input: &mut BytesMut, closed: bool) -> Result<Piece, Fault> {
        match &mut self.state {
            State::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= take as u64;
                Ok(Piece { data: input.split_to(take).freeze(), complete: *left == 0 })
            }
            State::Chunked(decoder) => take_chunks(decoder, input),
            State::UntilClose => Ok(Piece { data: input.split().freeze(), complete: closed }),
        }
    }

    /// Whether the end of the connection is the end of the body.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Whether the connection can serve another request once the body is complete.
    pub fn leaves_reusable(&self) -> bool {
        self.keep_alive && !self.ends_with_connection()
    }
}

/// Joins the chunks that came in one read, so that they leave in one write.
fn take_chunks(decoder: &mut Decoder, input: &mut BytesMut) -> Result<Piece, Fault> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let complete = loop {
        match decoder.decode(input)? {
            Decoded::Data(data) if first.is_empty() => first = data,
            Decoded::Data(data) => {
                if joined.is_empty() {
                    joined.extend_from_slice(&first);
                }
                joined.extend_from_slice(&data);
            }
            Decoded::More => break false,
            Decoded::End => break true,
        }
    };
    let data = if joined.is_empty() { first } else { joined.freeze() };
    Ok(Piece { data, complete })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(framing: Framing, input: &[u8], closed: bool) -> (Vec<u8>, bool, usize) {
        let mut input = BytesMut::from(input);
        let piece = Download::new(framing, true).take(&mut input, closed).expect("valid");
        (piece.data.to_vec(), piece.complete, input.len())
    }

    #[test]
    fn each_framing_knows_its_end() {
        let cases = [
            (Framing::Length(5), &b"hel"[..], false, (b"hel".to_vec(), false, 0)),
            (Framing::Length(5), b"hello!", false, (b"hello".to_vec(), true, 1)),
            (Framing::Length(0), b"", false, (vec![], true, 0)),
            (Framing::Chunked, b"1\r\na\r\n1\r\nb\r\n", false, (b"ab".to_vec(), false, 0)),
            (Framing::Chunked, b"1\r\na\r\n0\r\n\r\nx", false, (b"a".to_vec(), true, 1)),
            (Framing::UntilClose, b"abc", false, (b"abc".to_vec(), false, 0)),
            (Framing::UntilClose, b"abc", true, (b"abc".to_vec(), true, 0)),
        ];
        for (framing, input, closed, expected) in cases {
            assert_eq!(take(framing, input, closed), expected, "{framing:?}, closed: {closed}");
        }
    }

    #[test]
    fn a_connection_that_ends_its_body_is_not_reused() {
        assert!(Download::new(Framing::Length(1), true).leaves_reusable(), "kept");
        assert!(!Download::new(Framing::Length(1), false).leaves_reusable(), "announced close");
        assert!(!Download::new(Framing::UntilClose, true).leaves_reusable(), "ended by close");
    }
}
