//! Chunked bodies: the same however they arrive, and the same as httparse's chunk sizes give.

use asgate::http1::chunked::{Decoded, Decoder};
use asgate::http1::download::Download;
use asgate::http1::response::Framing;
use bytes::BytesMut;
use httparse::Status;

use super::shown;

/// What became of a body: its bytes, and what followed its end; `None` when it did not end.
type Outcome = Option<(Vec<u8>, Option<Vec<u8>>)>;

/// `wire` begins with a chunked body, or not.
pub fn check(wire: &[u8]) {
    let whole = decode(wire, wire.len().max(1));
    for step in [1, 2, 7] {
        let (split, at_once) = (decode(wire, step), &whole);
        match (&split, at_once) {
            (Some((split, end)), Some((body, ended))) => {
                assert_eq!(shown(split), shown(body), "in steps of {step}");
                assert_eq!(end, ended, "the end in steps of {step}");
            }
            (split, whole) => assert_eq!(split.is_none(), whole.is_none(), "in steps of {step}"),
        }
    }
    assert_eq!(download(wire), whole, "as a response");
    let Some((body, Some(rest))) = whole else { return };
    let (theirs, after) = reference(wire).expect("httparse sees a whole body too");
    assert_eq!(shown(body), shown(theirs), "the body");
    assert_eq!(shown(rest), shown(after), "what follows");
}

/// Decodes `wire` as it comes in reads of `step` bytes; `None` when it is refused.
fn decode(wire: &[u8], step: usize) -> Outcome {
    let (mut decoder, mut input, mut body) = (Decoder::default(), BytesMut::new(), Vec::new());
    let mut reads = wire.chunks(step);
    loop {
        match decoder.decode(&mut input).ok()? {
            Decoded::Data(data) => {
                assert!(!data.is_empty(), "data without bytes");
                body.extend_from_slice(&data);
            }
            Decoded::End => {
                let rest = reads.flatten().copied();
                return Some((body, Some(input.iter().copied().chain(rest).collect())));
            }
            Decoded::More => match reads.next() {
                Some(read) => input.extend_from_slice(read),
                None => return Some((body, None)),
            },
        }
    }
}

/// The same as the body of a response, all of it in one read.
fn download(wire: &[u8]) -> Outcome {
    let mut input = BytesMut::from(wire);
    let piece = Download::new(Framing::Chunked, true).take(&mut input, false).ok()?;
    Some((piece.data.to_vec(), piece.complete.then(|| input.to_vec())))
}

/// RFC 9112 §7.1 with httparse's reading of sizes.
fn reference(wire: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut rest, mut body) = (wire, Vec::new());
    loop {
        let Ok(Status::Complete((line, size))) = httparse::parse_chunk_size(rest) else {
            return None;
        };
        rest = rest.get(line..)?;
        if size == 0 {
            return Some((body, after_trailers(rest)?));
        }
        let (data, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        body.extend_from_slice(data);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

/// What follows the empty line that ends the trailers.
fn after_trailers(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = rest.split_at(end);
        rest = after.strip_prefix(b"\r\n")?;
        if line.is_empty() {
            return Some(rest);
        }
    }
}
