//! Frames by the thousand.

use crate::support::frames::{
    CONTINUATION, DATA, END, END_HEADERS, HEADERS, Method, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, frame,
};
use crate::support::wait_for;

use super::{Bystander, Duration, Flooder, Target};

/// What a flood of one kind may cost: memory over what is used without, and requests that reach the worker.
const ALLOWED_KB: u64 = 32 * 1024;
const ALLOWED_REQUESTS: usize = 1500;

/// A flood: what it is, the word it is counted under where that is one, and what sends it.
struct Flood {
    what: &'static str,
    reason: Option<&'static str>,
    send: fn(&mut Flooder) -> bool,
}

const fn flood(what: &'static str, reason: &'static str, send: fn(&mut Flooder) -> bool) -> Flood {
    Flood { what, reason: Some(reason), send }
}

/// The request of stream number `n`, counted from 0.
fn get(n: usize) -> Vec<u8> {
    frame(HEADERS, END | END_HEADERS, id(n), &block(Method::Get, "/"))
}

fn id(n: usize) -> u32 {
    u32::try_from(2 * n + 1).expect("a stream")
}

/// `x: y`, literally (RFC 7541 §6.2.2).
const FIELD: [u8; 5] = [0x00, 1, b'x', 1, b'y'];

/// "Behaviour that might be generating excessive load" (RFC 9113 §7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// An upload that has begun.
fn upload() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &block(Method::Post, "/"))
}

/// A header block that goes on.
fn open_block() -> Vec<u8> {
    frame(HEADERS, END, 1, &block(Method::Get, "/"))
}

/// Each of them never ends by itself before it is over.
const FLOODS: &[Flood] = &[
    // CVE-2023-44487
    flood("streams that are reset at once", "rapid_reset", |it| {
        it.repeat(10_000, |n| [get(n), frame(RST_STREAM, 0, id(n), &8u32.to_be_bytes())].concat())
    }),
    // CVE-2019-9512
    flood("pings", "ping_flood", |it| it.repeat(50_000, |_| frame(PING, 0, 0, &[7; 8]))),
    flood("answers to no ping", "ping_flood", |it| {
        it.repeat(50_000, |_| frame(PING, END, 0, &[7; 8]))
    }),
    // CVE-2019-9515
    flood("settings", "settings_flood", |it| it.repeat(50_000, |_| frame(SETTINGS, 0, 0, &[]))),
    // CVE-2024-27316 and its like
    flood("a header block without end", "continuation_flood", |it| {
        it.send(&open_block())
            && it.repeat(10_000, |_| frame(CONTINUATION, 0, 1, &FIELD.repeat(100)))
    }),
    flood("a header block of nothing without end", "continuation_flood", |it| {
        it.send(&open_block()) && it.repeat(50_000, |_| frame(CONTINUATION, 0, 1, &[]))
    }),
    // CVE-2019-9518
    flood("empty data", "empty_frames", |it| {
        it.send(&upload()) && it.repeat(50_000, |_| frame(DATA, 0, 1, &[]))
    }),
    flood("window for nothing", "window_flood", |it| {
        it.repeat(100_000, |_| frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()))
    }),
    // CVE-2019-9513
    flood("priorities", "priority_flood", |it| {
        it.repeat(100_000, |n| frame(PRIORITY, 0, id(n % 50), &[0, 0, 0, 0, 9]))
    }),
    flood("frames that nobody knows", "unknown_frames", |it| {
        it.repeat(100_000, |_| frame(0xf7, 0, 0, b"x"))
    }),
    // CVE-2025-8671, "MadeYouReset": frames that make the edge reset what the worker works on.
    Flood {
        what: "windows of zero",
        reason: None,
        send: |it| {
            it.repeat(10_000, |n| [get(n), frame(WINDOW_UPDATE, 0, id(n), &[0; 4])].concat())
        },
    },
    Flood {
        what: "windows beyond all bounds",
        reason: None,
        send: |it| {
            it.repeat(10_000, |n| {
                let most = frame(WINDOW_UPDATE, 0, id(n), &0x7fff_ffff_u32.to_be_bytes());
                [get(n), most].concat()
            })
        },
    },
    Flood {
        what: "data after the end",
        reason: None,
        send: |it| it.repeat(10_000, |n| [get(n), frame(DATA, END, id(n), b"x")].concat()),
    },
    Flood {
        what: "headers after the end",
        reason: None,
        send: |it| it.repeat(10_000, |n| [get(n), get(n)].concat()),
    },
    Flood {
        what: "priorities of the wrong length",
        reason: None,
        send: |it| it.repeat(10_000, |n| [get(n), frame(PRIORITY, 0, id(n), b"x")].concat()),
    },
    Flood {
        what: "streams that depend on themselves",
        reason: None,
        send: |it| {
            it.repeat(10_000, |n| {
                let itself = [&id(n).to_be_bytes()[..], &[9]].concat();
                [get(n), frame(PRIORITY, 0, id(n), &itself)].concat()
            })
        },
    },
];

