//! Who listens where, as the table of TCP sockets tells it.
//!
//! The table names the process that made a socket, not those that it was handed to. A socket handed down is therefore
//! ours only while its maker lives; so it is with Uvicorn's and Granian's parents.

#![expect(unsafe_code, reason = "calls into the operating system")]

use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, MIB_TCP6ROW_OWNER_PID, MIB_TCPROW_OWNER_PID, TCP_TABLE_OWNER_PID_LISTENER,
};
use windows_sys::Win32::Networking::WinSock::{ADDRESS_FAMILY, AF_INET, AF_INET6};

use crate::config::Address;
use crate::supervisor::listening::{Listening, covers};

/// The table may grow between the call that says its size and the one that reads it.
const ATTEMPTS: usize = 8;

/// A listening socket and the process that made it.
#[derive(Debug, Clone, Copy)]
struct Listener {
    address: SocketAddr,
    owner: u32,
}

/// Whether somebody listens at the address; `None` where the system does not say. Two system calls for each of IPv4 and
/// IPv6, and only listening sockets are read.
pub(in crate::supervisor) fn is_listed(address: &Address) -> Option<bool> {
    owners(address).ok().map(|owners| !owners.is_empty())
}

/// Whether one of these processes listens at the address.
pub(super) fn listening(
    address: &Address,
    members: impl FnOnce() -> io::Result<Vec<u32>>,
) -> Listening {
    let Ok(owners) = owners(address) else {
        return Listening::Unknown;
    };
    if owners.is_empty() {
        return Listening::Absent;
    }
    match members() {
        Ok(members) if owners.iter().any(|owner| members.contains(owner)) => Listening::Ours,
        Ok(_) => Listening::Foreign,
        Err(_) => Listening::Unknown,
    }
}

fn owners(address: &Address) -> io::Result<Vec<u32>> {
    let Address::Tcp(to) = address else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let v4 = rows::<MIB_TCPROW_OWNER_PID>(&table(AF_INET)?).into_iter().map(Listener::from);
    let v6 = rows::<MIB_TCP6ROW_OWNER_PID>(&table(AF_INET6)?).into_iter().map(Listener::from);
    let here = v4.chain(v6).filter(|listener| covers(listener.address, *to));
    Ok(here.map(|listener| listener.owner).collect())
}

/// The table of one family: the number of rows, then the rows. In words of 32 bits, as which both are aligned.
fn table(family: ADDRESS_FAMILY) -> io::Result<Vec<u32>> {
    let mut words = Vec::<u32>::new();
    for _ in 0..ATTEMPTS {
        let mut size = u32::try_from(size_of_val(words.as_slice())).map_err(io::Error::other)?;
        // SAFETY: the pointer is that of a buffer with as many bytes as `size` says.
        let code = unsafe {
            GetExtendedTcpTable(
                words.as_mut_ptr().cast(),
                &raw mut size,
                0,
                u32::from(family),
                TCP_TABLE_OWNER_PID_LISTENER,
                0,
            )
        };
        match code {
            NO_ERROR => return Ok(words),
            ERROR_INSUFFICIENT_BUFFER => {
                let bytes = usize::try_from(size).map_err(io::Error::other)?;
                words.resize(bytes.div_ceil(size_of::<u32>()), 0);
            }
            code => {
                return Err(
                    i32::try_from(code).map_or_else(io::Error::other, io::Error::from_raw_os_error)
                );
            }
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// A row of a table: a structure of 32-bit words and bytes in which any bits are a value.
///
/// # Safety
/// Implementors are that.
unsafe trait Row: Copy {}

// SAFETY: six words.
unsafe impl Row for MIB_TCPROW_OWNER_PID {}
// SAFETY: two addresses of 16 bytes and six words.
unsafe impl Row for MIB_TCP6ROW_OWNER_PID {}

fn rows<R: Row>(table: &[u32]) -> Vec<R> {
    let Some((count, words)) = table.split_first() else {
        return Vec::new();
    };
    let count = usize::try_from(*count).unwrap_or(usize::MAX);
    let rows = words.chunks_exact(size_of::<R>() / size_of::<u32>()).take(count);
    // SAFETY: the words are as many as a row has, and what they hold is one by the trait's promise.
    rows.map(|words| unsafe { words.as_ptr().cast::<R>().read_unaligned() }).collect()
}

// === impl Listener ===

impl From<MIB_TCPROW_OWNER_PID> for Listener {
    fn from(row: MIB_TCPROW_OWNER_PID) -> Self {
        let ip = Ipv4Addr::from(row.dwLocalAddr.to_ne_bytes());
        let address = SocketAddr::from((ip, port(row.dwLocalPort)));
        Self { address, owner: row.dwOwningPid }
    }
}

impl From<MIB_TCP6ROW_OWNER_PID> for Listener {
    fn from(row: MIB_TCP6ROW_OWNER_PID) -> Self {
        let address = SocketAddr::from((Ipv6Addr::from(row.ucLocalAddr), port(row.dwLocalPort)));
        Self { address, owner: row.dwOwningPid }
    }
}

/// The first two bytes of the word, in network order; the others may hold anything.
fn port(word: u32) -> u16 {
    let [high, low, ..] = word.to_ne_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests;
