//! Who listens where, as `/proc/net` tells it: Linux. Where there is no `/proc`, nothing is known but that nobody can
//! be reached at a path that is gone.
//!
//! The tables are those of this process's network namespace. A worker that its command puts into another one is not in
//! them; nor could it be reached there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::processes;
use crate::config::Address;
use crate::supervisor::listening::{Listening, covers};

/// `TCP_LISTEN` of the kernel's `tcp_states.h`, as the tables spell it.
const TCP_LISTEN: &str = "0A";
/// `__SO_ACCEPTCON`: the flag of a Unix socket that listens (proc_net_unix(5)).
const ACCEPTS: u32 = 0x0001_0000;
/// Few reads of a table that can be long.
const BUFFER: usize = 64 * 1024;

/// Whether somebody listens at the address; `None` where the system does not say. Ends at the first row that fits, and
/// the tables begin with the listening sockets (the kernel's `networking/proc_net_tcp.rst`): dear only when nobody does.
pub(in crate::supervisor) fn is_listed(address: &Address) -> Option<bool> {
    sockets_at(address, 1).ok().map(|sockets| !sockets.is_empty())
}

/// Whether one of these processes listens at the address. A socket handed down is held by parent and child; either
/// will do.
///
/// [`Listening::Unknown`] also when somebody listens but the descriptors of a member may not be read, as of one that
/// runs as another user: it may be the owner.
pub(super) fn listening(address: &Address, members: impl FnOnce() -> Vec<u32>) -> Listening {
    let Ok(sockets) = sockets_at(address, usize::MAX) else {
        return Listening::Unknown;
    };
    if sockets.is_empty() {
        return Listening::Absent;
    }
    let mut otherwise = Listening::Foreign;
    for pid in members() {
        match processes::holds_socket(pid, &sockets) {
            Ok(true) => return Listening::Ours,
            Ok(false) => {}
            Err(error) => {
                log::debug!("Descriptors cannot be read: pid={pid} error={error}");
                otherwise = Listening::Unknown;
            }
        }
    }
    otherwise
}

/// The inodes of the sockets that listen at the address, no more than `enough`: with `SO_REUSEPORT` there are several.
/// A Unix socket stays in its table when its path was removed, and then nobody can connect to it any more (unix(7)).
fn sockets_at(address: &Address, enough: usize) -> io::Result<Vec<u64>> {
    match address {
        Address::Unix(path) if matches!(path.try_exists(), Ok(false)) => Ok(Vec::new()),
        Address::Unix(path) => search("/proc/net/unix", enough, |row| unix_listener(row, path)),
        Address::Tcp(to) => {
            let row = |row: &[u8]| {
                let (at, inode) = tcp_listener(str::from_utf8(row).ok()?)?;
                covers(at, *to).then_some(inode)
            };
            let mut found = search("/proc/net/tcp", enough, row)?;
            if found.len() < enough {
                match search("/proc/net/tcp6", enough.saturating_sub(found.len()), row) {
                    Ok(more) => found.extend(more),
                    // A system without IPv6 has no such table.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        }
    }
}

fn search(
    table: &str,
    enough: usize,
    wanted: impl Fn(&[u8]) -> Option<u64>,
) -> io::Result<Vec<u64>> {
    let rows = BufReader::with_capacity(BUFFER, File::open(table)?).split(b'\n');
    let found = rows.filter_map(|row| row.map(|row| wanted(&row)).transpose());
    found.take(enough).collect()
}

/// Address and inode of a row of `tcp` or `tcp6` (proc_net_tcp(5)) that is a listening socket.
fn tcp_listener(row: &str) -> Option<(SocketAddr, u64)> {
    let mut words = row.split_ascii_whitespace();
    // sl, local_address, rem_address, st, queues, timer, retrnsmt, uid, timeout, inode
    let local = words.nth(1)?;
    if words.nth(1)? != TCP_LISTEN {
        return None;
    }
    let inode = words.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    Some((SocketAddr::new(ip_address(ip)?, u16::from_str_radix(port, 16).ok()?), inode))
}

/// An address as the tables spell it: words of 32 bits in network order, printed as if they were in the machine's.
fn ip_address(digits: &str) -> Option<IpAddr> {
    match digits.len() {
        8 => Some(Ipv4Addr::from(network_word(digits)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (four, at) in octets.chunks_exact_mut(4).zip((0..).step_by(8)) {
                four.copy_from_slice(&network_word(digits.get(at..at + 8)?)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

fn network_word(digits: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
}

/// The inode of a row of `unix` (proc_net_unix(5)) that is a socket listening at `path`. The row shows the path as it
/// was bound.
fn unix_listener(mut row: &[u8], path: &Path) -> Option<u64> {
    // Num, RefCount, Protocol, Flags, Type, St, Inode, Path
    for _ in 0..3 {
        next_word(&mut row)?;
    }
    let flags = u32::from_str_radix(next_word(&mut row)?, 16).ok()?;
    for _ in 0..2 {
        next_word(&mut row)?;
    }
    let inode = next_word(&mut row)?.parse().ok()?;
    // One space, then the path with all the spaces that it has.
    let bound = OsStr::from_bytes(row.strip_prefix(b" ")?);
    (flags & ACCEPTS != 0 && bound == path).then_some(inode)
}

fn next_word<'a>(row: &mut &'a [u8]) -> Option<&'a str> {
    let rest = row.trim_ascii_start();
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let (word, rest) = rest.split_at_checked(end)?;
    *row = rest;
    str::from_utf8(word).ok()
}

#[cfg(test)]
mod tests;
