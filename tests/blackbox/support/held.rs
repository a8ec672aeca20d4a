//! What a process holds, and what it leaves: descriptors, threads, memory, descendants, listening sockets.

use std::path::{Path, PathBuf};

use super::edge::is_gone;
use super::wait_for;

/// Descriptors and threads of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub descriptors: usize,
    pub threads: u64,
}

pub fn held_by(pid: u32) -> Held {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    Held { descriptors: descriptors.count(), threads: of_status(pid, "Threads:") }
}

/// A number of `/proc/PID/status`; those of memory are in KiB.
pub fn of_status(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {field} in {status}"))
}

/// Waits until none of these processes is there any more.
pub fn wait_until_gone(what: &str, pids: &[u32]) {
    wait_for(&format!("{what} ({pids:?}) to be gone"), || {
        pids.iter().all(|&pid| is_gone(pid)).then_some(())
    });
}

/// Whether a process listens at `address`, `127.0.0.1:PORT`: there is such a row in the system's table. Asking opens no
/// connection.
pub fn is_listened_at(address: &str) -> bool {
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let port = port.unwrap_or_else(|| panic!("{address} has no port"));
    // `sl local_address rem_address st …`: IPv4 in the byte order of the machine, a listener has state 0A.
    let local = format!("{:08X}:{port:04X}", u32::from_ne_bytes([127, 0, 0, 1]));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    table.lines().any(|row| {
        let mut fields = row.split_whitespace().skip(1);
        fields.next() == Some(&local) && fields.nth(1) == Some("0A")
    })
}

/// What is in a directory.
pub fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
