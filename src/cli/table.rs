//! The status of an edge as text for a terminal. Pure.
//!
//! What workers print and what is said of them may hold anything, also what a terminal would obey: control characters
//! are shown, never sent.

use std::fmt::Write as _;
use std::time::Duration;

use crate::admin::{LeavingStatus, Status, UpstreamStatus, WorkerState, WorkerStatus};

#[cfg(test)]
mod tests;

const COLUMNS: usize = 10;
const HEADINGS: [&str; COLUMNS] = [
    "UPSTREAM",
    "WORKER",
    "STATE",
    "GEN",
    "PID",
    "IN FLIGHT",
    "MEMORY",
    "UPTIME",
    "RESTARTS",
    "REASON",
];
/// For what there is not.
const NONE: &str = "-";

type Row = [String; COLUMNS];

/// One line for the edge, one for each listener, one for each worker, and the last lines of the workers that are not
/// ready.
pub fn render(status: &Status) -> String {
    let mut text = format!(
        "asgate {} {}: pid {}, up {}\n",
        status.version,
        status.state,
        status.pid,
        duration(status.uptime_seconds)
    );
    for listener in &status.listeners {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "{}: {} connections", listener.address, listener.connections);
    }
    let rows: Vec<Row> = status.upstreams.iter().flat_map(rows_of).collect();
    if !rows.is_empty() {
        text.push('\n');
        push_table(&mut text, &rows);
    }
    for upstream in &status.upstreams {
        push_notes(&mut text, upstream);
    }
    text
}

fn rows_of(upstream: &UpstreamStatus) -> impl Iterator<Item = Row> {
    upstream.workers.iter().flat_map(|worker| {
        let leaving =
            worker.leaving.iter().map(|leaving| row_of_leaving(upstream, worker, leaving));
        std::iter::once(row(upstream, worker)).chain(leaving)
    })
}

fn row(upstream: &UpstreamStatus, worker: &WorkerStatus) -> Row {
    let restarts: Vec<_> =
        worker.restarts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    [
        upstream.name.clone(),
        worker.name.clone(),
        worker.state.to_string(),
        or_none((worker.generation > 0).then_some(worker.generation)),
        or_none(worker.pid),
        worker.requests_in_flight.to_string(),
        or_none(worker.memory_bytes.map(memory)),
        or_none(worker.uptime_seconds.map(duration)),
        if restarts.is_empty() { "0".to_owned() } else { restarts.join(", ") },
        or_none(worker.reason.as_deref().map(shown)),
    ]
}

fn row_of_leaving(
    upstream: &UpstreamStatus,
    worker: &WorkerStatus,
    leaving: &LeavingStatus,
) -> Row {
    let none = || NONE.to_owned();
    [
        upstream.name.clone(),
        worker.name.clone(),
        leaving.state.to_string(),
        leaving.generation.to_string(),
        leaving.pid.to_string(),
        leaving.requests_in_flight.to_string(),
        none(),
        none(),
        none(),
        format!("leaving for {}", duration(leaving.seconds)),
    ]
}

fn push_table(text: &mut String, rows: &[Row]) {
    let headings = HEADINGS.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let mut widths = [0; COLUMNS];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in lines() {
        let start = text.len();
        for (width, cell) in widths.iter().zip(line) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        // The last column needs no room on its right.
        let end = text.get(start..).map_or(0, |line| line.trim_end().len());
        text.truncate(start + end);
        text.push('\n');
    }
}

/// What does not fit a line of the table.
fn push_notes(text: &mut String, upstream: &UpstreamStatus) {
    if let Some(reason) = &upstream.reason {
        let _ = writeln!(text, "\n{} is {}: {}", upstream.name, upstream.state, shown(reason));
    }
    let silent = |worker: &&WorkerStatus| {
        worker.state != WorkerState::Ready && !worker.last_output.is_empty()
    };
    for worker in upstream.workers.iter().filter(silent) {
        let _ = writeln!(text, "\nlast output of {} {}:", upstream.name, worker.name);
        for line in &worker.last_output {
            let _ = writeln!(text, "  {}", shown(line));
        }
    }
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// `text` without anything that a terminal would act on.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' => out.push(' '),
            _ if letter.is_control() => out.extend(letter.escape_default()),
            _ => out.push(letter),
        }
    }
    out
}

/// Bytes in the unit that leaves few digits.
fn memory(bytes: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mib = bytes as f64 / MIB;
    if mib < 1024.0 { format!("{mib:.0}MiB") } else { format!("{:.1}GiB", mib / 1024.0) }
}

/// Seconds as the two largest units that there are.
fn duration(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).map_or(0, |time| time.as_secs());
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, ..) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}
