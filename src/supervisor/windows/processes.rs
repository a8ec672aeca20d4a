//! Processes of a job: which they are, what memory they use, and how the first of them is let run.

#![expect(unsafe_code, reason = "calls into the operating system")]

use std::io;
use std::mem::{offset_of, size_of};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    ERROR_MORE_DATA, ERROR_NO_MORE_FILES, INVALID_HANDLE_VALUE, WIN32_ERROR,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    JOBOBJECT_BASIC_PROCESS_ID_LIST, JobObjectBasicProcessIdList, QueryInformationJobObject,
};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    OpenProcess, OpenThread, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_VM_READ, ResumeThread,
    THREAD_SUSPEND_RESUME,
};

use super::{check, structure_size};

/// Room for process ids: what is tried first, and where we give up.
const FIRST_ROOM: usize = 64;
const MOST_ROOM: usize = 64 * 1024;

/// The ids of the processes in a job.
pub(super) fn members(job: &OwnedHandle) -> io::Result<Vec<u32>> {
    let mut room = FIRST_ROOM;
    loop {
        match members_up_to(job, room) {
            Err(error) if is(&error, ERROR_MORE_DATA) && room < MOST_ROOM => room *= 2,
            outcome => return outcome,
        }
    }
}

/// The sum of the working sets of those processes that tell it, in bytes; `None` if none does.
pub(super) fn resident(members: &[u32]) -> Option<u64> {
    members.iter().filter_map(|pid| working_set(*pid).ok()).reduce(u64::saturating_add)
}

fn members_up_to(job: &OwnedHandle, room: usize) -> io::Result<Vec<u32>> {
    const HEADER: usize =
        offset_of!(JOBOBJECT_BASIC_PROCESS_ID_LIST, ProcessIdList) / size_of::<usize>();
    // The list's own element, so that it is aligned as it must be.
    let mut buffer = vec![0_usize; HEADER + room];
    let size = u32::try_from(size_of_val(buffer.as_slice())).map_err(io::Error::other)?;
    // SAFETY: the handle is open; pointer and size are the buffer's, and nobody wants the returned length.
    check(unsafe {
        QueryInformationJobObject(
            job.as_raw_handle(),
            JobObjectBasicProcessIdList,
            buffer.as_mut_ptr().cast(),
            size,
            null_mut(),
        )
    })?;
    // SAFETY: the buffer is longer than the structure and aligned for it; any bytes are a value of it.
    let list = unsafe { buffer.as_ptr().cast::<JOBOBJECT_BASIC_PROCESS_ID_LIST>().read() };
    let count = usize::try_from(list.NumberOfProcessIdsInList).map_err(io::Error::other)?;
    let ids = buffer.iter().skip(HEADER).take(count);
    Ok(ids.filter_map(|id| u32::try_from(*id).ok()).collect())
}

fn is(error: &io::Error, code: WIN32_ERROR) -> bool {
    error.raw_os_error().and_then(|code| u32::try_from(code).ok()) == Some(code)
}

fn working_set(pid: u32) -> io::Result<u64> {
    // SAFETY: no pointers.
    let process =
        unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, 0, pid) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above opened it and nobody else has it.
    let process = unsafe { OwnedHandle::from_raw_handle(process) };
    let size = structure_size::<PROCESS_MEMORY_COUNTERS>()?;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: size, ..PROCESS_MEMORY_COUNTERS::default() };
    // SAFETY: the handle is open; the pointer and the size are those of `counters`.
    check(unsafe { K32GetProcessMemoryInfo(process.as_raw_handle(), &raw mut counters, size) })?;
    u64::try_from(counters.WorkingSetSize).map_err(io::Error::other)
}

/// Lets a suspended process run. std keeps the handle of its first thread to itself, so that is looked up. Security
/// software may have put threads of its own beside it, and nothing tells which is which: all are resumed, which does
/// nothing to one that runs.
///
/// # Errors
/// None of its threads was suspended, or none that was can be resumed.
pub(super) fn resume(pid: u32) -> io::Result<()> {
    let mut outcome = Err(io::Error::other("the new process has no thread that waits to run"));
    for thread in threads(pid)? {
        match resume_thread(thread) {
            Ok(Before::Suspended) => outcome = Ok(()),
            Ok(Before::Running) => {}
            // A thread of somebody else's may be gone again; ours is not.
            Err(error) => outcome = outcome.or(Err(error)),
        }
    }
    outcome
}

/// The ids of a process's threads.
fn threads(pid: u32) -> io::Result<Vec<u32>> {
    // SAFETY: no pointers.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above opened it and nobody else has it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry =
        THREADENTRY32 { dwSize: structure_size::<THREADENTRY32>()?, ..THREADENTRY32::default() };
    let mut found = Vec::new();
    // SAFETY: the snapshot is open and `entry` says its size; the same goes for the call in the loop.
    let mut more = check(unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) });
    while more.is_ok() {
        if entry.th32OwnerProcessID == pid {
            found.push(entry.th32ThreadID);
        }
        more = check(unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) });
    }
    match more {
        Err(error) if !is(&error, ERROR_NO_MORE_FILES) => Err(error),
        _ => Ok(found),
    }
}

/// What a thread was doing when it was resumed.
enum Before {
    Running,
    Suspended,
}

fn resume_thread(id: u32) -> io::Result<Before> {
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
        0 => Ok(Before::Running),
        _ => Ok(Before::Suspended),
    }
}
