use std::sync::Arc;

use parking_lot::Mutex;

use super::{KEPT_LINES, MAX_LINE, OutputLine, OutputSink, Source, Stream, Tail};
use crate::supervisor::WorkerId;

#[derive(Default)]
struct Collected(Mutex<Vec<String>>);

impl OutputSink for Collected {
    fn line(&self, line: OutputLine<'_>) {
        assert_eq!(
            (line.upstream, line.worker, line.generation, line.pid, line.stream),
            ("backend", 3, 7, 4711, Stream::Stderr),
            "every line says where it comes from"
        );
        self.0.lock().push(line.text.to_owned());
    }
}

/// What the sink and the tail get of this output, which arrives in reads of `step` bytes.
async fn lines_of(output: &[u8], step: usize) -> (Vec<String>, Vec<String>) {
    let sink = Arc::new(Collected::default());
    let source = Source {
        upstream: "backend".into(),
        id: WorkerId { index: 3, generation: 7 },
        pid: 4711,
        sink: sink.clone(),
        tail: Tail::default(),
    };
    let tail = source.tail.clone();
    let (mut worker, ours) = tokio::io::duplex(step);
    let output = output.to_vec();
    let writer = tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut worker, &output).await.expect("all is read");
    });
    source.read(Stream::Stderr, ours).await;
    writer.await.expect("the writer ends");
    let lines = sink.0.lock().clone();
    (lines, tail.lines())
}

#[tokio::test]
async fn lines_come_out_whole_however_they_go_in() {
    let output = "one\r\n\ntwo ä€😀\nno end".as_bytes();
    for step in [1, 2, 3, 7, 1024] {
        let (lines, tail) = lines_of(output, step).await;
        assert_eq!(lines, ["one", "", "two ä€😀", "no end"], "reads of {step} bytes");
        assert_eq!(tail, lines, "the tail keeps the same lines, reads of {step} bytes");
    }
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_replaced() {
    let (lines, _) = lines_of(b"caf\xe9\nnext\n", 64).await;
    assert_eq!(lines, ["caf\u{fffd}", "next"], "the line survives");
}

#[tokio::test]
async fn long_lines_come_in_pieces_that_cut_no_character() {
    for (what, line) in [
        ("just fitting", "x".repeat(MAX_LINE)),
        ("one byte too many", "x".repeat(MAX_LINE + 1)),
        ("a character on the cut", format!("{}€€€", "x".repeat(MAX_LINE - 1))),
        ("many pieces", "ab😀".repeat(20_000)),
    ] {
        let (lines, _) = lines_of(format!("{line}\nlast\n").as_bytes(), 4096).await;
        let (last, pieces) = lines.split_last().expect("there are lines");
        assert_eq!(last, "last", "{what}: the next line starts afresh");
        assert_eq!(pieces.concat(), line, "{what}: nothing is lost or replaced");
        assert!(pieces.iter().all(|p| p.len() <= MAX_LINE), "{what}: pieces are short enough");
        assert_eq!(pieces.len(), line.len().div_ceil(MAX_LINE), "{what}: and not shorter");
    }
}

#[tokio::test]
async fn long_lines_of_broken_utf8_come_in_pieces_too() {
    let (lines, _) = lines_of(&vec![0x80; MAX_LINE + 10], 4096).await;
    assert_eq!(lines.len(), 2, "cut although no character starts near the limit");
}

#[tokio::test]
async fn the_tail_keeps_the_last_lines_only() {
    let output: String = (0..KEPT_LINES + 5).map(|n| format!("line {n}\n")).collect();
    let (lines, tail) = lines_of(output.as_bytes(), 64).await;
    assert_eq!(tail, lines[5..], "the oldest lines are let go");
}
