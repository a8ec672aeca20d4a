//! The supervisor's needs of Windows: job objects, console control events. There are no Unix sockets here: Windows has
//! them, but Python's asyncio, and with it Uvicorn, does not use them.
//!
//! Where to read on: `console` (through which workers are asked to stop), `listeners` (who listens where), `processes`
//! (who belongs to a worker).

#![expect(unsafe_code, reason = "calls into the operating system")]

mod console;
mod listeners;
mod processes;

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::process::ExitCode;
use std::ptr::null;

use tokio::process::{Child, Command};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED};

pub(super) use self::listeners::is_listed;
pub(super) use super::listening::Listening;
use crate::config::Address;

/// Whether workers can be reached by Unix sockets.
pub(super) const UNIX_SOCKETS: bool = false;
/// Where a virtual environment has its interpreter.
pub(super) const INTERPRETER_IN_ENVIRONMENT: &str = r"Scripts\python.exe";
/// What the system's interpreter is called, best first. `py` is the launcher that comes with Python; it is there only
/// together with an interpreter, while every Windows has a `python` on its PATH that merely opens the Microsoft Store.
pub(super) const INTERPRETERS: &[&str] = &["py", "python"];

/// What a process gets as its exit code when it is killed with its job.
const KILLED: u32 = 1;

/// Where groups come from.
#[derive(Debug)]
pub(super) struct Groups;

/// What was made for a process that is about to be started: its job.
#[derive(Debug)]
pub(super) struct Prepared(OwnedHandle);

/// Nothing to do on this system: the jobs close with the edge, however it ends, and that kills what is in them. There
/// are no sockets, and so no directories, to remove.
#[derive(Debug, Clone, Default)]
pub struct Guardian(());

/// A job object that holds a process and all its descendants, and a console process group led by that process. The
/// system kills the job when its last handle closes: when this is dropped, or asgate ends in whatever way.
#[derive(Debug)]
pub(super) struct Group {
    job: OwnedHandle,
    leader: u32,
}

/// Whether this is a file. Links are not followed: the `python.exe` of the Microsoft Store is a reparse point that can
/// be executed but not opened.
pub(super) fn is_executable(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|file| !file.is_dir())
}

/// The user's temporary directory is private to the user already; a new directory inherits that.
pub(super) fn create_private_directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// Whether this is a directory. The one that it is in keeps other users from putting theirs in its place.
pub(super) fn is_own_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_dir())
}

/// There is no socket path that can be used.
pub(super) fn check_socket_path(_path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no guardian to be on this system: see [`Guardian`].
pub fn guardian_main() -> ExitCode {
    ExitCode::SUCCESS
}

// === impl Guardian ===

impl Guardian {
    /// The argument that makes this program a guardian.
    pub const WORD: &str = "guardian";

    /// Starts nothing.
    ///
    /// # Errors
    /// None on this system.
    pub fn start() -> io::Result<Self> {
        Ok(Self::default())
    }

    pub(super) fn watch_group(&self, _group: &Group) {}

    pub(super) fn forget_group(&self, _group: &Group) {}

    pub(super) fn watch_directory(&self, _path: &Path) {}

    pub(super) fn forget_directory(&self, _path: &Path) {}
}

// === impl Groups ===

impl Groups {
    /// Sees to it that workers can be asked to stop; to be done before the first of them.
    pub(super) fn new() -> Self {
        if let Err(error) = console::ensure() {
            log::warn!("No console: workers can only be killed, not asked to stop: {error}");
        }
        Self
    }

    /// Makes the process to be started the leader of a new console process group, so that CTRL_BREAK can be sent to it
    /// alone. It starts suspended: a process that runs before it is in its job could start children outside of it, and
    /// a virtual environment's `python.exe` does nothing but start a child.
    ///
    /// # Errors
    /// No job can be had.
    pub(super) fn prepare(&self, command: &mut Command) -> io::Result<Prepared> {
        let job = new_job()?;
        command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED);
        Ok(Prepared(job))
    }
}

// === impl Group ===

impl Group {
    /// Puts a process that was started after [`Groups::prepare`] into its job and lets it run.
    pub(super) fn adopt(child: &Child, pid: u32, prepared: Prepared) -> io::Result<Self> {
        let process =
            child.raw_handle().ok_or_else(|| io::Error::other("the new process has no handle"))?;
        let Prepared(job) = prepared;
        // SAFETY: both handles are open; `child` and `job` own them.
        check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), process) })?;
        processes::resume(pid)?;
        Ok(Self { job, leader: pid })
    }

    /// CTRL_BREAK to the leader's group; CTRL_C is ignored by new groups. The console that it goes through is
    /// the one of [`console::ensure`], which asgate and the worker share; asgate is not in the group and gets no event.
    pub(super) fn ask_to_stop(&self) -> io::Result<()> {
        // SAFETY: no pointers; the group was made by our own child.
        check(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.leader) })
    }

    /// Ends every process of the job.
    pub(super) fn kill(&self) {
        // SAFETY: the handle is open, `self` owns it. If this fails there is still the close of the handle.
        unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) };
    }

    /// Whether a process of the job listens at the address. Blocks for a moment.
    pub(super) fn listening(&self, address: &Address) -> Listening {
        listeners::listening(address, || processes::members(&self.job))
    }

    /// Working sets of all processes of the job in bytes, shared pages counted for each. `None` where the system does
    /// not say. Blocks for a moment.
    pub(super) fn memory(&self) -> Option<u64> {
        processes::resident(&processes::members(&self.job).ok()?)
    }
}

/// A job whose processes are killed when its last handle closes.
fn new_job() -> io::Result<OwnedHandle> {
    // SAFETY: no security attributes and no name; both pointers may be null.
    let job = unsafe { CreateJobObjectW(null(), null()) };
    if job.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above opened it and nobody else has it.
    let job = unsafe { OwnedHandle::from_raw_handle(job) };
    let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    // SAFETY: the pointer and the size are those of the structure that this information class asks for.
    check(unsafe {
        SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            (&raw const limits).cast::<c_void>(),
            structure_size::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>()?,
        )
    })?;
    Ok(job)
}

/// The result of a call that returns zero when it fails.
fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn structure_size<T>() -> io::Result<u32> {
    u32::try_from(size_of::<T>()).map_err(io::Error::other)
}
