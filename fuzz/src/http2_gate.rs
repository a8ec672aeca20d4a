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

/// Types of frames that header blocks are made of, and the flag of the last one (RFC 9113 §6.2, §6.6, §6.10).
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The head of a frame that begins a header block. Whatever head some bytes break off in, this completes it.
const ONE_MORE: [u8; HEAD] = [0, 0, 1, HEADERS, 0, 0, 0, 0, 1];

/// The headers that the client was told to send at most, in bytes, and the longest block of them that passes.
const MAX_HEADERS: u32 = 64 * 1024;
const MAX_BLOCK: usize = 128 * 1024;

/// What the gate says of bytes: its verdict, and where they leave it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    verdict: Result<(), Abuse>,
    open_block: Option<u64>,
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
    // What a frame after the others is taken for shows where they ended.
    let followed = [bytes, &ONE_MORE].concat();
    let next = seen(&followed, followed.len());
    if next.verdict.is_ok() {
        assert_eq!(next.open_block, Frames::of(&followed).open_block, "where a frame ends");
    }
    let frames = Frames::of(bytes);
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
    Seen { verdict, open_block: gate.open_block() }
}

/// The frames in some bytes, counted the plain way.
#[derive(Default)]
struct Frames {
    count: usize,
    continuations: usize,
    /// Bytes that their heads announce.
    bytes: usize,
    /// The number of the header block that lacks something.
    open_block: Option<u64>,
}

impl Frames {
    fn of(bytes: &[u8]) -> Self {
        let mut frames = Self::default();
        let mut blocks = 0;
        let mut rest = bytes.get(PREFACE..).unwrap_or_default();
        while let Some((head, after)) = rest.split_at_checked(HEAD) {
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, is_last) = (head[3], head[4] & END_HEADERS != 0);
            frames.count += 1;
            frames.continuations += usize::from(kind == CONTINUATION);
            frames.bytes += length;
            let begins = matches!(kind, HEADERS | PUSH_PROMISE);
            let goes_on = kind == CONTINUATION && frames.open_block.is_some();
            blocks += u64::from(begins);
            let is_open = (begins || goes_on) && (!is_last || after.len() < length);
            frames.open_block = is_open.then_some(blocks);
            rest = after.get(length..).unwrap_or_default();
        }
        frames
    }
}
