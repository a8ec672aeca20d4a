//! With a guardian that is this test program itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::super::tests::{PATIENCE, alive, eventually, send_signal, start_group};
use super::{Guardian, guardian_main};
use crate::config::Address;
use crate::supervisor::WorkerId;
use crate::supervisor::addresses::{Addresses, Ports};
use crate::supervisor::command::Reach;
use crate::supervisor::process::Spawner;

/// Set for the test program that plays a part.
const PLAYS: &str = "ASGATE_TEST_PLAYS_GUARDIAN";

/// Played by this test program itself.
#[test]
#[ignore = "a part played in the tests below, not a test"]
fn the_guardian() {
    if std::env::var_os(PLAYS).is_some() {
        guardian_main();
    }
}

fn start() -> Guardian {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.args(["--ignored", "--test-threads=1", "unix::guardian::tests::the_guardian"]);
    program.env(PLAYS, "1");
    Guardian::start_program(program).expect("this program starts again")
}

fn pid_of(guardian: &Guardian) -> u32 {
    guardian.0.as_ref().expect("a guardian").lock().child.id()
}

#[test]
fn groups_and_directories_go_with_the_edge() {
    let guardian = start();
    let parent = tempfile::TempDir::new().expect("a directory");
    let [watched, kept] = ["watched", "kept"].map(|name| parent.path().join(name));
    for directory in [&watched, &kept] {
        std::fs::create_dir(directory).expect("created");
        std::fs::write(directory.join("1.sock"), "").expect("written");
        guardian.watch_directory(directory);
    }
    guardian.forget_directory(&kept);
    // The leader ends and leaves a child in its group, as a worker does that dies with the edge.
    let (mut worker, group) = start_group("sleep 600 & echo $!; exec sleep 600");
    let child = worker.says();
    let (bystander, other) = start_group("echo 0; exec sleep 600");
    guardian.watch_group(&group);
    guardian.watch_group(&other);
    guardian.forget_group(&other);
    worker.child.kill().expect("killed");
    worker.child.wait().expect("reaped");
    assert!(alive(child), "the child of the worker outlives it");
    // All that the guardian ever sees of the edge's death is that the pipe is closed.
    drop(guardian);
    eventually("the child was killed", || !alive(child));
    assert!(!watched.exists(), "the directory was removed");
    assert!(kept.exists(), "the one that was taken back was not");
    assert!(alive(bystander.child.id()), "nor was the group that was");
}

#[test]
fn requests_to_stop_do_not_reach_it_and_it_ends_with_the_pipe() {
    let guardian = start();
    let pid = pid_of(&guardian);
    for signal in super::IGNORED {
        send_signal(pid, signal);
    }
    // SAFETY: no pointers.
    #[expect(unsafe_code, reason = "not in the standard library")]
    let session = unsafe { libc::getsid(libc::pid_t::try_from(pid).expect("a process id")) };
    assert_eq!(u32::try_from(session), Ok(pid), "it has a session of its own");
    assert!(alive(pid), "it is deaf to signals");
    drop(guardian.clone());
    assert!(alive(pid), "there is another clone");
    drop(guardian);
    assert!(!alive(pid), "it has ended and was reaped");
}

#[test]
fn a_guardian_that_does_not_keep_up_is_given_up_and_kills_nobody() {
    let guardian = start();
    let pid = pid_of(&guardian);
    let (worker, group) = start_group("echo 0; exec sleep 600");
    guardian.watch_group(&group);
    send_signal(pid, libc::SIGSTOP);
    let begun = Instant::now();
    // The pipe takes 64 KiB.
    for _ in 0..10_000 {
        guardian.watch_group(&group);
    }
    assert!(begun.elapsed() < PATIENCE, "the edge was never blocked");
    assert!(!alive(pid), "the guardian was killed");
    drop(guardian);
    assert!(alive(worker.child.id()), "the group that it had in charge lives");
}

/// Played by this test program itself: an edge with one worker, which has a child; says the address and both pids.
#[tokio::test]
#[ignore = "a part played in the test below, not a test"]
async fn the_edge_that_will_be_killed() {
    if std::env::var_os(PLAYS).is_none() {
        return;
    }
    let guardian = start();
    let addresses =
        Addresses::new(Reach::Socket, &Ports::default(), &guardian).expect("a directory");
    let lease = addresses.lease(WorkerId { index: 1, generation: 1 }).expect("an address");
    let Address::Unix(socket) = lease.address() else { panic!("not a socket") };
    std::fs::write(socket, "").expect("it stands for a socket");
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", "sleep 600 & echo $!; exec sleep 600"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawner = Spawner::start(guardian.clone()).expect("a thread");
    let mut spawned = spawner.spawn(command).await.expect("a worker");
    let mut output = tokio::io::BufReader::new(spawned.stdout);
    let mut child = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut output, &mut child).await.expect("readable");
    let worker = spawned.process.pid();
    println!("\nplays {worker} {} {} {}", child.trim(), pid_of(&guardian), socket.display());
    spawned.process.wait().await.expect("the edge is killed before");
}

#[test]
fn an_edge_that_is_killed_leaves_nothing_behind() {
    let runtime = tempfile::TempDir::new().expect("a directory");
    let mut edge = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--nocapture", "unix::guardian::tests::the_edge_that_will_be_killed"])
        .env(PLAYS, "1")
        .env("XDG_RUNTIME_DIR", runtime.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let lines = BufReader::new(edge.stdout.take().expect("its output")).lines();
    let said =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("plays ").map(str::to_owned));
    let said = said.expect("it says what it has started");
    let mut words = said.splitn(4, ' ');
    let [worker, child, guardian]: [u32; 3] =
        std::array::from_fn(|_| words.next().expect("a word").parse().expect("a process id"));
    let directory = words.next().map(std::path::Path::new).and_then(|path| path.parent());
    let directory = directory.expect("where its socket is");
    assert!(directory.starts_with(runtime.path()) && directory.exists(), "a directory of its own");
    for pid in [worker, child, guardian] {
        assert!(alive(pid), "{pid} runs");
    }
    edge.kill().expect("killed");
    edge.wait().expect("reaped");
    eventually("the worker was killed", || !alive(worker));
    eventually("its child was killed", || !alive(child));
    eventually("the directory was removed", || !directory.exists());
    eventually("the guardian has ended", || !alive(guardian));
}

#[test]
fn no_guardian_is_no_hindrance() {
    let (worker, group) = start_group("echo 0; exec sleep 600");
    let guardian = Guardian::default();
    guardian.watch_group(&group);
    drop(guardian);
    assert!(alive(worker.child.id()), "nobody killed it");
}
