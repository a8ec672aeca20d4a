//! The supervisor's needs of a Unix system: process groups, signals, private directories, Unix sockets.

#![expect(unsafe_code, reason = "calls into the operating system")]

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// Whether workers can be reached by Unix sockets.
pub(super) const UNIX_SOCKETS: bool = true;
/// Where a virtual environment has its interpreter.
pub(super) const INTERPRETER_IN_ENVIRONMENT: &str = "bin/python";
/// What the system's interpreter is called, best first.
pub(super) const INTERPRETERS: &[&str] = &["python3"];

/// A process group; its id is the process id of its leader.
#[derive(Debug)]
pub(super) struct Group {
    leader: libc::pid_t,
}

/// Whether this is a file with an execute bit.
pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Fails if anything is there already, so that nobody can have prepared it.
pub(super) fn create_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Whether the path fits into a socket address (`sun_path`: 108 bytes on Linux, the closing zero included).
pub(super) fn check_socket_path(path: &Path) -> io::Result<()> {
    SocketAddr::from_pathname(path).map(drop)
}

/// Connects to a Unix socket.
pub(super) async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path).await
}

/// Makes the process to be started the leader of a new group (so that a Ctrl-C in asgate's terminal does not reach it
/// past the drain, and that its descendants can be killed with it) and ties its life to asgate's.
pub(super) fn prepare(command: &mut Command) {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    die_with_parent(command);
}

/// `PR_SET_PDEATHSIG`, prctl(2): the kernel kills the worker when the thread that started it is gone, even if asgate
/// was killed by SIGKILL. SIGKILL here too: a worker without its edge has no clients to finish for, and one that
/// ignored SIGTERM would stay for ever. It reaches the worker itself; children of its own are not covered.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let tie = move || {
        // SAFETY: two system calls without pointers, allowed between fork and exec (signal-safety(7)).
        let (tied, now) =
            unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
        if tied != 0 {
            return Err(io::Error::last_os_error());
        }
        // asgate ended between fork and prctl: no signal will come any more.
        if u32::try_from(now) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: the closure neither allocates nor locks; it makes the two calls above and compares numbers.
    unsafe { command.pre_exec(tie) };
}

impl Group {
    /// Takes charge of the group of a process that was started after [`prepare`].
    pub(super) fn adopt(_child: &Child, pid: u32) -> io::Result<Self> {
        let leader = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        Ok(Self { leader })
    }

    /// SIGTERM to the leader, which knows best how to end its children. It must not have been reaped.
    pub(super) fn ask_to_stop(&self) -> io::Result<()> {
        // SAFETY: no pointers; the leader is our own child.
        match unsafe { libc::kill(self.leader, libc::SIGTERM) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// SIGKILL to every process of the group.
    pub(super) fn kill(&self) {
        // SAFETY: no pointers; the group was made by our own child.
        // The one error possible, ESRCH, says that the group is empty, which is what was wanted.
        unsafe { libc::killpg(self.leader, libc::SIGKILL) };
    }
}