/// Whether the engine ends a connection over it at the first frame is for the engine: none of it may be counted then.
#[test]
fn every_flood_ends_its_connection() {
    let target = Target::new("", "");
    let bystander = Bystander::start(&target.edge);
    let mut wrong = Vec::new();
    for (way, address) in target.addresses() {
        for flood in FLOODS {
            let what = format!("{} over {way}", flood.what);
            eprintln!("{what}");
            let (peak, requests) = (target.peak(), target.requests());
            let counted = flood.reason.map(|reason| target.abuse(reason));
            let mut flooder = Flooder::connect(address);
            let taken = (flood.send)(&mut flooder);
            let heard =
                if taken && flood.reason.is_none() { flooder.leave() } else { flooder.end() };
            if !heard.ended {
                wrong.push(format!("{what}: the connection lives on: {:?}", heard.goaway));
            }
            let grown = target.peak().saturating_sub(peak);
            if grown > ALLOWED_KB {
                wrong.push(format!("{what}: {grown} KiB more"));
            }
            // The bystander asks for some of them.
            let reached = target.requests() - requests;
            if reached > ALLOWED_REQUESTS {
                wrong.push(format!("{what}: {reached} requests reached the worker"));
            }
            // The engine may be first, with streams that are reset before it has looked at them.
            let by_engine = heard.goaway == Some(ENHANCE_YOUR_CALM);
            if let Some((reason, before)) = flood.reason.zip(counted)
                && !by_engine
                && target.abuse(reason) < before + 1.0
            {
                wrong.push(format!("{what}: not counted as {reason}"));
            }
        }
    }
    let (answers, slowest) = bystander.end();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(answers >= 10 && slowest < Duration::from_secs(2), "{answers} answers, {slowest:?}");
    wait_for("nothing to be under way", || {
        let busy = target.edge.metric(r#"asgate_requests_in_flight{upstream="u"}"#);
        (busy == 0.0).then_some(())
    });
    assert!(!target.edge.stderr_text().contains("panicked"), "{}", target.edge.stderr_text());
}

/// The test can fail, and clients that do what all do must not be taken for those that flood.
#[test]
fn what_clients_do_is_no_flood() {
    let target = Target::new("", "");
    for (way, address) in target.addresses() {
        let mut client = Flooder::connect(address);
        // A browser that leaves a page resets what is under way; every client pings, and opens windows.
        for round in 0..5 {
            let sent = client.repeat(20, |n| get(round * 20 + n));
            assert!(sent, "{way}: round {round}");
            client.repeat(20, |n| {
                let number = id(round * 20 + n);
                let window = frame(WINDOW_UPDATE, 0, number, &1000u32.to_be_bytes());
                [window, frame(PRIORITY, 0, number, &[0, 0, 0, 0, 9])].concat()
            });
            client.repeat(10, |n| frame(RST_STREAM, 0, id(round * 20 + n), &8u32.to_be_bytes()));
            client.repeat(5, |_| frame(PING, 0, 0, &[7; 8]));
            client.repeat(2, |_| frame(SETTINGS, 0, 0, &[]));
            let least = (round + 1) * 10;
            client.wait("answers", |heard| heard.answers.len() >= least || heard.ended);
        }
        let heard = client.leave();
        assert!(heard.goaway.is_none_or(|code| code == 0), "{way}: {heard:?}");
    }
    let metrics = target.edge.metrics();
    let counted = metrics.lines().filter(|line| line.starts_with("asgate_http2_abuse_total{"));
    let counted: Vec<_> = counted.filter(|line| !line.ends_with(" 0")).collect();
    assert!(counted.is_empty(), "nothing of it is abuse: {counted:?}");
}
