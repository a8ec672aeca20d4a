//! Nothing outlives its keeper: children of workers, workers of a dropped supervisor, workers of a killed edge.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::*;

/// Starts a child of its own that ignores SIGTERM, says its pid, then serves.
const PARENT: &str = r#"
import subprocess
child = subprocess.Popen(["sh", "-c", "trap '' TERM; while :; do sleep 600; done"])
print("child", child.pid)
"#;

async fn start_parent() -> (Running, Ready, u32) {
    let mut running = Running::start(&python(&format!("{PARENT}{SERVE}")));
    running.ready().await.expect("it starts");
    let worker = running.next_ready().await;
    let child = running.printed.after("child ").expect("it said so before it listened");
    let child = child.parse().expect("a process id");
    assert!(alive(child), "the child runs");
    (running, worker, child)
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_a_stopped_worker_die_with_it() {
    let (running, worker, child) = start_parent().await;
    running.stop().await;
    assert!(!alive(worker.pid), "the worker has ended");
    eventually("its child was killed", || !alive(child)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_a_crashed_worker_die_with_it() {
    let (running, worker, child) = start_parent().await;
    send_signal(worker.pid, libc::SIGKILL);
    running.gone(&worker).await;
    eventually("its child was killed", || !alive(child)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_supervisor_kills_its_workers_and_their_children() {
    let (running, worker, child) = start_parent().await;
    drop(running);
    eventually("the worker was killed", || !alive(worker.pid)).await;
    eventually("its child was killed", || !alive(child)).await;
    let Address::Unix(socket) = worker.address else { panic!("not a socket") };
    eventually("the socket was removed", || !socket.exists()).await;
}

/// Played by this test program itself when it is started with [`EDGE`] set: an edge with one worker that ignores
/// SIGTERM, alive until somebody kills it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part played in workers_die_with_an_edge_that_was_killed, not a test"]
async fn the_edge_that_will_be_killed() {
    if std::env::var_os(EDGE).is_none() {
        return;
    }
    let program = format!("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{SERVE}");
    let mut running = Running::start(&python(&program));
    running.ready().await.expect("it starts");
    let worker = running.next_ready().await;
    println!("\nworker {}", worker.pid);
    running.gone(&worker).await;
}

#[cfg(target_os = "linux")]
const EDGE: &str = "ASGATE_TEST_PLAYS_EDGE";

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn workers_die_with_an_edge_that_was_killed() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut edge = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--nocapture", "the_edge_that_will_be_killed"])
        .env(EDGE, "1")
        // An edge that is killed cannot remove its sockets; here the test does.
        .env("TMPDIR", directory.path())
        .env_remove("XDG_RUNTIME_DIR")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program starts again");
    let mut lines = BufReader::new(edge.stdout.take().expect("its output")).lines();
    let worker = loop {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time");
        let line = line.expect("readable").expect("the edge says its worker's pid");
        if let Some(pid) = line.strip_prefix("worker ") {
            break pid.parse().expect("a process id");
        }
    };
    assert!(alive(worker), "the worker runs");
    edge.kill().await.expect("the edge is killed with SIGKILL");
    eventually("the worker died with it", || !alive(worker)).await;
}
