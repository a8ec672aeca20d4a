use std::time::Duration;

use proptest::prelude::*;

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const PRIORITY_UPDATE: u8 = 16;

/// As asgate announces it where no route says otherwise, roughly.
const MAX_HEADERS: u32 = 64 * 1024;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).expect("a small one").to_be_bytes();
    let mut bytes = vec![high, middle, low, kind, flags, 0, 0, 0, 3];
    bytes.extend_from_slice(payload);
    bytes
}

fn window_update(increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, &increment.to_be_bytes())
}

/// A gate that has seen the preface, and the time at which it did.
fn open() -> (Gate, Instant) {
    let now = Instant::now();
    let mut gate = Gate::new(MAX_HEADERS, now);
    gate.feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now).expect("the preface");
    (gate, now)
}

/// How many times `bytes` can be fed at the end of each of these times, one after the other, and what the next time
/// is taken for. An end is the end, so each time has a gate of its own.
fn bounds<const N: usize>(bytes: &[u8], times: [Duration; N]) -> [(u32, &'static str); N] {
    let mut before = Vec::new();
    times.map(|time| {
        let (mut gate, start) = open();
        for (time, count) in &before {
            (0..*count).for_each(|_| gate.feed(bytes, start + *time).expect("as before"));
        }
        let (count, abuse) = bound(&mut gate, bytes, start + time);
        before.push((time, count));
        (count, abuse.as_str())
    })
}

/// How many times `bytes` can be fed at one moment, and what the next time is taken for.
fn bound(gate: &mut Gate, bytes: &[u8], now: Instant) -> (u32, Abuse) {
    for count in 0..100_000 {
        if let Err(abuse) = gate.feed(bytes, now) {
            return (count, abuse);
        }
    }
    panic!("there is no bound")
}

#[test]
fn each_flood_ends_at_its_bound() {
    let cases = [
        // frame; so many at once; after a second; abuse
        (frame(RST_STREAM, 0, &[0; 4]), 200, 100, "rapid_reset"),
        (frame(PING, 0, &[0; 8]), 100, 10, "ping_flood"),
        (frame(PING, ACK, &[0; 8]), 100, 10, "ping_flood"),
        (frame(SETTINGS, 0, &[0; 6]), 100, 10, "settings_flood"),
        (frame(SETTINGS, 0, &[]), 100, 10, "settings_flood"),
        (frame(SETTINGS, ACK, &[]), 100, 10, "settings_flood"),
        (frame(PRIORITY, 0, &[0, 0, 0, 1, 9]), 1000, 500, "priority_flood"),
        (window_update(1), 10_000, 500, "window_flood"),
        (frame(DATA, 0, &[]), 100, 10, "empty_frames"),
        (frame(HEADERS, 0, &[]), 100, 10, "empty_frames"),
        (frame(HEADERS, END_STREAM, &[]), 100, 10, "empty_frames"),
        (frame(PUSH_PROMISE, 0, &[]), 100, 10, "empty_frames"),
        (window_update(0), 20, 1, "malformed_frames"),
        (window_update(1 << 31), 20, 1, "malformed_frames"),
        (frame(WINDOW_UPDATE, 0, &[1; 3]), 20, 1, "malformed_frames"),
        (frame(WINDOW_UPDATE, 0, &[1; 5]), 20, 1, "malformed_frames"),
        (frame(PRIORITY, 0, &[0, 0, 0, 3, 9]), 20, 1, "malformed_frames"),
        (frame(PRIORITY, 0, &[0x80, 0, 0, 3, 9]), 20, 1, "malformed_frames"),
        (frame(PRIORITY, 0, &[0; 6]), 20, 1, "malformed_frames"),
        (frame(RST_STREAM, 0, &[0; 5]), 20, 1, "malformed_frames"),
        (frame(PING, 0, &[0; 7]), 20, 1, "malformed_frames"),
        (frame(SETTINGS, 0, &[0; 7]), 20, 1, "malformed_frames"),
        (frame(SETTINGS, ACK, &[0; 6]), 20, 1, "malformed_frames"),
        (frame(GOAWAY, 0, &[0; 7]), 20, 1, "malformed_frames"),
        (frame(GOAWAY, 0, &[0; 8]), 1000, 500, "unknown_frames"),
        (frame(PRIORITY_UPDATE, 0, b"\0\0\0\x03u=1"), 1000, 500, "unknown_frames"),
        (frame(0xfa, 0, &[]), 1000, 500, "unknown_frames"),
    ];
    for (bytes, at_once, per_second, word) in cases {
        let times = [0, 1, 3600].map(Duration::from_secs);
        let expected = [at_once, per_second, at_once].map(|count| (count, word));
        assert_eq!(bounds(&bytes, times), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn requests_and_bodies_have_no_bound() {
    let cases = [
        frame(HEADERS, END_HEADERS, &[0x82; 40]),
        frame(HEADERS, END_HEADERS | END_STREAM, &[]),
        frame(DATA, 0, &[7; 16_384]),
        frame(DATA, 0, &[7]),
        frame(DATA, END_STREAM, &[]),
        [frame(HEADERS, 0, &[0x82]), frame(CONTINUATION, END_HEADERS, &[])].concat(),
    ];
    for bytes in cases {
        let (mut gate, now) = open();
        for count in 0..20_000 {
            assert_eq!(gate.feed(&bytes, now), Ok(()), "number {count} of {} bytes", bytes.len());
        }
        assert!(gate.open_block().is_none(), "whole blocks only");
    }
}

#[test]
fn a_larger_list_of_headers_may_have_more_frames() {
    for (max_headers, frames) in [(0, 5), (65_536, 5), (98_304, 7), (1 << 20, 80)] {
        let now = Instant::now();
        let mut gate = Gate::new(max_headers.max(1_000), now);
        gate.feed(PREFACE, now).expect("the preface");
        gate.feed(&frame(HEADERS, END_STREAM, &[0x82]), now).expect("a block begins");
        let (count, abuse) = bound(&mut gate, &frame(CONTINUATION, 0, &[0x82]), now);
        assert_eq!((count, abuse), (frames, Abuse::ContinuationFlood), "for {max_headers} bytes");
    }
}

#[test]
fn a_header_block_ends_in_time() {
    let block = |frames: usize, size: usize| {
        let mut bytes = frame(HEADERS, END_STREAM, &[0x82]);
        (0..frames).for_each(|_| bytes.extend(frame(CONTINUATION, 0, &vec![0x82; size])));
        bytes
    };
    let largest = 2 * MAX_HEADERS as usize - 1;
    let cases = [
        (block(4, 1), Ok(()), "frames below the bound"),
        (block(5, 1), Ok(()), "frames at the bound"),
        (block(6, 1), Err(Abuse::ContinuationFlood), "frames above it"),
        (block(1, largest - 1), Ok(()), "bytes below the bound"),
        (block(1, largest), Ok(()), "bytes at the bound"),
        (block(1, largest + 1), Err(Abuse::ContinuationFlood), "bytes above it"),
        (block(5, 16_384), Ok(()), "full frames"),
        (frame(HEADERS, END_HEADERS, &vec![0; largest + 2]), Err(Abuse::ContinuationFlood), "one"),
    ];
    for (bytes, verdict, why) in cases {
        let (mut gate, now) = open();
        assert_eq!(gate.feed(&bytes, now), verdict, "{why}");
    }
}

#[test]
fn blocks_are_counted_one_by_one() {
    let (mut gate, now) = open();
    for count in 0..1000 {
        let mut bytes = frame(HEADERS, 0, &[0x82; 16_000]);
        (0..3).for_each(|_| bytes.extend(frame(CONTINUATION, 0, &[0x82; 16_000])));
        bytes.extend(frame(CONTINUATION, END_HEADERS, &[0x82; 9]));
        assert_eq!(gate.feed(&bytes, now), Ok(()), "block {count}");
    }
    // What does not belong there is the engine's to answer, and no block of its own.
    for count in 0..1000 {
        assert_eq!(gate.feed(&frame(CONTINUATION, 0, &[0x82]), now), Ok(()), "stray frame {count}");
        assert!(gate.open_block().is_none(), "after stray frame {count}");
    }
    gate.feed(&frame(HEADERS, 0, &[0x82]), now).expect("the start of a block");
    gate.feed(&frame(DATA, 0, &[1]), now).expect("a frame that must not be there");
    assert!(gate.open_block().is_none(), "the engine ends the connection");
}

#[test]
fn tells_where_in_the_conversation_it_is() {
    let now = Instant::now();
    let mut gate = Gate::new(MAX_HEADERS, now);
    let headers = frame(HEADERS, 0, &[0x82, 0x84]);
    let last = frame(CONTINUATION, END_HEADERS, &[0x86]);
    let request = frame(HEADERS, END_HEADERS | END_STREAM, &[0x82]);
    let steps: [(&[u8], Option<u64>, &str); 14] = [
        (b"", None, "nothing"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None, "a preface short of a byte"),
        (b"\n", None, "the preface"),
        (&headers[..5], None, "half a head"),
        (&headers[5..9], Some(1), "a head"),
        (&headers[9..], Some(1), "HEADERS"),
        (&last[..9], Some(1), "the head of the last CONTINUATION"),
        (&last[9..], None, "the end of the block"),
        (&window_update(7)[..9], None, "the head of a WINDOW_UPDATE"),
        (&window_update(7)[9..], None, "and its payload"),
        (&frame(DATA, END_STREAM, b"body")[..12], None, "most of DATA"),
        (b"y", None, "all of it"),
        (&request[..9], Some(2), "the head of another request"),
        (&request[9..], None, "and its block"),
    ];
    for (bytes, block, after) in steps {
        gate.feed(bytes, now).expect("a conversation");
        assert_eq!(gate.open_block(), block, "after {after}");
    }
}

/// A client that acknowledges each frame of a download on both windows, over a connection of any speed.
#[test]
fn a_download_explains_its_window_updates() {
    let (mut gate, now) = open();
    for count in 0..200_000 {
        gate.sent(16_384 + 9);
        let answer = [window_update(16_384), window_update(16_384)].concat();
        assert_eq!(gate.feed(&answer, now), Ok(()), "after {count} frames at one moment");
    }
}

/// As the estimator of gRPC does: a PING in flight at any time, for as long as messages come.
#[test]
fn a_stream_of_messages_explains_its_pings() {
    let (mut gate, now) = open();
    for count in 0..20_000 {
        let (message, pong) = (9 + 5 + 8, 9 + 8);
        gate.sent(message + pong);
        assert_eq!(gate.feed(&frame(PING, 0, &[0; 8]), now), Ok(()), "after {count} messages");
    }
}

#[test]
fn answers_to_pings_do_not_explain_pings_for_ever() {
    let (mut gate, now) = open();
    let mut answered = 0;
    while gate.feed(&frame(PING, 0, &[0; 8]), now).is_ok() {
        gate.sent(9 + 8);
        answered += 1;
        assert!(answered < 1000, "PING by PING without end");
    }
}

/// What was sent while a budget was full is no reason for a flood later.
#[test]
fn explanations_do_not_pile_up() {
    let (mut gate, now) = open();
    gate.sent(1 << 40);
    let (count, abuse) = bound(&mut gate, &frame(PING, 0, &[0; 8]), now);
    assert_eq!((count, abuse), (100, Abuse::PingFlood), "after a terabyte");
}

/// A proxy of many users: 5000 requests a second on one connection, of which every twentieth is given up.
#[test]
fn users_who_leave_are_no_rapid_reset() {
    let (mut gate, start) = open();
    for count in 0..50_000u32 {
        let now = start + count * Duration::from_micros(200);
        gate.feed(&frame(HEADERS, END_HEADERS | END_STREAM, &[0x82; 60]), now).expect("a request");
        gate.sent(2000);
        if count % 20 == 0 {
            let reset = gate.feed(&frame(RST_STREAM, 0, &[0, 0, 0, 8]), now);
            assert_eq!(reset, Ok(()), "request {count}");
        }
    }
}

/// All streams of a client meet its deadline of a second, again and again, while an app stalls.
#[test]
fn an_app_that_stalls_is_no_rapid_reset() {
    let (mut gate, start) = open();
    for second in 0..60 {
        let now = start + Duration::from_secs(second);
        for _ in 0..100 {
            let request = frame(HEADERS, END_HEADERS | END_STREAM, &[0x82; 60]);
            gate.feed(&request, now).expect("a request");
            let reset = gate.feed(&frame(RST_STREAM, 0, &[0, 0, 0, 8]), now);
            assert_eq!(reset, Ok(()), "second {second}");
        }
    }
}

#[test]
fn words_are_told_apart() {
    let words: std::collections::BTreeSet<_> = Abuse::ALL.map(Abuse::as_str).into();
    assert_eq!(words.len(), Abuse::ALL.len(), "one word for each");
}

/// Frames of all types with small payloads, so that many fit.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..20);
    let one =
        (0..12u8, any::<u8>(), payload).prop_map(|(kind, flags, body)| frame(kind, flags, &body));
    let repeated = (one, 1..60usize).prop_map(|(bytes, count)| bytes.repeat(count));
    prop::collection::vec(repeated, 0..20).prop_map(|frames| frames.concat())
}

/// The verdict, and how many bytes had been fed when it fell.
fn verdict(bytes: &[u8], mut sizes: impl Iterator<Item = usize>) -> (Result<(), Abuse>, usize) {
    let (mut gate, now) = open();
    let mut fed = 0;
    while fed < bytes.len() {
        let end = bytes.len().min(fed + sizes.next().unwrap_or(1).max(1));
        if let Err(abuse) = gate.feed(&bytes[fed..end], now) {
            return (Err(abuse), end);
        }
        fed = end;
    }
    (Ok(()), fed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a read brings at a time, the same connection is ended at the same byte.
    #[test]
    fn reads_do_not_matter(
        bytes in frames(),
        sizes in prop::collection::vec(1..200usize, 1..10),
    ) {
        let (one_by_one, at) = verdict(&bytes, std::iter::repeat(1));
        let (split, until) = verdict(&bytes, sizes.into_iter().cycle());
        let (whole, _) = verdict(&bytes, std::iter::once(usize::MAX / 2));
        prop_assert_eq!(one_by_one, split, "in pieces");
        prop_assert_eq!(one_by_one, whole, "in one piece");
        prop_assert!(until >= at, "not before the byte that decides: {} and {}", until, at);
    }

    /// Nothing that a client sends makes it panic, or lose count of the blocks.
    #[test]
    fn any_bytes_are_followed(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let (mut gate, now) = open();
        let mut last = 0;
        for piece in pieces {
            if gate.feed(&piece, now).is_err() {
                break;
            }
            let block = gate.open_block().unwrap_or(last);
            prop_assert!(block >= last, "block {block} after block {last}");
            last = block;
        }
    }
}
