//! Which processes descend from a worker, what memory they use and which sockets they hold, as `/proc` tells it: Linux.
//! Where there is no `/proc`, nothing is known.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// What proc_pid_stat(5) says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    pid: u32,
    parent: u32,
    group: u32,
}

/// The process, its descendants and the members of its process group, whose parents may be gone. `None` where the
/// system does not say.
///
/// One pass over all processes: `/proc/PID/task/TID/children` is not in every kernel, would have to be read for every
/// thread, and misses members whose parent ended (proc_pid_task_tid_children(5)).
pub(super) fn members(leader: u32) -> Option<Vec<u32>> {
    let all: Vec<Entry> = std::fs::read_dir("/proc").ok()?.flatten().filter_map(entry).collect();
    Some(family(leader, &all))
}

/// Resident memory of these processes in bytes. Pages that several share are counted for each. `None` where the system
/// does not say it of any.
pub(super) fn resident(members: &[u32], page_size: u64) -> Option<u64> {
    let pages = members.iter().filter_map(|pid| resident_pages(*pid));
    pages.reduce(u64::saturating_add).map(|pages| pages.saturating_mul(page_size))
}

/// Whether the process has one of these sockets open; false for one that is gone.
///
/// # Errors
/// Its descriptors may not be read.
pub(super) fn holds_socket(pid: u32, inodes: &[u64]) -> io::Result<bool> {
    let descriptors = match std::fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(descriptors) => descriptors,
        Err(error) if is_gone(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    for descriptor in descriptors {
        // One that was closed or a process that ended meanwhile holds nothing.
        let Ok(target) = descriptor.and_then(|it| std::fs::read_link(it.path())) else {
            continue;
        };
        if socket_inode(&target).is_some_and(|inode| inodes.contains(&inode)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn entry(directory: std::fs::DirEntry) -> Option<Entry> {
    let pid = directory.file_name().to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(directory.path().join("stat")).ok()?;
    parse_stat(pid, &stat)
}

/// `None` for a process that has ended and was not reaped: it holds nothing any more.
fn parse_stat(pid: u32, stat: &str) -> Option<Entry> {
    // The name is in parentheses and may hold any character, these included.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split_ascii_whitespace();
    if matches!(words.next()?, "Z" | "X") {
        return None;
    }
    Some(Entry { pid, parent: words.next()?.parse().ok()?, group: words.next()?.parse().ok()? })
}

fn family(leader: u32, all: &[Entry]) -> Vec<u32> {
    let first = all.iter().filter(|it| it.pid == leader || it.group == leader);
    let mut found: BTreeSet<u32> = first.map(|it| it.pid).collect();
    loop {
        let before = found.len();
        for it in all {
            if found.contains(&it.parent) {
                found.insert(it.pid);
            }
        }
        if found.len() == before {
            return found.into_iter().collect();
        }
    }
}

/// The second number of proc_pid_statm(5).
fn resident_pages(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The inode in `socket:[4711]`, which is what the link of a socket's descriptor reads (proc_pid_fd(5)).
fn socket_inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests;
