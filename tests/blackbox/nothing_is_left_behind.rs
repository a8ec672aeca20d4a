//! However often workers are started and stopped, and however the edge ends, no process, socket, directory, port or
//! descriptor is left.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::edge::{Edge, is_gone};
use crate::support::held::{Held, entries, held_by, is_listened_at, wait_until_gone};
use crate::support::status::{Upstream, number, wait_until_settled};
use crate::support::workers::{config, roll, spawn_in, start_in, tiny_app, uvicorn_app};
use crate::support::{wait_for, wait_until};

/// The runtime keeps threads for calls that block, as many as were busy at one time lately. Fewer than workers come and go.
const SPARE_THREADS: u64 = 6;

/// What workers had while they ran.
#[derive(Default)]
struct Traces {
    pids: BTreeSet<u32>,
    addresses: BTreeSet<String>,
}

impl Traces {
    fn follow(&mut self, upstream: &Upstream) {
        self.pids.extend(upstream.pids());
        self.addresses.extend(upstream.workers.iter().filter_map(|worker| worker.address.clone()));
    }

    /// Those of workers that are not among the present ones.
    fn left_by_others(&self, present: &Upstream) -> (Vec<u32>, Vec<String>) {
        let mut current = Self::default();
        current.follow(present);
        let pids = self.pids.difference(&current.pids).copied().filter(|&pid| !is_gone(pid));
        let addresses = self.addresses.difference(&current.addresses).filter(|address| {
            address
                .strip_prefix("unix:")
                .map_or_else(|| is_listened_at(address), |path| Path::new(path).exists())
        });
        (pids.collect(), addresses.cloned().collect())
    }
}

/// What an edge holds for its present workers.
#[derive(Debug)]
struct Footprint {
    held: Held,
    children: usize,
    files: usize,
}

impl Footprint {
    fn is_within(&self, before: &Self) -> bool {
        self.held.descriptors <= before.held.descriptors
            && self.held.threads <= before.held.threads + SPARE_THREADS
            && (self.children, self.files) == (before.children, before.files)
    }
}

/// It may hold less in a moment, when the last worker has gone and its connections are closed.
fn footprint(edge: &Edge, directory: &Path) -> Footprint {
    Footprint {
        held: held_by(edge.pid()),
        children: edge.processes().len(),
        files: entries(&directory.join("tmp")).iter().map(|path| files_below(path)).sum(),
    }
}

fn files_below(path: &Path) -> usize {
    if path.is_dir() {
        1 + entries(path).iter().map(|path| files_below(path)).sum::<usize>()
    } else {
        1
    }
}

/// Replaces all workers so often; no earlier one leaves anything, and the edge holds what it held before.
fn rolls(app: &str, times: usize, workers: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(app, "slow_start: off")
        .replace("WORKING_DIRECTORY", &directory.path().to_string_lossy());
    let edge = start_in(directory.path(), &config);
    roll(&edge, &[]);
    wait_until_settled(&edge);
    let before = footprint(&edge, directory.path());
    let mut traces = Traces::default();
    for _ in 0..times {
        traces.follow(&Upstream::of(&edge));
        roll(&edge, &[]);
    }
    let settled = wait_until_settled(&edge);
    assert_eq!(settled.restarts_for("restart"), (times as u64 + 1) * workers, "{settled:#?}");
    assert_eq!(traces.pids.len() as u64, times as u64 * workers, "each had its process");
    wait_for("what earlier workers had to be gone", || {
        let (pids, addresses) = traces.left_by_others(&Upstream::of(&edge));
        (pids.is_empty() && addresses.is_empty()).then_some(())
    });
    wait_until(
        &format!("no more than {before:?}"),
        || footprint(&edge, directory.path()),
        |after| after.is_within(&before),
    );
    stops_clean(edge, directory.path(), traces);
}

/// Stops the edge: nothing is left of it or of its workers.
fn stops_clean(edge: Edge, directory: &Path, mut traces: Traces) {
    traces.follow(&Upstream::of(&edge));
    traces.pids.extend(edge.processes());
    let status = edge.stop();
    assert!(status.success(), "a graceful stop: {status}");
    let none = Upstream { state: String::new(), reason: None, workers: Vec::new() };
    wait_for("nothing of it to be there", || {
        let (pids, addresses) = traces.left_by_others(&none);
        // The guardian outlives the edge for a moment.
        (pids.is_empty() && addresses.is_empty()).then_some(())
    });
    assert_eq!(entries(&directory.join("tmp")), <[&Path; 0]>::default(), "files left after a stop");
}

