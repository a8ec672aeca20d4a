//! Directories that only asgate's user may enter and that go away with their owner: for sockets of workers, for
//! files that workers load.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;

use super::platform::{self, Guardian};

/// A directory that could not be made; it reads as the end of a sentence that says what it was for.
#[derive(Debug, Error)]
#[error("{}: {source}", path.display())]
pub struct DirectoryError {
    path: PathBuf,
    source: io::Error,
}

/// A directory of mode 0700 with an unguessable name, removed with all that is in it when dropped; by the guardian when
/// asgate is killed.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
    guardian: Guardian,
}

impl PrivateDirectory {
    /// In `$XDG_RUNTIME_DIR` where that can be written to, else in the temporary directory.
    pub(super) fn create(guardian: &Guardian) -> Result<Self, DirectoryError> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        if let Some(runtime) = runtime.filter(|path| path.is_absolute()) {
            match Self::create_in(&runtime, guardian) {
                Ok(directory) => return Ok(directory),
                Err(error) => log::debug!("XDG_RUNTIME_DIR not used: path={error}"),
            }
        }
        Self::create_in(&std::env::temp_dir(), guardian)
    }

    pub(super) fn create_in(parent: &Path, guardian: &Guardian) -> Result<Self, DirectoryError> {
        // The last digits of a version 7 UUID are its random ones (RFC 9562 section 5.7).
        let random = Uuid::now_v7().as_u128() & 0xffff_ffff_ffff;
        let path = parent.join(format!("asgate-{}-{random:012x}", std::process::id()));
        match platform::create_private_directory(&path) {
            Ok(()) => {
                guardian.watch_directory(&path);
                Ok(Self { path, guardian: guardian.clone() })
            }
            Err(source) => Err(DirectoryError { path, source }),
        }
    }

    /// Sees to it that it is there, elsewhere if need be: cleaners of temporary files take what is old, and
    /// `$XDG_RUNTIME_DIR` goes when its user has logged out everywhere. What was in it is not made again.
    pub(super) fn restore(&mut self) -> Result<(), DirectoryError> {
        if platform::is_own_directory(&self.path) {
            return Ok(());
        }
        let gone = std::mem::replace(self, Self::create(&self.guardian)?);
        let (before, now) = (gone.path.display(), self.path.display());
        log::warn!(
            "A private directory was removed by others, made again: path={before} now={now}"
        );
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!(
                    "Cannot remove a private directory: path={} error={error}",
                    self.path.display()
                );
            }
            _ => {}
        }
        self.guardian.forget_directory(&self.path);
    }
}
