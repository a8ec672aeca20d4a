//! What is left of an HTTP/1.1 request body.
//!
//! Read here and not by the engine, whose reader takes an empty chunk size for zero and keeps the first byte of a request
//! that follows.

use bytes::BytesMut;

use crate::http1::chunked::{Decoded, Decoder};
use crate::http1::request::Framing;
use crate::outcome::{BadRequest, Cause};

/// A request body that is still to come, as far as it was not taken.
#[derive(Debug)]
pub enum Incoming {
    /// Bytes left.
    Length(u64),
    Chunked(Decoder),
    Over,
}

impl Incoming {
    /// The body of a request whose head says this.
    pub fn of(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Over,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Decoder::default()),
        }
    }

    /// Takes what there is of it off the front of `input`.
    ///
    /// # Errors
    /// The client broke the framing.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Decoded, Cause> {
        let taken = match self {
            Self::Over => Decoded::End,
            Self::Length(left) => take_length(left, input),
            Self::Chunked(decoder) => {
                decoder.decode(input).map_err(|_| Cause::BadRequest(BadRequest::Framing))?
            }
        };
        if taken == Decoded::End || matches!(self, Self::Length(0)) {
            *self = Self::Over;
        }
        Ok(taken)
    }
}

/// Takes what there is of a body with `left` bytes to come.
fn take_length(left: &mut u64, input: &mut BytesMut) -> Decoded {
    if input.is_empty() {
        return Decoded::More;
    }
    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= take as u64;
    Decoded::Data(input.split_to(take).freeze())
}
