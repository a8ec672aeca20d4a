//! What workers print reaches the log, every byte of it that is text, each line once, with where it came from; and the
//! last lines are in the status.

use serde_json::Value;

use crate::support::client::Client;
use crate::support::edge::{Edge, signal};
use crate::support::status::{Upstream, wait_for_upstream, wait_until_settled};
use crate::support::wait_for;
use crate::support::workers::{edge, uvicorn_app};

/// The worker app, silent but for what it is told to print.
fn printing() -> Edge {
    let edge = edge(&uvicorn_app("workers: 1, args: [--log-level, critical]"), "slow_start: off");
    wait_until_settled(&edge);
    edge
}

/// Has the worker print these bytes, as they are.
fn print(client: &mut Client, stream: &str, bytes: &[u8]) {
    let length = bytes.len();
    let head = format!(
        "POST /print?stream={stream} HTTP/1.1\r\nHost: test.example\r\nContent-Length: {length}\r\n\r\n"
    );
    client.send([head.as_bytes(), bytes].concat());
    assert_eq!(client.response().status, 200, "printed");
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message"].as_str().expect("a message")).collect()
}

/// Waits until the worker's lines in the log end with this one.
fn lines_up_to(edge: &Edge, last: &str) -> Vec<Value> {
    wait_for(&format!("the line {last:?}"), || {
        let lines = edge.lines_of("app");
        (messages(&lines).last() == Some(&last)).then_some(lines)
    })
}

#[test]
fn lines_are_wrapped_with_their_origin() {
    let edge = printing();
    let worker = Upstream::of(&edge).workers.remove(0);
    let mut client = edge.connect();
    let rows: [(&str, &[u8], &str); 6] = [
        ("stdout", b"plain\n", "plain"),
        ("stderr", b"to stderr\n", "to stderr"),
        ("stdout", b"with a carriage return\r\n", "with a carriage return"),
        ("stderr", b"not UTF-8: \xff\xc3(\n", "not UTF-8: \u{fffd}\u{fffd}("),
        ("stdout", "UTF-8: caf\u{e9} \u{1f600}\n".as_bytes(), "UTF-8: caf\u{e9} \u{1f600}"),
        (
            "stdout",
            b"a quote \" a backslash \\ an escape \x1b[31m\n",
            "a quote \" a backslash \\ an escape \u{1b}[31m",
        ),
    ];
    for (stream, bytes, message) in rows {
        print(&mut client, stream, bytes);
        let lines = lines_up_to(&edge, message);
        let line = lines.last().expect("a line");
        assert_eq!(line["edge.stream"], stream, "{line:#}");
        assert_eq!(line["edge.upstream"], "u", "{line:#}");
        assert_eq!(line["edge.worker"], *worker.name, "{line:#}");
        assert_eq!(line["edge.worker_pid"], worker.pid(), "{line:#}");
        assert_eq!(line["edge.generation"], 1, "{line:#}");
        assert_eq!(line["service.name"], "asgate", "{line:#}");
    }
    let expected: Vec<_> = rows.iter().map(|(_, _, message)| *message).collect();
    assert_eq!(messages(&edge.lines_of("app")), expected, "each once, in order, and no other");
}

#[test]
fn a_line_that_comes_in_parts_is_one_line() {
    let edge = printing();
    let mut client = edge.connect();
    // U+00E9 is cut in two as well.
    for part in [&b"first "[..], b"second caf\xc3", b"\xa9 third\nnext"] {
        print(&mut client, "stdout", part);
        print(&mut client, "stderr", b"between\n");
    }
    let lines = wait_for("all lines", || {
        let lines = edge.lines_of("app");
        (lines.len() == 4).then_some(lines)
    });
    let of = |stream: &str| {
        let lines = lines.iter().filter(|line| line["edge.stream"] == stream);
        lines.map(|line| line["message"].as_str().expect("a message")).collect::<Vec<_>>()
    };
    assert_eq!(of("stdout"), ["first second caf\u{e9} third"], "the streams do not mix");
    assert_eq!(of("stderr"), ["between"; 3], "the streams do not mix");
    print(&mut client, "stdout", b" and its end\n");
    lines_up_to(&edge, "next and its end");
}

#[test]
fn a_long_line_comes_whole_in_pieces() {
    let edge = printing();
    // Two bytes each, so that pieces of an odd length would cut one.
    let long = "\u{e9}".repeat(50_000);
    print(&mut edge.connect(), "stdout", format!("a{long}\nend\n").as_bytes());
    let lines = lines_up_to(&edge, "end");
    let pieces = messages(&lines);
    let (end, pieces) = pieces.split_last().expect("lines");
    assert_eq!(*end, "end", "the next line is its own");
    assert!(pieces.len() > 1, "bounded pieces: {}", pieces.len());
    assert!(pieces.concat() == format!("a{long}"), "nothing lost, and no character cut in two");
}

#[test]
fn the_last_words_of_a_worker_are_not_lost() {
    let edge = printing();
    let pid = Upstream::of(&edge).pids()[0];
    print(&mut edge.connect(), "stderr", b"a whole line\nlast words without a line end");
    lines_up_to(&edge, "a whole line");
    signal(pid, "KILL");
    let lines = lines_up_to(&edge, "last words without a line end");
    let last = lines.last().expect("a line");
    assert_eq!(last["edge.worker_pid"], pid, "{last:#}");
}

#[test]
fn the_status_has_the_last_lines() {
    let edge = printing();
    let mut client = edge.connect();
    let text: String = (0..300).map(|number| format!("line {number}\n")).collect();
    print(&mut client, "stdout", text.as_bytes());
    let shown = wait_for_upstream(&edge, "the last line in the status", |upstream| {
        upstream.workers[0].last_output.last().is_some_and(|line| line == "line 299")
    });
    let shown = &shown.workers[0].last_output;
    assert!((10..=100).contains(&shown.len()), "some, and not all: {}", shown.len());
    let first = 300 - shown.len();
    let expected: Vec<_> = (first..300).map(|number| format!("line {number}")).collect();
    assert_eq!(*shown, expected, "the last ones, the newest at the end");
    assert_eq!(lines_up_to(&edge, "line 299").len(), 300, "all of them are in the log");
}