#[test]
fn a_hundred_workers_on_unix_sockets_come_and_go() {
    rolls(&tiny_app("{socket}", Path::new("WORKING_DIRECTORY"), "", "workers: 4"), 25, 4);
}

#[test]
fn a_hundred_workers_on_ports_come_and_go() {
    rolls(&tiny_app("{port}", Path::new("WORKING_DIRECTORY"), "", "workers: 4"), 25, 4);
}

#[test]
fn uvicorn_workers_come_and_go() {
    rolls(&uvicorn_app("workers: 2"), 4, 2);
}

#[test]
fn edges_come_and_go() {
    for reach in ["{socket}", "{port}"] {
        for _ in 0..10 {
            let directory = tempfile::tempdir().expect("a directory");
            let app = tiny_app(reach, directory.path(), "with-child", "workers: 2");
            let edge = start_in(directory.path(), &config(&app, "slow_start: off"));
            let mut traces = Traces::default();
            traces.pids.extend(children_of_workers(&edge, 2));
            stops_clean(edge, directory.path(), traces);
        }
    }
}

/// The processes that `count` workers say they have started.
fn children_of_workers(edge: &Edge, count: usize) -> BTreeSet<u32> {
    wait_for("an answer of each worker", || {
        let answers: BTreeSet<_> = (0..4 * count)
            .map(|_| number(&edge.connect().get("/").json()["child"]).expect("a child"))
            .collect();
        (answers.len() == count).then_some(answers)
    })
}

/// What a worker has started goes with it when it is replaced.
#[test]
fn a_replaced_worker_takes_its_children_along() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = tiny_app("{socket}", directory.path(), "with-child", "workers: 1");
    let edge = start_in(directory.path(), &config(&app, "slow_start: off"));
    let children: Vec<_> = children_of_workers(&edge, 1).into_iter().collect();
    assert!(!is_gone(children[0]), "the control: it is there");
    roll(&edge, &[]);
    wait_until_gone("what the replaced worker started", &children);
    assert_eq!(children_of_workers(&edge, 1).len(), 1, "its successor serves");
}

#[test]
fn a_killed_edge_leaves_no_process_and_no_directory() {
    for reach in ["{socket}", "{port}"] {
        let directory = tempfile::tempdir().expect("a directory");
        let app = tiny_app(reach, directory.path(), "with-child", "workers: 2");
        let mut edge = start_in(directory.path(), &config(&app, "slow_start: off"));
        let mut pids: Vec<_> = children_of_workers(&edge, 2).into_iter().collect();
        pids.extend(edge.processes());
        assert!(pids.len() >= 4, "two workers, each with a child: {pids:?}");
        assert!(pids.iter().all(|&pid| !is_gone(pid)), "the control: they are there");
        let temporary = directory.path().join("tmp");
        assert!(reach == "{port}" || !entries(&temporary).is_empty(), "the control: sockets");
        edge.signal("KILL");
        edge.wait();
        wait_until_gone("all processes of the edge", &pids);
        wait_for("its directory to be gone", || entries(&temporary).is_empty().then_some(()));
    }
}

/// Killed at a moment when workers come and go, and before any of them is ready.
#[test]
fn an_edge_that_is_killed_in_the_middle_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = tiny_app("{socket}", directory.path(), "never-listens", "workers: 2");
    let mut edge = spawn_in(directory.path(), &config(&app, "slow_start: off"));
    let workers = wait_for("two workers to be starting", || {
        let times = std::fs::read_to_string(directory.path().join("times")).unwrap_or_default();
        (times.lines().count() == 2).then(|| edge.processes())
    });
    assert!(workers.len() >= 2, "two workers: {workers:?}");
    edge.signal("KILL");
    edge.wait();
    wait_until_gone("all processes of the edge", &workers);
    let temporary = directory.path().join("tmp");
    wait_for("its directory to be gone", || entries(&temporary).is_empty().then_some(()));
}
