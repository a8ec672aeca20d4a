//! The supervisor's needs of a Unix system: process groups, signals, private directories, Unix sockets.
//!
//! Where to read on: `listeners` (who listens where), `processes` (who belongs to a worker), `cgroup` (a firmer hold
//! on those), `guardian` (who cleans up when the edge cannot). What they read of `/proc` is Linux's; elsewhere they
//! answer that they do not know.

#![expect(unsafe_code, reason = "calls into the operating system")]

mod cgroup;
mod guardian;
mod listeners;
mod processes;

#[cfg(target_os = "linux")]
use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::process::{Child, Command};

use self::cgroup::{Cgroup, Cgroups};
pub use self::guardian::{Guardian, guardian_main};
pub(super) use self::listeners::is_listed;
pub(super) use super::listening::Listening;
use crate::config::Address;
use crate::net;

/// Whether workers can be reached by Unix sockets.
pub(super) const UNIX_SOCKETS: bool = true;
/// Where a virtual environment has its interpreter.
pub(super) const INTERPRETER_IN_ENVIRONMENT: &str = "bin/python";
/// What the system's interpreter is called, best first.
pub(super) const INTERPRETERS: &[&str] = &["python3"];

/// Where groups come from: what this system lets us use for them.
#[derive(Debug)]
pub(super) struct Groups {
    cgroups: Option<Arc<Cgroups>>,
}

/// What was made for a process that is about to be started.
#[derive(Debug)]
pub(super) struct Prepared {
    cgroup: Option<Cgroup>,
}

/// A process group, whose id is the process id of its leader, and the control group that its leader entered, if there
/// is one. The kills go to both: the one has members that left the other.
#[derive(Debug)]
pub(super) struct Group {
    leader: libc::pid_t,
    cgroup: Option<Cgroup>,
}

/// Whether this is a file with an execute bit.
pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Fails if anything is there already, so that nobody can have prepared it.
pub(super) fn create_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Whether this is a directory, and ours: another user's can have taken the place of one that was removed. Its mode is
/// not looked at, since nobody else could have changed that of ours.
pub(super) fn is_own_directory(path: &Path) -> bool {
    // SAFETY: no pointers, and it cannot fail.
    let own = unsafe { libc::geteuid() };
    path.symlink_metadata().is_ok_and(|it| it.is_dir() && it.uid() == own)
}

/// Whether the path fits into a socket address (`sun_path`: 108 bytes on Linux, the closing zero included).
pub(super) fn check_socket_path(path: &Path) -> io::Result<()> {
    SocketAddr::from_pathname(path).map(drop)
}

// === impl Groups ===

impl Groups {
    /// Looks at what the system offers; to be done once, not for every process.
    pub(super) fn new() -> Self {
        Self { cgroups: Cgroups::delegated() }
    }

    /// Makes the process to be started the leader of a new group (so that a Ctrl-C in asgate's terminal does not reach
    /// it past the drain, and that its descendants can be killed with it) and ties its life to asgate's.
    ///
    /// # Errors
    /// None on this system: what cannot be had is done without.
    pub(super) fn prepare(&self, command: &mut Command) -> io::Result<Prepared> {
        command.process_group(0);
        restore_limits(command);
        #[cfg(target_os = "linux")]
        die_with_parent(command);
        let cgroup = self.cgroups.as_ref().and_then(|cgroups| {
            let entered = cgroups.create().and_then(|cgroup| {
                enter(command, cgroup.entrance()?);
                Ok(cgroup)
            });
            entered.inspect_err(|error| log::debug!("Control group not used: {error}")).ok()
        });
        Ok(Prepared { cgroup })
    }
}

/// Lets the process have as many open files as if asgate had not asked for more for itself.
fn restore_limits(command: &mut Command) {
    // SAFETY: the closure reads a value that was written before, and makes one system call, setrlimit(2).
    unsafe { command.pre_exec(net::restore_open_files) };
}

/// Lets the process write itself into a control group before it can start another.
fn enter(command: &mut Command, mut entrance: File) {
    let enter = move || {
        // The process group is there in any case.
        let _ = entrance.write(b"0");
        Ok(())
    };
    // SAFETY: the closure makes one system call, write(2), and neither allocates nor locks.
    unsafe { command.pre_exec(enter) };
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

/// Whether an attribute of a file (xattr(7)) has this value. One that cannot be read has not.
#[cfg(target_os = "linux")]
fn attribute_is(path: &Path, name: &CStr, value: &[u8]) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    // One byte more than is looked for, so that a longer value does not fit by its beginning.
    let mut found = vec![0_u8; value.len().saturating_add(1)];
    // SAFETY: both names end with a zero byte; the buffer has the size that is given, and lives through the call.
    let length = unsafe {
        libc::getxattr(path.as_ptr(), name.as_ptr(), found.as_mut_ptr().cast(), found.len())
    };
    usize::try_from(length).is_ok_and(|length| found.get(..length) == Some(value))
}

/// In bytes.
fn page_size() -> Option<u64> {
    // SAFETY: no pointers.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()
}

// === impl Group ===

impl Group {
    /// Takes charge of the group of a process that was started after [`Groups::prepare`].
    pub(super) fn adopt(_child: &Child, pid: u32, prepared: Prepared) -> io::Result<Self> {
        let leader = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        Ok(Self { leader, cgroup: prepared.cgroup })
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
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        // SAFETY: no pointers; the group was made by our own child.
        // The one error possible, ESRCH, says that the group is empty, which is what was wanted.
        unsafe { libc::killpg(self.leader, libc::SIGKILL) };
    }

    /// Whether a process of the group listens at the address. Reads the tables of sockets and, when somebody listens,
    /// all of `/proc`: once for a start, not every second; see [`is_listed`] for that. Blocks for some milliseconds.
    pub(super) fn listening(&self, address: &Address) -> Listening {
        listeners::listening(address, || self.members().unwrap_or_default())
    }

    /// Resident memory of the leader and all its descendants in bytes, shared pages counted for each. `None` where the
    /// system does not say. Blocks like [`Group::listening`]; not to be asked every second for every worker either.
    pub(super) fn memory(&self) -> Option<u64> {
        processes::resident(&self.members()?, page_size()?)
    }

    fn members(&self) -> Option<Vec<u32>> {
        let leader = u32::try_from(self.leader).ok()?;
        let inside = self.cgroup.as_ref().and_then(|cgroup| cgroup.processes().ok());
        // It is not inside if it could not enter.
        inside.filter(|pids| pids.contains(&leader)).or_else(|| processes::members(leader))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
