//! Decoding of chunked bodies that workers send (RFC 9112 §7.1), strict and incremental.

use bytes::{Buf, Bytes, BytesMut};

use super::Fault;

/// Longest chunk-size line, extensions included; workers send none.
const MAX_SIZE_LINE: usize = 4 * 1024;
/// Bytes of size lines beyond what their chunks account for, 16 each and two for each byte of data: a body's limit counts
/// its data, and extensions around single bytes would be a thousand times as much (CVE-2023-39326).
const MAX_OVERHEAD: u64 = 16 * 1024;
/// Longest trailer section; trailers are read and dropped.
const MAX_TRAILER: usize = 16 * 1024;

/// What [`Decoder::decode`] got out of its input.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Body bytes; never empty.
    Data(Bytes),
    /// Read more and call again.
    More,
    /// The body is complete; what is left in the input does not belong to it.
    End,
}

/// Where in the body the decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    /// Bytes of trailer lines so far.
    Trailer(usize),
    End,
}

/// One chunked body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    overhead: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Size, overhead: 0 }
    }
}

impl Decoder {
    /// Takes the next piece of the body off the front of `input`.
    ///
    /// # Errors
    /// [`Fault::Chunk`] when the grammar is broken; the connection must then be closed.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, Fault> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = take_line(input, MAX_SIZE_LINE)? else {
                        return Ok(Decoded::More);
                    };
                    let size = chunk_size(&line)?;
                    let accounted = size.saturating_mul(2).saturating_add(16);
                    self.overhead = (self.overhead + line.len() as u64).saturating_sub(accounted);
                    if self.overhead > MAX_OVERHEAD {
                        return Err(Fault::Chunk);
                    }
                    self.state = match size {
                        0 => State::Trailer(0),
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    if input.is_empty() {
                        return Ok(Decoded::More);
                    }
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let data = input.split_to(take).freeze();
                    let left = left - take as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Decoded::Data(data));
                }
                State::DataEnd => match input.as_ref() {
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Decoded::More),
                    _ => return Err(Fault::Chunk),
                },
                State::Trailer(read) => {
                    let Some(line) = take_line(input, MAX_TRAILER.saturating_sub(read))? else {
                        return Ok(Decoded::More);
                    };
                    self.state = if line.is_empty() {
                        State::End
                    } else {
                        State::Trailer(read + line.len() + 2)
                    };
                }
                State::End => return Ok(Decoded::End),
            }
        }
    }
}

/// Takes one CRLF-ended line, without the CRLF; `None` when it is not complete yet.
fn take_line(input: &mut BytesMut, max: usize) -> Result<Option<BytesMut>, Fault> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return if input.len() > max { Err(Fault::Chunk) } else { Ok(None) };
    };
    if end > max {
        return Err(Fault::Chunk);
    }
    let mut line = input.split_to(end + 1);
    line.truncate(end);
    if line.last() != Some(&b'\r') {
        return Err(Fault::Chunk);
    }
    line.truncate(line.len() - 1);
    Ok(Some(line))
}

/// The hexadecimal size before the optional extensions.
fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    // What a bare CR in an extension ends is a matter of taste, so nobody is asked.
    if line.iter().any(|&byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return Err(Fault::Chunk);
    }
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    // Sixteen digits fill 64 bits; leading zeros beyond them are refused rather than counted.
    if digits.is_empty() || digits.len() > 16 {
        return Err(Fault::Chunk);
    }
    digits.iter().try_fold(0u64, |size, &digit| {
        let value = char::from(digit).to_digit(16).ok_or(Fault::Chunk)?;
        Ok(size << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and what was left over; `None` when the body did not end.
    type Outcome = Result<Option<(Vec<u8>, Vec<u8>)>, Fault>;

    /// Feeds `wire` in pieces of `step` bytes and returns the body and what was left over.
    fn decode(wire: &[u8], step: usize) -> Outcome {
        let (mut decoder, mut input, mut body) = (Decoder::default(), BytesMut::new(), Vec::new());
        let mut pieces = wire.chunks(step);
        loop {
            match decoder.decode(&mut input)? {
                Decoded::Data(data) => body.extend_from_slice(&data),
                Decoded::End => {
                    let rest = pieces.flatten().copied();
                    return Ok(Some((body, input.iter().copied().chain(rest).collect())));
                }
                Decoded::More => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return Ok(None),
                },
            }
        }
    }

    #[test]
    fn whole_bodies_decode_however_they_are_split() {
        let wire =
            b"5\r\nhello\r\n1;ext=\"x\"\r\n!\r\nA \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext";
        for step in 1..=wire.len() {
            let (body, rest) = decode(wire, step).expect("valid").expect("complete");
            assert_eq!(body, b"hello!0123456789", "body in steps of {step}");
            assert_eq!(rest, b"next", "left over in steps of {step}");
        }
    }

    #[test]
    fn truncated_bodies_never_end() {
        let wire = b"5\r\nhello\r\n0\r\n\r\n";
        for length in 0..wire.len() {
            assert_eq!(decode(&wire[..length], 3), Ok(None), "{length} of {} bytes", wire.len());
        }
    }

    #[test]
    fn broken_grammar_is_refused() {
        for wire in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"0x5\r\nhello\r\n",
            b"-5\r\nhello\r\n",
            b"\r\nhello\r\n",
            b"5\r\nhelloX\r\n",
            b"g\r\n",
            b"5;a=\rb\r\nhello\r\n",
            b"11111111111111111\r\n",
            b"0\r\nTrailer: x\n\r\n",
        ] {
            assert_eq!(
                decode(wire, 64),
                Err(Fault::Chunk),
                "{:?}",
                wire.escape_ascii().to_string()
            );
        }
        assert_eq!(decode(&[b'1'; MAX_SIZE_LINE + 2], 512), Err(Fault::Chunk), "endless size line");
    }
}
