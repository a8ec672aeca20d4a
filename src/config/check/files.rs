//! Paths in the file system: made absolute, and there.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use super::super::place::Place;
use super::Check;

/// More than all CA certificates of the world take.
const LARGEST_CERTIFICATES: u64 = 16 << 20;

/// What a certificate in PEM begins with (RFC 7468 §5.1).
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

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

    fn existing_file(&mut self, text: &str, place: &Place<'_>, allowed: &str) -> Option<PathBuf> {
        let path = self.absolute(text, place)?;
        if path.is_file() {
            return Some(path);
        }
        let what = if path.exists() { "is not a file" } else { "does not exist" };
        self.report(place.problem(format!("{what}: {}", path.display()), allowed));
        None
    }

    /// A file with at least one certificate in PEM; whether they are any good is for TLS to say.
    pub(super) fn certificates(&mut self, text: &str, place: &Place<'_>) -> Option<PathBuf> {
        const ALLOWED: &str = "a file with at least one certificate in PEM";
        let path = self.existing_file(text, place, ALLOWED)?;
        let what = match holds_certificate(&path) {
            Ok(true) => return Some(path),
            Ok(false) => format!("holds no certificate: {}", path.display()),
            Err(error) => format!("cannot be read: {}: {error}", path.display()),
        };
        self.report(place.problem(what, ALLOWED));
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

fn holds_certificate(path: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_CERTIFICATES).read_to_end(&mut bytes)?;
    Ok(bytes.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE))
}

/// Whether `text` is a path rather than a name. `/` separates on every system.
fn has_separator(text: &str) -> bool {
    text.contains(['/', MAIN_SEPARATOR])
}
