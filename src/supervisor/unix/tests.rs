//! What the tests of this platform share, and those of [`Group`] itself.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Group, attribute_is};
use crate::config::Address;
use crate::supervisor::listening::Listening;

/// Longer than anything here takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A program with a group of its own, all of which is killed when this is dropped.
pub(super) struct Shell {
    pub(super) child: Child,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// The number in the next line that it prints.
    pub(super) fn says(&mut self) -> u32 {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("readable");
        line.trim().parse().unwrap_or_else(|_| panic!("not a number: {line:?}"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The number of one that was reaped may be another's.
        if let (Ok(None), Ok(leader)) =
            (self.child.try_wait(), libc::pid_t::try_from(self.child.id()))
        {
            // SAFETY: no pointers; the group was made by our own child.
            unsafe { libc::killpg(leader, libc::SIGKILL) };
        }
        let _ = self.child.wait();
    }
}

pub(super) fn start_group(script: &str) -> (Shell, Group) {
    start(Command::new("sh").args(["-c", script]))
}

fn start(command: &mut Command) -> (Shell, Group) {
    let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("started");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let leader = libc::pid_t::try_from(child.id()).expect("a process id");
    (Shell { child, output }, Group { leader, cgroup: None })
}

/// Whether a process runs; one that is dead but not reaped does not.
pub(super) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

pub(super) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn send_signal(pid: u32, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: no pointers; the process is one that the test started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "the process is there");
}

/// A Python program that listens, says its port, and then waits.
fn start_listener(then: &str) -> (Shell, Group, Address) {
    let program = format!(
        "import os, socket, time\nlistener = socket.create_server(('127.0.0.1', 0))\n\
         print(listener.getsockname()[1], flush=True)\n{then}"
    );
    let (mut shell, group) = start(Command::new("python3").args(["-c", &program]));
    let port = u16::try_from(shell.says()).expect("a port");
    (shell, group, Address::Tcp(([127, 0, 0, 1], port).into()))
}

#[test]
fn a_listener_is_ours_as_long_as_the_worker_has_it_open() {
    let (worker, group, address) = start_listener("input_ = os.read(0, 1); time.sleep(600)");
    let (stranger, other) = start_group("echo 0; exec sleep 600");
    assert_eq!(group.listening(&address), Listening::Ours);
    assert_eq!(other.listening(&address), Listening::Foreign, "another group's view");
    drop(worker);
    eventually("the row is gone", || group.listening(&address) == Listening::Absent);
    drop(stranger);
}

#[test]
fn a_listener_handed_down_is_ours_when_a_descendant_has_it() {
    // The leader closes it; a grandchild, whose parent is gone, keeps it.
    let hand_down = "if os.fork() == 0:\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)\n\
                     os.wait(); listener.close(); print(1, flush=True); time.sleep(600)";
    let (mut worker, group, address) = start_listener(hand_down);
    worker.says();
    assert_eq!(group.listening(&address), Listening::Ours);
    group.kill();
}

#[test]
fn a_descendant_that_left_the_process_group_still_counts() {
    let leave = "if os.fork() == 0:\n    os.setsid(); print(os.getpid(), flush=True); time.sleep(600)\n\
                 listener.close(); time.sleep(600)";
    let (mut worker, group, address) = start_listener(leave);
    let child = worker.says();
    eventually("the leader has closed it", || group.listening(&address) == Listening::Ours);
    let members = group.members().expect("/proc is readable");
    assert!(members.contains(&child) && members.contains(&worker.child.id()), "{members:?}");
    send_signal(child, libc::SIGKILL);
}

#[test]
fn nobody_listens_at_a_port_that_was_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = Address::Tcp(listener.local_addr().expect("its address"));
    assert_eq!(super::is_listed(&address), Some(true));
    drop(listener);
    assert_eq!(super::is_listed(&address), Some(false));
}

#[test]
fn memory_is_that_of_the_worker_and_its_children() {
    // One write for a line: two processes share the pipe.
    let hold =
        "import os, time; block = b'x' * (32 << 20); os.write(1, bytes([49, 10])); time.sleep(600)";
    let (mut alone, one) = start(Command::new("python3").args(["-c", hold]));
    alone.says();
    let own = one.memory().expect("/proc is readable");
    assert!((32 << 20..128 << 20).contains(&own), "32 MiB and an interpreter: {own}");
    let parent = format!("python3 -c \"{hold}\" & exec python3 -c \"{hold}\"");
    let (mut worker, two) = start_group(&parent);
    worker.says();
    worker.says();
    let both = two.memory().expect("/proc is readable");
    assert!(both > own + (32 << 20), "twice that: {both}");
    two.kill();
    worker.child.wait().expect("reaped");
    eventually("nothing of one that is gone", || two.memory().is_none());
}

#[test]
fn attributes_are_compared_whole() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let set = Command::new("python3")
        .args(["-c", "import os, sys; os.setxattr(sys.argv[1], 'user.delegate', b'1')"])
        .arg(directory.path())
        .stderr(Stdio::null())
        .status();
    if !set.expect("python3 runs").success() {
        println!("skipped: the temporary directory takes no attributes");
        return;
    }
    assert!(attribute_is(directory.path(), c"user.delegate", b"1"), "as it was set");
    assert!(!attribute_is(directory.path(), c"user.delegate", b""), "longer than asked for");
    assert!(!attribute_is(directory.path(), c"user.delegate", b"11"), "shorter than asked for");
    assert!(!attribute_is(directory.path(), c"user.other", b"1"), "another one");
}
