//! The bytes of a file, of bounded size.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Error, Kind, Origin, Part};

/// More than any chain, key or OCSP response takes.
pub const SMALL: u64 = 1 << 20;

/// Bundles of authorities and, above all, CRLs grow.
pub const LARGE: u64 = 64 << 20;

/// The bytes of a file, and what it is for.
#[derive(PartialEq, Eq)]
pub struct File {
    pub part: Part,
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl File {
    /// Reads the file at `path`, which has `limit` bytes at most.
    ///
    /// # Errors
    /// It cannot be read, is no file, is larger, or is empty.
    pub fn read(part: Part, path: &Path, limit: u64) -> Result<Self, Error> {
        match bytes(path, limit) {
            Ok(bytes) => Ok(Self { part, path: path.to_owned(), bytes }),
            Err(kind) => Err(Error { part, path: path.to_owned(), kind }),
        }
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        Origin { part: self.part, path: self.path.clone() }
    }

    /// That it is of no use, because of `kind`.
    pub fn error(&self, kind: Kind) -> Error {
        Error { part: self.part, path: self.path.clone(), kind }
    }
}

fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Kind> {
    // To open a pipe that nobody writes to would wait for ever.
    if !std::fs::metadata(path).map_err(Kind::Unreadable)?.is_file() {
        return Err(Kind::NotAFile);
    }
    let bytes = read_some(path, limit.saturating_add(1)).map_err(Kind::Unreadable)?;
    if bytes.is_empty() {
        return Err(Kind::Empty);
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        return Ok(bytes);
    }
    Err(Kind::TooLarge { limit })
}

fn read_some(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
