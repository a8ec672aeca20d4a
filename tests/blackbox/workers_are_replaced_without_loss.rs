//! Workers are killed, rolled, recycled, deafened and stopped under 300 requests a second, and nobody notices: a request
//! fails only where it was on a worker that died with it, may not be sent twice or had begun to be answered, and then its
//! client is told and the log says so. `ASGATE_SOAK_SECONDS` is how long it takes at least, 20 unless set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::edge::{Edge, signal};
use crate::support::held::wait_until_gone;
use crate::support::load::{Load, soak_seconds};
use crate::support::status::{Upstream, Worker, number, wait_for_upstream, wait_until_settled};
use crate::support::uvicorn::{Uvicorn, test_app};
use crate::support::wait_for;
use crate::support::workers::{edge, make_deaf, roll, uvicorn_app};

/// What the edge may have sent on the way to a process that has just ended: of the last moment (seconds).
const DYING: f64 = 0.5;
const HANG_TIMEOUT: f64 = 5.0;
/// Requests a second that the load makes at least where it has to share the machine; 300 are due.
const LOAD: f64 = 100.0;

/// A worker that took requests down with it.
#[derive(Debug)]
struct Victim {
    pid: u32,
    /// Requests that began before may have been on it; in seconds since 1970.
    until: f64,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs_f64()
}

/// What happens to the workers.
struct Events<'a> {
    edge: &'a Edge,
    victims: Vec<Victim>,
}

impl Events<'_> {
    /// Does this to each of the workers, one after the other, and waits each time until all are well again.
    fn each_worker(&mut self, happen: impl Fn(&mut Self, &Worker)) {
        let names: Vec<_> =
            Upstream::of(self.edge).workers.into_iter().map(|worker| worker.name).collect();
        for name in names {
            let settled = wait_until_settled(self.edge);
            let worker = settled.workers.iter().find(|worker| worker.name == name);
            happen(self, worker.expect("the worker"));
        }
        wait_until_settled(self.edge);
    }

    fn kill(&mut self, worker: &Worker) {
        signal(worker.pid(), "KILL");
        wait_until_gone("the killed worker", &[worker.pid()]);
        self.victims.push(Victim { pid: worker.pid(), until: now() + DYING });
        self.wait_until_restarted(worker, "exit");
    }

    fn hang(&mut self, worker: &Worker) {
        // Its requests are counted anew, so that it is not recycled for their number while it is stopped.
        roll(self.edge, &["--worker", &worker.name]);
        let settled = wait_until_settled(self.edge);
        let worker = settled.workers.iter().find(|other| other.name == worker.name);
        let worker = worker.expect("the worker");
        let from = now();
        signal(worker.pid(), "STOP");
        self.wait_until_restarted(worker, "hung");
        let took = now() - from;
        assert!(took > HANG_TIMEOUT, "not hung before its time: replaced after {took:.1} s");
        self.victims.push(Victim { pid: worker.pid(), until: now() });
    }

    fn deafen(&mut self, worker: &Worker) {
        make_deaf(worker);
        self.wait_until_restarted(worker, "deaf");
    }

    /// Waits until there is another process for `worker`, restarted once more for `reason`.
    fn wait_until_restarted(&self, worker: &Worker, reason: &str) {
        let before = worker.restarts.get(reason).copied().unwrap_or(0);
        wait_for_upstream(self.edge, &format!("a restart for {reason}"), |upstream| {
            let after = upstream.workers.iter().find(|other| other.name == worker.name);
            after.is_some_and(|after| {
                after.pid != worker.pid
                    && after.state == "ready"
                    && after.restarts.get(reason).is_some_and(|count| *count == before + 1)
            })
        });
    }
}

/// What is wrong with a failure, if anything: a request may fail where it was on a victim and is not one that can be
/// sent to another worker, and its line in the log has to say why.
fn verdict(failure: &Value, log: &[Value], victims: &[Victim]) -> Option<&'static str> {
    let lines: Vec<_> = lines_of(failure, log).collect();
    let [line] = lines.as_slice() else {
        return Some("it has not exactly one line in the log");
    };
    let began = failure["began"].as_f64().expect("when it began");
    let on_victim = victims
        .iter()
        .any(|victim| number(&line["edge.worker_pid"]) == Some(victim.pid) && began < victim.until);
    if !on_victim {
        return Some("it was on no worker that had died");
    }
    let unrepeatable = ["post", "upload"].map(Value::from).contains(&failure["kind"]);
    let told = match failure["how"].as_str() {
        Some("refused") => unrepeatable && [502, 504].map(Value::from).contains(&failure["status"]),
        Some("broken off") => {
            failure["kind"] == "websocket" || line["edge.response_aborted"] == true
        }
        _ => false,
    };
    if !told {
        return Some("it could have been sent to another worker, or its client was not told");
    }
    let words = ["upstream_closed", "upstream_timeout"].map(Value::from);
    (!words.contains(&line["edge.termination"])).then_some("the log does not say why")
}

fn lines_of<'a>(failure: &Value, log: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    let own = format!("n={}", failure["n"]);
    log.iter().filter(move |line| {
        let query = line["url.query"].as_str().unwrap_or_default();
        query.split('&').any(|field| field == own)
    })
}

