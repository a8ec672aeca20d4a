//! Header blocks that are small on the wire and large behind it, and more streams than are allowed.

use crate::support::frames::{CONTINUATION, DATA, END, END_HEADERS, HEADERS, Method, block, frame};

use super::{Bystander, Duration, Flooder, Target};

/// REFUSED_STREAM (RFC 9113 §7).
const REFUSED: u32 = 7;
/// The first byte of a header block that begins with `:status: 200` (RFC 7541 appendix A).
const OK: u8 = 0x88;

/// An HPACK integer with a prefix of 7 bits (RFC 7541 §5.1).
fn integer(value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![u8::try_from(value).expect("a byte")];
    }
    let mut bytes = vec![127];
    let mut rest = value - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("7 bits") | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("7 bits"));
    bytes
}

/// A field `x` of this size, put into the table so that a byte names it from now on.
fn remembered(size: usize) -> Vec<u8> {
    [&[0x40, 1, b'x'][..], &integer(size), &vec![b'y'; size]].concat()
}

/// A field `x` of this size that nobody remembers.
fn once(size: usize) -> Vec<u8> {
    [&[0x00, 1, b'x'][..], &integer(size), &vec![b'y'; size]].concat()
}

/// A block as frames of at most 16 KiB.
fn in_frames(stream: u32, block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(16_384).peekable();
    let (mut frames, mut kind, mut first) = (Vec::new(), HEADERS, END);
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.extend(frame(kind, first | last, stream, piece));
        (kind, first) = (CONTINUATION, 0);
    }
    frames
}

#[test]
fn a_bomb_of_headers_does_not_go_off() {
    let target = Target::new("", "");
    let bystander = Bystander::start(&target.edge);
    for (way, address) in target.addresses() {
        let (peak, requests) = (target.peak(), target.requests());
        let mut client = Flooder::connect(address);
        let first = [block(Method::Get, "/first"), remembered(4000)].concat();
        client.send(&in_frames(1, &first));
        client.wait("the first answer", |heard| !heard.answers.is_empty());
        // A byte is 4 KiB: 60 MB each time, if anybody unpacked them.
        for n in 1..50 {
            let bomb = [block(Method::Get, "/bomb"), vec![0xbe; 15_000]].concat();
            if !client.send(&in_frames(2 * n + 1, &bomb)) {
                break;
            }
        }
        let heard = client.leave();
        let answered: Vec<_> = heard.answers.iter().filter(|(_, status)| *status == OK).collect();
        assert_eq!(answered, [&(1, OK)], "{way}: served is the first one alone");
        let grown = target.peak().saturating_sub(peak);
        assert!(grown < 16 * 1024, "{way}: {grown} KiB more");
        assert!(target.requests() - requests < 1000, "{way}: the worker got the bombs");
    }
    let (answers, slowest) = bystander.end();
    assert!(answers > 5 && slowest < Duration::from_secs(2), "{answers} answers, {slowest:?}");
}

/// 64 KiB is the most that a header list may be (SETTINGS_MAX_HEADER_LIST_SIZE), on any route.
#[test]
fn a_header_list_has_a_limit() {
    let target = Target::new("", ", limits: { header: 64KiB }");
    for (way, address) in target.addresses() {
        // The size of a list counts 32 bytes for each field (RFC 9113 §6.5.2).
        for (size, is_served) in [(60_000, true), (70_000, false), (200_000, false)] {
            let requests = target.requests();
            let mut client = Flooder::connect(address);
            let large = [block(Method::Get, "/large"), once(size)].concat();
            client.send(&in_frames(1, &large));
            let heard = client.wait("an answer of any kind", |heard| {
                heard.ended || !heard.answers.is_empty() || !heard.resets.is_empty()
            });
            assert_eq!(heard.answers.contains(&(1, OK)), is_served, "{way}, {size}: {heard:?}");
            assert_eq!(target.requests() - requests, usize::from(is_served), "{way}, {size}");
            client.leave();
        }
    }
}

#[test]
fn a_hundred_streams_are_enough() {
    let target = Target::new("", "");
    for (way, address) in target.addresses() {
        let mut client = Flooder::connect(address);
        let id = |n: u32| 2 * n + 1;
        for n in 0..100 {
            client.send(&frame(HEADERS, END_HEADERS, id(n), &block(Method::Post, "/")));
        }
        client.send(&frame(HEADERS, END_HEADERS, id(100), &block(Method::Post, "/one-more")));
        let heard = client.wait("a refusal", |heard| !heard.resets.is_empty() || heard.ended);
        assert_eq!(heard.resets, [(id(100), REFUSED)], "{way}: one too many");
        for n in 0..100 {
            client.send(&frame(DATA, END, id(n), b"x"));
        }
        let heard = client.wait("the others", |heard| heard.answers.len() == 100 || heard.ended);
        assert!(heard.answers.iter().all(|answer| answer.1 == OK), "{way}: {heard:?}");
        assert!(!heard.ended, "{way}: the connection is a good one");
        client.send(&frame(HEADERS, END | END_HEADERS, id(101), &block(Method::Get, "/")));
        client.wait("another one", |heard| heard.answers.contains(&(id(101), OK)));
        client.leave();
    }
}
