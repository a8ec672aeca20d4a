//! The lines beside the access log, in the same envelope: what workers print, and the notice
//! that lines were lost.

use std::time::SystemTime;

use super::json::{Level, Line, key};

/// The worker process that printed something.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOrigin<'a> {
    pub upstream: &'a str,
    /// The worker's name within its upstream.
    pub worker: &'a str,
    /// Counts the processes that have been this worker.
    pub generation: u64,
    pub pid: u32,
}

/// Where a worker printed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Appends one line of worker output. `text` comes with or without its line end.
pub(super) fn append_worker_line(
    out: &mut Vec<u8>,
    at: SystemTime,
    origin: &WorkerOrigin<'_>,
    stream: Stream,
    text: &[u8],
) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut line = Line::begin(out, at, level_of(text), "app");
    line.bytes(key!("message"), text);
    line.text(key!("edge.upstream"), origin.upstream);
    line.text(key!("edge.worker"), origin.worker);
    line.number(key!("edge.worker_pid"), u64::from(origin.pid));
    line.number(key!("edge.generation"), origin.generation);
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    line.text(key!("edge.stream"), stream);
    line.end();
}

/// Appends the notice that `count` lines never reached the output.
pub(super) fn append_lost_lines(out: &mut Vec<u8>, at: SystemTime, count: u64) {
    let mut digits = itoa::Buffer::new();
    let count = digits.format(count);
    let mut line = Line::begin(out, at, Level::Warn, "edge.log");
    let parts: [&[u8]; 2] = [count.as_bytes(), b" log lines lost: the output could not take them"];
    line.joined(key!("message"), &parts);
    line.end();
}

/// Uvicorn starts its lines with a level and a colon, wherever it prints them. Anything else,
/// a traceback included, says nothing certain about its level.
fn level_of(text: &[u8]) -> Level {
    let end = text.iter().take(9).position(|&byte| byte == b':');
    match end.and_then(|end| text.get(..end)) {
        Some(b"TRACE") => Level::Trace,
        Some(b"DEBUG") => Level::Debug,
        Some(b"WARNING") => Level::Warn,
        Some(b"ERROR") => Level::Error,
        Some(b"CRITICAL") => Level::Critical,
        _ => Level::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn uvicorn_prefixes_set_the_level() {
        let table: &[(&str, Level)] = &[
            ("INFO:     Started server process [7]", Level::Info),
            ("WARNING:  Invalid HTTP request received.", Level::Warn),
            ("ERROR:    Exception in ASGI application", Level::Error),
            ("CRITICAL: out of everything", Level::Critical),
            ("DEBUG:    detail", Level::Debug),
            ("TRACE:    more detail", Level::Trace),
            ("Traceback (most recent call last):", Level::Info),
            ("ValueError: ERROR: nested", Level::Info),
            ("ERROR without a colon", Level::Info),
            ("", Level::Info),
        ];
        for (text, level) in table {
            assert_eq!(level_of(text.as_bytes()), *level, "{text:?}");
        }
    }

    #[test]
    fn worker_output_is_wrapped_with_its_origin() {
        let origin = WorkerOrigin { upstream: "backend", worker: "1", generation: 3, pid: 4711 };
        let mut out = Vec::new();
        let text = b"ERROR:    a \"quoted\" thing\xff\r\n";
        append_worker_line(&mut out, UNIX_EPOCH, &origin, Stream::Stderr, text);
        let expected = concat!(
            r#"{"@timestamp":"1970-01-01T00:00:00.000000Z","log.level":"error","#,
            r#""ecs.version":"8.11.0","service.name":"asgate","event.dataset":"app","#,
            r#""message":"ERROR:    a \"quoted\" thing"#,
            "\u{fffd}\",",
            r#""edge.upstream":"backend","edge.worker":"1","edge.worker_pid":4711,"#,
            r#""edge.generation":3,"edge.stream":"stderr"}"#,
            "\n",
        );
        assert_eq!(String::from_utf8_lossy(&out), expected, "the whole line");
    }
}
