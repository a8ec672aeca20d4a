//! The guardian: a small process beside the edge that cleans up when the edge is killed and cannot.
//!
//! Workers have a parent-death signal of their own; their children, control groups and the directories of their sockets
//! have not. The edge tells the guardian of them through a pipe ([`protocol`]). The system closes the pipe when the
//! edge ends, however it ends, and then the guardian kills and removes what was not taken back. An edge that stops in
//! order has taken back everything by then, so there is nothing to do.
//!
//! The edge never waits for it: a guardian that does not keep up is given up with a warning, and killed, because a list
//! that is out of date names process groups that may have become somebody else's.

#![expect(unsafe_code, reason = "calls into the operating system")]

mod protocol;

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::protocol::{Charge, Record};
use super::{Group, cgroup};

/// How long the end of a guardian is waited for that was told to end.
const PATIENCE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(1);
/// The guardian's place among signals: what stops the edge must not stop it before the edge.
const IGNORED: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// The edge's end of the pipe to its guardian. Clones share it; when the last one is dropped, the guardian does its
/// work and ends. The default is to have none: nothing is watched.
#[derive(Debug, Clone, Default)]
pub struct Guardian(Option<Arc<Mutex<Helper>>>);

#[derive(Debug)]
struct Helper {
    child: Child,
    /// `None` once it was given up.
    pipe: Option<ChildStdin>,
}

/// What the guardian process does: reads from stdin what it has in charge, and ends it when nothing more can come. To
/// be called when the program's only argument is [`Guardian::WORD`], before there are threads.
pub fn guardian_main() -> ExitCode {
    match protocol::run(io::stdin().lock(), end) {
        Ok(()) => ExitCode::SUCCESS,
        // That the pipe is broken is no proof that the edge is gone.
        Err(error) => {
            let _ = writeln!(io::stderr(), "asgate guardian: cannot read: {error}");
            ExitCode::FAILURE
        }
    }
}

// === impl Guardian ===

impl Guardian {
    /// The argument that makes this program a guardian.
    pub const WORD: &str = "guardian";

    /// Starts this program once more, as a guardian; one is enough for an edge.
    ///
    /// # Errors
    /// This program's file cannot be found or executed. An edge can do without.
    pub fn start() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // No secret of the environment is needed there.
        command.arg(Self::WORD).env_clear();
        Self::start_program(command)
    }

    /// `program` calls [`guardian_main`].
    fn start_program(mut program: Command) -> io::Result<Self> {
        program.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null());
        // SAFETY: the function neither allocates nor locks.
        unsafe { program.pre_exec(detach) };
        let mut child = program.spawn()?;
        let pipe = child.stdin.take();
        let helper = Helper { child, pipe };
        helper.pipe.as_ref().map(never_block).transpose()?;
        Ok(Self(Some(Arc::new(Mutex::new(helper)))))
    }

    /// Kill this group, and its control group if it has one, should the edge be gone.
    pub(in crate::supervisor) fn watch_group(&self, group: &Group) {
        for charge in charges(group) {
            self.say(&Record::Watch(charge));
        }
    }

    /// The group is gone. To be called as soon as its leader was reaped: from then on its number can become another's.
    pub(in crate::supervisor) fn forget_group(&self, group: &Group) {
        for charge in charges(group) {
            self.say(&Record::Forget(charge));
        }
    }

    /// Remove this directory with all that is in it, should the edge be gone.
    pub(in crate::supervisor) fn watch_directory(&self, path: &Path) {
        self.say(&Record::Watch(Charge::Directory(path.to_owned())));
    }

    /// The directory is gone.
    pub(in crate::supervisor) fn forget_directory(&self, path: &Path) {
        self.say(&Record::Forget(Charge::Directory(path.to_owned())));
    }

    fn say(&self, record: &Record) {
        if let Some(helper) = &self.0 {
            helper.lock().say(record);
        }
    }
}

// === impl Helper ===

impl Helper {
    fn say(&mut self, record: &Record) {
        let Some(pipe) = &mut self.pipe else {
            return;
        };
        if let Err(error) = record.encode().and_then(|bytes| write_whole(pipe, &bytes)) {
            log::warn!(
                "Children of workers may outlive a killed asgate, its guardian is lost: {error}"
            );
            self.end_now();
        }
    }

    /// Kills it before it sees the pipe closed, which it would take for the end of the edge.
    fn end_now(&mut self) {
        // It fails for one that has been reaped only, and nobody else reaps it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.pipe = None;
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if self.pipe.take().is_none() {
            return;
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        self.end_now();
    }
}

fn charges(group: &Group) -> impl Iterator<Item = Charge> {
    let cgroup = group.cgroup.as_ref().map(|it| Charge::Cgroup(it.path().to_owned()));
    [Charge::Group(group.leader)].into_iter().chain(cgroup)
}

/// All or nothing: a write of at most `PIPE_BUF` bytes is never split (pipe(7)).
fn write_whole(pipe: &mut ChildStdin, bytes: &[u8]) -> io::Result<()> {
    match pipe.write(bytes)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

fn never_block(pipe: &ChildStdin) -> io::Result<()> {
    // SAFETY: no pointers; the descriptor is open, `pipe` owns it. Its flags are O_WRONLY and nothing else.
    match unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Between fork and exec: a session of its own, out of reach of the edge's terminal; deaf to requests to stop, which
/// exec does not undo (signal(7)); and no descriptor but the first three, not even those that the edge got from its
/// own parent.
fn detach() -> io::Result<()> {
    // SAFETY: no pointers but a constant of the system's; these calls are allowed here (signal-safety(7)).
    unsafe {
        // It fails for the leader of a group only, and a process just forked is none.
        libc::setsid();
        for signal in IGNORED {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
    #[cfg(target_os = "linux")]
    close_on_exec();
    Ok(())
}

/// By number, because the C library may be older than the kernel. Linux before 5.11 does not know it; the descriptors
/// that asgate itself opened are closed by exec anyway.
#[cfg(target_os = "linux")]
fn close_on_exec() {
    // SAFETY: no pointers.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// In the guardian: the edge is gone.
fn end(charge: &Charge) {
    match charge {
        // SAFETY: no pointers. `Charge` has no number that stands for more than one group.
        Charge::Group(leader) => drop(unsafe { libc::killpg(*leader, libc::SIGKILL) }),
        Charge::Cgroup(path) => cgroup::end(path),
        // There is nobody to tell, and the system's own cleaning comes for it later.
        Charge::Directory(path) => drop(fs::remove_dir_all(path)),
    }
}

#[cfg(test)]
mod tests;
