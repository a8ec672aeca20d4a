//! What the edge tells its guardian: records of the form `watch group 4711`, each closed by a zero byte, which no path
//! can contain. The end of the stream means that the edge is gone.
//!
//! Must not do what it is told: that is the caller's of [`run`].

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `PIPE_BUF` of Linux; POSIX promises no more than 512 bytes, as macOS has it.
#[cfg(target_os = "linux")]
const LONGEST: usize = 4096;
#[cfg(not(target_os = "linux"))]
const LONGEST: usize = 512;

/// What must not outlive the edge. In the order in which it is ended: processes first, so that they do not write to a
/// directory that is being removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Charge {
    /// A process group; the number is above 1, as kill(2) takes 0 and 1 for "my own" and "all there are".
    Group(libc::pid_t),
    /// The directory of a control group.
    Cgroup(PathBuf),
    Directory(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Watch(Charge),
    Forget(Charge),
}

impl Record {
    /// The record with its zero byte.
    ///
    /// # Errors
    /// It cannot be written in one piece, or is not one that [`run`] would take.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let (verb, charge) = match self {
            Self::Watch(charge) => ("watch", charge),
            Self::Forget(charge) => ("forget", charge),
        };
        let mut bytes = match charge {
            Charge::Group(leader) => format!("{verb} group {leader}").into_bytes(),
            Charge::Cgroup(path) => with_path(verb, "cgroup", path),
            Charge::Directory(path) => with_path(verb, "directory", path),
        };
        if Self::parse(&bytes).as_ref() != Some(self) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        bytes.push(0);
        match bytes.len() <= LONGEST {
            true => Ok(bytes),
            false => Err(io::ErrorKind::InvalidFilename.into()),
        }
    }

    /// The record without its zero byte; `None` for anything else.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.splitn(3, |byte| *byte == b' ');
        let (verb, kind, what) = (words.next()?, words.next()?, words.next()?);
        let charge = match kind {
            b"group" => {
                let leader = str::from_utf8(what).ok()?.parse().ok()?;
                (leader > 1).then_some(Charge::Group(leader))?
            }
            b"cgroup" => Charge::Cgroup(absolute(what)?),
            b"directory" => Charge::Directory(absolute(what)?),
            _ => return None,
        };
        match verb {
            b"watch" => Some(Self::Watch(charge)),
            b"forget" => Some(Self::Forget(charge)),
            _ => None,
        }
    }
}

/// Reads records until there are no more, then hands over each charge that was not taken back, in order. What is no
/// record is passed over, as is one that was cut off.
///
/// # Errors
/// Reading failed: whether the edge is gone is not known, and nothing was handed over.
pub(super) fn run(mut from: impl BufRead, end: impl FnMut(&Charge)) -> io::Result<()> {
    let mut charges = BTreeSet::new();
    let mut bytes = Vec::new();
    while let Some(record) = next(&mut from, &mut bytes)? {
        match Record::parse(record) {
            Some(Record::Watch(charge)) => drop(charges.insert(charge)),
            Some(Record::Forget(charge)) => drop(charges.remove(&charge)),
            None => {}
        }
    }
    charges.iter().for_each(end);
    Ok(())
}

fn next<'a>(from: &mut impl BufRead, bytes: &'a mut Vec<u8>) -> io::Result<Option<&'a [u8]>> {
    bytes.clear();
    from.read_until(0, bytes)?;
    Ok(bytes.strip_suffix(&[0]))
}

fn with_path(verb: &str, kind: &str, path: &Path) -> Vec<u8> {
    [verb.as_bytes(), kind.as_bytes(), path.as_os_str().as_bytes()].join(&b' ')
}

fn absolute(bytes: &[u8]) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(bytes));
    (path.is_absolute() && !bytes.contains(&0)).then(|| path.to_owned())
}

#[cfg(test)]
mod tests;
