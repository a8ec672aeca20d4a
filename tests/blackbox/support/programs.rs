//! Programs that some tests meet the edge with, and that not every machine has.

use std::path::{Path, PathBuf};

/// Where a program is; says that the test is skipped when it is nowhere.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(name))
        .find(|file| Path::new(file).is_file());
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}
