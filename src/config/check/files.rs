//! Paths in the file system: made absolute, and there.

use std::path::{MAIN_SEPARATOR, PathBuf};

use super::super::place::Place;
use super::Check;

impl Check<'_> {
    /// A directory that exists.
    pub(super) fn directory(&mut self, text: &str, place: &Place<'_>) -> Option<PathBuf> {
        let path = self.absolute(text, place)?;
        if path.is_dir() {
            return Some(path);
        }
        let what = if path.exists() { "is not a directory" } else { "does not exist" };
        self.report(place.problem(format!("{what}: {}", path.display()), "a directory"));
        None
    }

    /// A program: the path of a file that exists, or a bare name that is left to `PATH`.
    pub(super) fn program(&mut self, text: &str, place: &Place<'_>) -> Option<PathBuf> {
        if !text.is_empty() && !has_separator(text) {
            return Some(PathBuf::from(text));
        }
        self.existing_file(text, place, "a program, or a name without / to look up in PATH")
    }

    /// A file that exists.
    pub(super) fn existing_file(
        &mut self,
        text: &str,
        place: &Place<'_>,
        allowed: &str,
    ) -> Option<PathBuf> {
        let path = self.absolute(text, place)?;
        if path.is_file() {
            return Some(path);
        }
        let what = if path.exists() { "is not a file" } else { "does not exist" };
        self.report(place.problem(format!("{what}: {}", path.display()), allowed));
        None
    }

    /// A path that need not lead to anything.
    pub(super) fn absolute(&mut self, text: &str, place: &Place<'_>) -> Option<PathBuf> {
        if text.is_empty() || text.contains('\0') {
            self.report(place.problem("is not a path", "a path"));
            return None;
        }
        // Without the `.` that people write before names; `..` may cross a link and stays.
        Some(self.base.join(text).components().collect())
    }
}

/// Whether `text` is a path rather than a name. `/` separates on every system.
fn has_separator(text: &str) -> bool {
    text.contains(['/', MAIN_SEPARATOR])
}
