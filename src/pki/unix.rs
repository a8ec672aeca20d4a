//! Who may read a file, on Unix systems.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// "Others" may read (inode(7)).
const S_IROTH: u32 = 0o004;

/// Whether every user of the system may read the file at `path`, as far as its own mode says: directories above may
/// still bar the way. `false` when it cannot be known.
pub fn is_open_to_all(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.mode() & S_IROTH != 0)
}
