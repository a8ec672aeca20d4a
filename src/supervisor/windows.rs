//! The supervisor's needs of Windows: job objects, console control events. There are no Unix sockets here: Windows has
//! them, but Python's asyncio, and with it Uvicorn, does not use them.

#![expect(unsafe_code, reason = "calls into the operating system")]

use std::ffi::c_void;
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED, OpenThread, ResumeThread, THREAD_SUSPEND_RESUME,
};

/// Whether workers can be reached by Unix sockets.
pub(super) const UNIX_SOCKETS: bool = false;
/// Where a virtual environment has its interpreter.
pub(super) const INTERPRETER_IN_ENVIRONMENT: &str = r"Scripts\python.exe";
/// What the system's interpreter is called, best first; `py` is the launcher of python.org's installer.
pub(super) const INTERPRETERS: &[&str] = &["python", "py"];

/// What a process gets as its exit code when it is killed with its job.
const KILLED: u32 = 1;

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

/// There is no socket path that can be used.
pub(super) fn check_socket_path(_path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails: see [`UNIX_SOCKETS`]. The type is any stream's.
pub(super) async fn connect_unix(_path: &Path) -> io::Result<TcpStream> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes the process to be started the leader of a new console process group, so that CTRL_BREAK can be sent to it
/// alone. It starts suspended: a process that runs before it is in its job could start children outside of it, and a virtual
/// environment's `python.exe` does nothing but start a child.
pub(super) fn prepare(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED);
}

impl Group {
    /// Puts a process that was started after [`prepare`] into a job of its own and lets it run.
    pub(super) fn adopt(child: &Child, pid: u32) -> io::Result<Self> {
        let process =
            child.raw_handle().ok_or_else(|| io::Error::other("the new process has no handle"))?;
        let job = new_job()?;
        // SAFETY: both handles are open; `child` and `job` own them.
        check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), process) })?;
        resume(pid)?;
        Ok(Self { job, leader: pid })
    }

    /// CTRL_BREAK to the leader's group; CTRL_C is ignored by new groups. Needs a console that asgate and the worker
    /// share.
    pub(super) fn ask_to_stop(&self) -> io::Result<()> {
        // SAFETY: no pointers; the group was made by our own child.
        check(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.leader) })
    }

    /// Ends every process of the job.
    pub(super) fn kill(&self) {
        // SAFETY: the handle is open, `self` owns it. If this fails there is still the close of the handle.
        unsafe { TerminateJobObject(self.job.as_raw_handle(), KILLED) };
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

/// Lets a suspended process run. std keeps the handle of the first thread to itself, so it is looked up; a suspended
/// process has no other.
fn resume(pid: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above opened it and nobody else has it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry =
        THREADENTRY32 { dwSize: structure_size::<THREADENTRY32>()?, ..THREADENTRY32::default() };
    // SAFETY: the snapshot is open and `entry` says its size; the same goes for the call in the loop.
    check(unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) })?;
    while entry.th32OwnerProcessID != pid {
        check(unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) })?;
    }
    resume_thread(entry.th32ThreadID)
}

fn resume_thread(id: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    let thread = unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, id) };
    if thread.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above opened it and nobody else has it.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    // SAFETY: the handle is open with the right to resume.
    match unsafe { ResumeThread(thread.as_raw_handle()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
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
