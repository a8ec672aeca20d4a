//! Workers are replaced for each reason there is, with the reason in the log, the metrics and the status; never are fewer
//! in rotation than configured, and no request fails. What is under way on an earlier generation ends in order.

mod leaving;
mod steered;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::support::edge::{Edge, is_gone, signal};
use crate::support::light_load::{LightLoad, Requests, pid_of};
use crate::support::status::{Upstream, Worker, wait_for_upstream, wait_until_settled};
use crate::support::wait_for;
use crate::support::workers::{edge, restarts_counted, roll, uvicorn_app};

/// Looks at the status all the time.
struct Watch {
    enough: Arc<AtomicBool>,
    looks: JoinHandle<Vec<usize>>,
}

impl Watch {
    fn start(edge: &Edge) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let (ended, admin) = (Arc::clone(&enough), edge.admin());
        let looks = std::thread::spawn(move || {
            let mut looks = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                looks.push(Upstream::at(admin).workers.iter().filter(|it| is_there(it)).count());
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            looks
        });
        Self { enough, looks }
    }

    /// The fewest workers in rotation that it saw.
    fn fewest(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        let looks = self.looks.join().expect("the status can be read");
        assert!(looks.len() > 10, "looked often enough: {}", looks.len());
        looks.into_iter().min().expect("it looked")
    }
}

/// Whether a worker has not been taken out of rotation. One that the machine gives no time to answer is doubted until it
/// does; that has nothing to do with being replaced.
fn is_there(worker: &Worker) -> bool {
    worker.in_rotation || worker.reason.as_deref() == Some("it does not answer")
}

/// One way to be replaced.
struct Case<'a> {
    reason: &'a str,
    /// Keys of `app` and of the upstream.
    app: &'a str,
    upstream: &'a str,
    /// Workers that are in rotation at any time, of two.
    fewest: usize,
    requests: Requests,
}

/// An edge whose workers are replaced for this reason, and only for this reason, when `happen` was done to the second
/// one; `all`: both of them are.
fn replaced_for(case: &Case<'_>, all: bool, happen: impl FnOnce(&Edge, &Worker)) {
    let edge = edge(
        &uvicorn_app(&format!("workers: 2, {}", case.app)),
        &format!("slow_start: off, {}", case.upstream),
    );
    let before = wait_until_settled(&edge);
    let victims: Vec<_> = before.workers.iter().skip(usize::from(!all)).cloned().collect();
    let load = LightLoad::start(&edge, 4, case.requests);
    let watch = Watch::start(&edge);
    happen(&edge, &before.workers[1]);
    let after = wait_for_upstream(&edge, case.reason, |upstream| {
        let replaced = |victim: &Worker| {
            is_gone(victim.pid())
                && upstream.workers.iter().any(|now| {
                    now.name == victim.name
                        && now.restarts.contains_key(case.reason)
                        && now.in_rotation
                })
        };
        victims.iter().all(replaced)
    });
    let fewest = watch.fewest();
    load.end();
    assert!(fewest >= case.fewest, "{fewest} in rotation at one time: {after:#?}");
    let for_reason = after.restarts_for(case.reason);
    assert_eq!(after.restarts(), for_reason, "for this reason only: {after:#?}");
    for worker in &after.workers {
        let same = before.worker_of(worker.pid());
        let victim = victims.iter().find(|victim| victim.name == worker.name);
        assert_eq!(same.is_none(), victim.is_some(), "only who had to be replaced was: {worker:?}");
        if let Some(victim) = victim {
            assert!(worker.generation > victim.generation, "the next generation: {worker:?}");
            assert_ne!(worker.address, victim.address, "at another address: {worker:?}");
        }
    }
    let counted = restarts_counted(&edge, case.reason);
    assert!(counted >= victims.len() as f64, "{counted} in {}", edge.metrics());
    let told = |line: &&str| {
        line.contains(&format!("reason={}", case.reason))
            || line.contains(&format!("reason=\"{}\"", case.reason))
    };
    wait_for("the log to give the reason", || {
        (edge.stderr_text().lines().filter(told).count() >= victims.len()).then_some(())
    });
}