/// Compares what the clients say with the log, and returns the failures that must not be, each with the reason why.
fn unexplained(edge: &Edge, report: &Value, victims: &[Victim]) -> Vec<Value> {
    let sent = report["sent"].as_object().expect("kinds").values();
    let sent: u64 = sent.filter_map(Value::as_u64).sum();
    let numbered = |line: &Value| line["url.query"].as_str().is_some_and(|q| q.contains("n="));
    let log = wait_for("a line in the log for each request", || {
        let mut log = edge.access_log();
        log.retain(numbered);
        (log.len() as u64 >= sent).then_some(log)
    });
    assert_eq!(log.len() as u64, sent, "exactly one line for each request");
    let failed = report["failed"].as_array().expect("failures");
    failed
        .iter()
        .filter_map(|failure| Some((verdict(failure, &log, victims)?, failure)))
        .map(|(why, failure)| json!([why, failure, lines_of(failure, &log).collect::<Vec<_>>()]))
        .collect()
}

/// How many there are of each kind.
fn counted(unexplained: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for found in unexplained {
        let (kind, how) = (&found[1]["kind"], &found[1]["how"]);
        *counts.entry(format!("{kind} {how}: {}", found[0])).or_default() += 1;
    }
    counts
}

/// How many requests did not end well, by the log.
fn failures_logged(edge: &Edge) -> usize {
    let fine = ["ok", "client_closed"].map(Value::from);
    edge.access_log().iter().filter(|line| !fine.contains(&line["edge.termination"])).count()
}

/// Everything that happens to workers, to each of them.
fn everything_happens(keys: &str, upstream: &str, deafening: bool) {
    let app = uvicorn_app(&format!(
        "workers: 3, stop_timeout: 10s, hang_timeout: {HANG_TIMEOUT}s, restart: {{ backoff: 100ms }}, \
         recycle: {{ max_requests: 1000 }}, {keys}"
    ));
    let edge = edge(&app, upstream);
    let begun = Instant::now();
    let load = Load::start("replacement_load.py", edge.address(), &[]);
    let mut events = Events { edge: &edge, victims: Vec::new() };
    events.each_worker(Events::kill);
    for _ in 0..3 {
        roll(&edge, &[]);
    }
    if deafening {
        events.each_worker(Events::deafen);
    }
    events.each_worker(Events::hang);
    wait_for_upstream(&edge, "each worker to be recycled", |upstream| {
        upstream.workers.iter().all(|worker| worker.restarts.contains_key("requests"))
    });
    let least = Duration::from_secs(soak_seconds().into());
    std::thread::sleep(least.saturating_sub(begun.elapsed()));
    wait_until_settled(&edge);
    let victims = events.victims;
    let (_, report) = load.end();
    let failed = report["failed"].as_array().map_or(0, Vec::len);
    eprintln!("{failed} failed, sent {}, {}", report["sent"], report["milliseconds"]);
    assert!(report["per_second"].as_f64() > Some(LOAD), "the load was one: {:#}", report["sent"]);
    let unexplained = unexplained(&edge, &report, &victims);
    assert!(
        unexplained.is_empty(),
        "{} of {failed} failures must not be: {:#?}, for instance {:#?}\n{victims:#?}",
        unexplained.len(),
        counted(&unexplained),
        unexplained.iter().take(8).collect::<Vec<_>>()
    );
    assert_eq!(failures_logged(&edge), failed, "the log counts the failures that clients count");
    let upstream = wait_until_settled(&edge);
    for worker in &upstream.workers {
        assert_eq!(worker.restarts.get("exit"), Some(&1), "killed once: {worker:?}");
        let rolled = worker.restarts.get("restart");
        assert_eq!(rolled, Some(&4), "rolled three times, and before it hung: {worker:?}");
        assert_eq!(worker.restarts.get("hung"), Some(&1), "stopped once: {worker:?}");
        assert_eq!(worker.restarts.contains_key("deaf"), deafening, "made deaf: {worker:?}");
    }
}

#[test]
fn over_unix_sockets() {
    everything_happens("transport: auto", "slow_start: off", false);
}

#[test]
fn over_tcp_and_with_a_fragile_loop() {
    let fragile = "transport: tcp, args: [--loop, \"fragile_loop:FragileLoop\"]";
    everything_happens(fragile, "slow_start: 2s", true);
}

/// The control: behind the same edge, workers that nobody supervises take requests with them, and the verdict is not
/// that this is as it has to be.
#[test]
fn what_is_lost_is_found() {
    let serving = ["--app-dir", "."];
    let mut workers = [0, 1].map(|_| Uvicorn::serving_app("worker_app:app", &test_app(), &serving));
    let edge = Edge::before(&workers.each_ref().map(Uvicorn::address), "");
    let load = Load::start("replacement_load.py", edge.address(), &[]);
    let in_flight = "asgate_requests_in_flight{upstream=\"u\"}";
    for worker in &mut workers {
        wait_for("requests in flight", || (edge.metric(in_flight) > 5.0).then_some(()));
        signal(worker.pid(), "KILL");
    }
    wait_for("requests of each kind to fail", || (failures_logged(&edge) > 200).then_some(()));
    let (right, report) = load.end();
    assert!(!right, "requests failed: {report:#}");
    let unexplained = unexplained(&edge, &report, &[]);
    let kinds: BTreeSet<_> = unexplained.iter().map(|found| found[1]["kind"].as_str()).collect();
    assert!(
        kinds.contains(&Some("get")),
        "the verdict on what could have been repeated: {kinds:?}"
    );
    assert!(kinds.contains(&Some("post")), "the verdict on what was on no known victim: {kinds:?}");
}
