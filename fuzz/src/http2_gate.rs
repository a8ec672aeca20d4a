//! The gate for HTTP/2 frames: it says the same however the bytes are split, knows where frames end, and lets a few
//! frames pass whatever they are.

use std::time::{Duration, Instant};

use asgate::http2::{Abuse, Gate};

/// The client's first bytes (RFC 9113 §3.4); the gate leaves them to the engine.
const PREFACE: usize = 24;

/// The head of a frame (RFC 9113 §4.1).
const HEAD: usize = 9;

/// So many frames are no flood of anything, whatever they are, if there are no more CONTINUATION frames among them
/// than the engine takes in one header block.
const FEW: usize = 16;
const FEW_CONTINUATIONS: usize = 5;

/// The type of a CONTINUATION frame (RFC 9113 §6.10).
const CONTINUATION: u8 = 9;

/// The headers that the client was told to send at most, in bytes, and the longest block of them that passes.
const MAX_HEADERS: u32 = 64 * 1024;
const MAX_BLOCK: usize = 128 * 1024;

/// What the gate says of bytes: its verdict, and where they leave it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    verdict: Result<(), Abuse>,
    open_block: Option<u64>,
    between_frames: bool,
}

/// `bytes` are what a client sends, preface first.
pub fn check(bytes: &[u8]) {
    let whole = seen(bytes, bytes.len().max(1));
    for step in [1, 5, 13] {
        let split = seen(bytes, step);
        assert_eq!(split.verdict, whole.verdict, "verdict in steps of {step}");
        if whole.verdict.is_ok() {
            assert_eq!(split, whole, "in steps of {step}");
        }
    }
    let frames = Frames::of(bytes);
    if whole.verdict.is_ok() {
        assert_eq!(whole.between_frames, frames.end_whole, "where a frame ends");
    }
    let few = frames.count <= FEW && frames.continuations <= FEW_CONTINUATIONS;
    if few && frames.bytes <= MAX_BLOCK {
        assert_eq!(whole.verdict, Ok(()), "{} frames are taken for a flood", frames.count);
    }
}

/// Feeds a new gate in pieces of `step` bytes, all of them a second after the connection began.
fn seen(bytes: &[u8], step: usize) -> Seen {
    let began = Instant::now();
    let mut gate = Gate::new(MAX_HEADERS, began);
    let now = began + Duration::from_secs(1);
    let verdict = bytes.chunks(step).try_for_each(|piece| gate.feed(piece, now));
    Seen { verdict, open_block: gate.open_block(), between_frames: gate.is_between_frames() }
}

/// The frames in some bytes, counted the plain way.
struct Frames {
    count: usize,
    continuations: usize,
    /// Bytes that their heads announce.
    bytes: usize,
    /// The last of them is there to its end.
    end_whole: bool,
}

impl Frames {
    fn of(bytes: &[u8]) -> Self {
        let mut frames = Self { count: 0, continuations: 0, bytes: 0, end_whole: false };
        let Some(mut rest) = bytes.get(PREFACE..) else { return frames };
        loop {
            let Some((head, after)) = rest.split_at_checked(HEAD) else {
                frames.end_whole = rest.is_empty();
                return frames;
            };
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            frames.count += 1;
            frames.continuations += usize::from(head[3] == CONTINUATION);
            frames.bytes += length;
            let Some(after) = after.get(length..) else { return frames };
            rest = after;
        }
    }
}
