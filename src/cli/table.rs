//! The status of an edge as text for a terminal. Pure.
//!
//! What workers print and what is said of them may hold anything, also what a terminal would obey: control characters
//! are shown, never sent.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::admin::{
    CheckStatus, Kind, LeavingStatus, Status, UpstreamStatus, WorkerState, WorkerStatus,
};

use grid::NONE;

mod grid;
mod listeners;
#[cfg(test)]
mod tests;

const WORKERS: [&str; 9] =
    ["UPSTREAM", "WORKER", "STATE", "GEN", "PID", "IN FLIGHT", "MEMORY", "UPTIME", "RESTARTS"];
const CONNECTIONS: [&str; 8] =
    ["UPSTREAM", "WORKER", "ACTIVE", "IDLE", "CONNECTS", "REUSED", "EJECTIONS", "LAST CHECK"];

/// A line for the edge, for each listener and each upstream; tables of the certificates, the workers and the connections
/// to them; then what does not fit a table: reasons, and the last lines of the workers that are not ready.
pub fn render(status: &Status) -> String {
    let mut text = format!(
        "asgate {} {}: pid {}, up {}\n",
        status.version,
        status.state,
        status.pid,
        duration(status.uptime_seconds)
    );
    for listener in &status.listeners {
        listeners::push_summary(&mut text, listener);
    }
    for upstream in &status.upstreams {
        push_summary(&mut text, upstream);
    }
    let certificates: Vec<_> = status.listeners.iter().flat_map(listeners::rows_of).collect();
    grid::push(&mut text, listeners::CERTIFICATES, &certificates);
    let workers: Vec<_> = status.upstreams.iter().flat_map(rows_of).collect();
    grid::push(&mut text, WORKERS, &workers);
    let connections: Vec<_> = status.upstreams.iter().flat_map(connections_of).collect();
    grid::push(&mut text, CONNECTIONS, &connections);
    let of_listeners = status.listeners.iter().flat_map(listeners::remarks_on);
    let of_upstreams = status.upstreams.iter().flat_map(remarks_on);
    let remarks: Vec<_> = of_listeners.chain(of_upstreams).collect();
    if !remarks.is_empty() {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "\n{}", remarks.join("\n"));
    }
    for upstream in &status.upstreams {
        push_last_output(&mut text, upstream);
    }
    text
}

/// `backend degraded: 7 requests in flight, 3 of 1000 waiting`
fn push_summary(text: &mut String, upstream: &UpstreamStatus) {
    let UpstreamStatus { name, state, requests_in_flight, queue, .. } = upstream;
    let _ = write!(text, "{name} {state}: {requests_in_flight} requests in flight");
    if queue.length > 0 {
        let _ = write!(text, ", {} of {} waiting", queue.length, queue.size);
    }
    text.push('\n');
}

fn rows_of(upstream: &UpstreamStatus) -> impl Iterator<Item = [String; WORKERS.len()]> {
    upstream.workers.iter().flat_map(|worker| {
        let leaving =
            worker.leaving.iter().map(|leaving| row_of_leaving(upstream, worker, leaving));
        std::iter::once(row(upstream, worker)).chain(leaving)
    })
}

fn row(upstream: &UpstreamStatus, worker: &WorkerStatus) -> [String; WORKERS.len()] {
    let in_flight = match worker.slots {
        0 => worker.requests_in_flight.to_string(),
        slots => format!("{}/{slots}", worker.requests_in_flight),
    };
    [
        upstream.name.clone(),
        worker.name.clone(),
        worker.state.to_string(),
        or_none((worker.generation > 0).then_some(worker.generation)),
        or_none(worker.pid),
        in_flight,
        or_none(worker.memory_bytes.map(memory)),
        or_none(worker.uptime_seconds.map(duration)),
        match worker.kind {
            Kind::Supervised => restarts(&worker.restarts),
            Kind::Fixed => NONE.to_owned(),
        },
    ]
}

fn row_of_leaving(
    upstream: &UpstreamStatus,
    worker: &WorkerStatus,
    leaving: &LeavingStatus,
) -> [String; WORKERS.len()] {
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
    ]
}

fn connections_of(upstream: &UpstreamStatus) -> impl Iterator<Item = [String; CONNECTIONS.len()]> {
    upstream.workers.iter().map(|worker| {
        [
            upstream.name.clone(),
            worker.name.clone(),
            worker.connections.active.to_string(),
            worker.connections.idle.to_string(),
            worker.connects.to_string(),
            or_none(worker.reused_ratio.map(|ratio| format!("{:.1}%", ratio * 100.0))),
            or_none((worker.ejections > 0).then_some(worker.ejections)),
            or_none(worker.last_check.as_ref().map(checked)),
        ]
    })
}

/// What does not fit a table, each on a line.
fn remarks_on(upstream: &UpstreamStatus) -> Vec<String> {
    let name = &upstream.name;
    let reason = upstream.reason.as_deref();
    let reason = reason.map(|reason| format!("{name} is {}: {}", upstream.state, shown(reason)));
    let notes = upstream.notes.iter().map(|note| format!("{name}: {}", shown(note)));
    let retries = (!upstream.retries.is_empty())
        .then(|| format!("retries of {name}: {}", counts(&upstream.retries)));
    let workers = upstream.workers.iter().flat_map(|worker| remarks_on_worker(name, worker));
    reason.into_iter().chain(notes).chain(retries).chain(workers).collect()
}

fn remarks_on_worker(upstream: &str, worker: &WorkerStatus) -> Vec<String> {
    let name = format!("{upstream} {}", worker.name);
    let reason = worker.reason.as_deref();
    let reason = reason.map(|reason| format!("{name} is {}: {}", worker.state, shown(reason)));
    let failed = worker.last_check.as_ref().filter(|check| !check.passed);
    let failed = failed
        .map(|check| format!("{name}: last check {}: {}", checked(check), shown(&check.message)));
    let leaving = worker.leaving.iter().map(|leaving| {
        let LeavingStatus { generation, state, seconds, .. } = leaving;
        format!("{name}: generation {generation} has been {state} for {}", duration(*seconds))
    });
    reason.into_iter().chain(failed).chain(leaving).collect()
}

fn push_last_output(text: &mut String, upstream: &UpstreamStatus) {
    let of_interest = |worker: &&WorkerStatus| {
        worker.state != WorkerState::Ready && !worker.last_output.is_empty()
    };
    for worker in upstream.workers.iter().filter(of_interest) {
        let _ = writeln!(text, "\nlast output of {} {}:", upstream.name, worker.name);
        for line in &worker.last_output {
            let _ = writeln!(text, "  {}", shown(line));
        }
    }
}

fn checked(check: &CheckStatus) -> String {
    let result = if check.passed { "passed" } else { "failed" };
    format!("{result} {} ago", duration(check.seconds_ago))
}

/// All of few reasons; of many, which would be too wide, the most frequent.
fn restarts(by_reason: &BTreeMap<String, u64>) -> String {
    let mut by_count: Vec<_> = by_reason.iter().collect();
    by_count.sort_by_key(|(_, count)| Reverse(**count));
    match by_count.as_slice() {
        [] => "0".to_owned(),
        [first, others @ ..] if others.len() > 1 => {
            let others: u64 = others.iter().map(|(_, count)| **count).sum();
            format!("{}, {others} more", counts([*first]))
        }
        few => counts(few.iter().copied()),
    }
}

/// `3 connect, 1 stale`
fn counts<'a>(by_reason: impl IntoIterator<Item = (&'a String, &'a u64)>) -> String {
    let words: Vec<_> =
        by_reason.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    words.join(", ")
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
