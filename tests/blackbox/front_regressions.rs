//! What the front door once did and must not do again: each test is one fault that was found, by what clients, workers and
//! operators saw of it.

mod connections;
mod handshakes;
mod http2;
mod pace;
mod proxy_protocol;

use std::time::Duration;

use crate::support::edge::Edge;

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(10);

/// The lines of the edge's own log that contain this text.
fn told(edge: &Edge, text: &str) -> Vec<String> {
    let log = edge.stderr_text();
    log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

/// The values of a header in what an echoing worker got.
fn values<'a>(got: &'a str, name: &str) -> Vec<&'a str> {
    let lines = got.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value.trim()).collect()
}

/// The series of `metric` for the first listener.
fn of_listener(metric: &str, label: &str) -> String {
    let comma = if label.is_empty() { "" } else { "," };
    format!("{metric}{{listener=\"127.0.0.1:0\"{comma}{label}}}")
}
