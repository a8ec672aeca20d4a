//! Workers that do not become ready: at the start of the edge, and as the successor of one that is.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::edge::Edge;
use crate::support::held::{entries, wait_until_gone};
use crate::support::light_load::{LightLoad, Requests};
use crate::support::status::{Upstream, wait_until_settled};
use crate::support::stub::Stub;
use crate::support::wait_for;
use crate::support::workers::{config, operate, said, spawn_in, start_in, tiny_app, uvicorn_app};

/// The edge ends with exit code 1 and leaves nothing; what it said.
fn fails_to_start(mut edge: Edge, directory: &Path) -> String {
    let status = edge.wait();
    let said = edge.stderr_text();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "an orderly end: {said}");
    wait_for("its files to be gone", || entries(&directory.join("tmp")).is_empty().then_some(()));
    said
}

#[test]
fn at_import() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("fail");
    std::fs::write(&file, "").expect("a file");
    let app = uvicorn_app(&format!("workers: 2, env: {{ FAIL_FILE: {file:?}, SECRET: geheim }}"));
    let begun = Instant::now();
    let edge = spawn_in(directory.path(), &config(&app, "slow_start: off"));
    let said = fails_to_start(edge, directory.path());
    // `startup_timeout` is 60 s unless set.
    assert!(begun.elapsed() < Duration::from_secs(45), "at once: {:?}", begun.elapsed());
    for part in [
        "about to fail: FAIL_FILE is there",
        "RuntimeError: this application cannot be imported today",
        "upstream u",
        "-m uvicorn worker_app:app",
    ] {
        assert!(said.contains(part), "{part:?} is said:\n{said}");
    }
    // It is Uvicorn 0.54 that ends with 1 when the import fails; it says 3 for a failed lifespan.
    let code = ["exit status: 1", "exit status: 3"].iter().any(|code| said.contains(code));
    assert!(code, "the exit code is said:\n{said}");
    assert!(!said.contains("geheim"), "nothing of the environment is said:\n{said}");
}

#[test]
fn by_never_listening() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = tiny_app("{socket}", directory.path(), "never-listens", "startup_timeout: 3s");
    let begun = Instant::now();
    let edge = spawn_in(directory.path(), &config(&app, "slow_start: off"));
    let pids = wait_for("the worker", || Some(edge.children()).filter(|pids| !pids.is_empty()));
    let said = fails_to_start(edge, directory.path());
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "not before its time: {:?}",
        begun.elapsed()
    );
    assert!(said.contains("startup_timeout"), "the message names the key: {said}");
    wait_until_gone("the worker", &pids);
}

/// Somebody else's listener on the port that was chosen for the worker must not be given a client's request.
#[test]
fn behind_a_port_that_somebody_else_took() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = tiny_app("{port}", directory.path(), "lends-its-port", "startup_timeout: 5s");
    let edge = spawn_in(directory.path(), &config(&app, "slow_start: off"));
    let port = wait_for("the port", || {
        std::fs::read_to_string(directory.path().join("port")).ok()?.parse().ok()
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let _somebody = Stub::on(listener, |mut accepted| {
        while accepted.request().is_some() {
            accepted.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let said = fails_to_start(edge, directory.path());
    assert!(!said.contains("Worker is ready"), "it was not taken for the worker: {said}");
    assert!(said.contains("startup_timeout"), "the message names the key: {said}");
}

/// The control: a worker that listens on that port itself is ready.
#[test]
fn a_worker_that_listens_is_ready() {
    let directory = tempfile::tempdir().expect("a directory");
    let app = tiny_app("{port}", directory.path(), "", "workers: 1");
    let edge = start_in(directory.path(), &config(&app, "slow_start: off"));
    assert_eq!(edge.connect().get("/").status, 200, "it serves");
}

#[test]
fn a_roll_stops_where_a_new_worker_fails_and_the_old_ones_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("fail");
    let app = uvicorn_app(&format!("workers: 2, env: {{ FAIL_FILE: {file:?} }}"));
    let edge = start_in(directory.path(), &config(&app, "slow_start: off"));
    let before = wait_until_settled(&edge);
    let load = LightLoad::start(&edge, 4, Requests::Mixed);
    std::fs::write(&file, "").expect("a file");
    let output = operate(&edge, &["restart", "u"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains('u') && message.lines().count() >= 1, "it says why: {message}");
    let after = wait_until_settled(&edge);
    assert_eq!(after.pids(), before.pids(), "the old ones stay: {after:#?}");
    assert_eq!(after.restarts(), 0, "nobody was replaced: {after:#?}");
    wait_for("the worker's words in the log", || {
        edge.stderr_text().contains("cannot be imported").then_some(())
    });
    std::fs::remove_file(&file).expect("mended");
    let output = operate(&edge, &["restart", "u"]);
    assert!(output.status.success(), "once it is mended: {}", said(&output));
    load.end();
    let mended = Upstream::of(&edge).pids();
    assert!(mended.iter().all(|pid| !before.pids().contains(pid)), "both are new: {mended:?}");
}