impl Case<'_> {
    const PLANNED: Case<'static> =
        Case { reason: "", app: "", upstream: "", fewest: 2, requests: Requests::Mixed };
}

#[test]
fn after_so_many_requests() {
    let app = "recycle: { max_requests: 200 }";
    replaced_for(&Case { reason: "requests", app, ..Case::PLANNED }, true, |_, _| {});
}

#[test]
fn at_an_age() {
    let app = "recycle: { max_age: 3s }";
    replaced_for(&Case { reason: "age", app, ..Case::PLANNED }, true, |_, _| {});
}

#[test]
fn above_so_much_memory() {
    let app = "recycle: { max_memory: 250MB }, transport: tcp";
    replaced_for(&Case { reason: "memory", app, ..Case::PLANNED }, false, |_, worker| {
        ask(worker, "/grow?megabytes=300");
    });
}

#[test]
fn when_a_watched_file_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, below) = (directory.path().join("version"), directory.path().join("code"));
    std::fs::create_dir(&below).expect("a directory");
    std::fs::write(below.join("module.py"), "1").expect("a file");
    for change in [file.clone(), below.join("module.py"), below.join("new.py")] {
        let _ = std::fs::remove_file(below.join("new.py"));
        let app = format!("recycle: {{ on_file_change: [{file:?}, {below:?}] }}");
        let case = Case { reason: "file_change", app: &app, ..Case::PLANNED };
        replaced_for(&case, true, |_, _| std::fs::write(&change, "2").expect("a change"));
    }
}

/// Asks this worker, past the edge.
fn ask(worker: &Worker, target: &str) {
    let address = worker.address.as_deref().and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| panic!("not a port: {worker:?}"));
    pid_of(&crate::support::client::Client::connect(address).get(target), target);
}

/// The app's `/health` is a 500 in the process whose pid is in this file.
fn health_file(directory: &Path) -> (std::path::PathBuf, String) {
    let file = directory.join("sick");
    let app = format!("env: {{ HEALTH_FILE: {file:?} }}");
    (file, app)
}

#[test]
fn when_its_checks_fail() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, app) = health_file(directory.path());
    let upstream = "health: { path: /health, interval: 200ms, timeout: 10s, unhealthy_after: 2 }";
    let case =
        Case { reason: "unhealthy", app: &app, upstream, fewest: 1, requests: Requests::Mixed };
    replaced_for(&case, false, |_, worker| {
        std::fs::write(&file, worker.pid().to_string()).expect("a sick worker");
    });
}

/// Replaced although it answers nothing. What was on it is answered by the other one, where it may be sent twice.
#[test]
fn when_it_hangs() {
    let app = "hang_timeout: 5s";
    let case =
        Case { reason: "hung", app, upstream: "", fewest: 1, requests: Requests::Repeatable };
    replaced_for(&case, false, |_, worker| signal(worker.pid(), "STOP"));
}

/// A handler that blocks the loop is legal as long as `hang_timeout` is longer.
#[test]
fn not_when_a_handler_takes_its_time() {
    let edge = edge(&uvicorn_app("workers: 1, hang_timeout: 10s"), "slow_start: off");
    let before = wait_until_settled(&edge);
    let load = LightLoad::start(&edge, 4, Requests::Mixed);
    let pid = pid_of(&edge.connect().get("/block?seconds=3"), "/block");
    assert_eq!(before.pids(), [pid], "the only worker");
    load.end();
    let after = wait_until_settled(&edge);
    assert_eq!((after.pids(), after.restarts()), (before.pids(), 0), "untouched: {after:#?}");
}

/// The control: the same handler is too long for a shorter `hang_timeout`.
#[test]
fn a_handler_that_takes_longer_than_allowed_is_hung() {
    let edge = edge(&uvicorn_app("workers: 1, hang_timeout: 4s"), "slow_start: off");
    wait_until_settled(&edge);
    let mut client = edge.connect();
    client.send("GET /block?seconds=60 HTTP/1.1\r\nHost: test.example\r\n\r\n");
    let after = wait_for_upstream(&edge, "its replacement", |upstream| {
        upstream.is_settled() && upstream.restarts() > 0
    });
    assert_eq!(after.restarts_for("hung"), 1, "the reason: {after:#?}");
    roll(&edge, &[]);
}
