//! What is wrong with a file, and where: one problem, one line.
//!
//! The line is a contract: `FILE:LINE:COL: path.to.key: what is wrong (got X, allowed Y)`, of a
//! warning `FILE:LINE:COL: warning: path.to.key: what (got X, advised Y)`. It holds no line break, and
//! no value of the environment.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in the file. Line and column count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// The first character of the file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// What a problem means for the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is refused.
    Error,
    /// It works, and may not be what was meant.
    Warning,
}

/// One thing that is wrong, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub position: Position,
    /// Path of the key, for example `routes[0].match.path`; `(file)` for the whole.
    pub path: String,
    /// What is wrong, without the value.
    pub what: String,
    /// The value, already quoted, shortened and free of secrets.
    pub got: String,
    /// What would be right.
    pub allowed: String,
}

impl fmt::Display for Problem {
    /// Everything but file and position.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, path, what, got, allowed, .. } = self;
        match severity {
            Severity::Error => write!(f, "{path}: {what} (got {got}, allowed {allowed})"),
            Severity::Warning => {
                write!(f, "warning: {path}: {what} (got {got}, advised {allowed})")
            }
        }
    }
}

/// What is to be said about one file, in the order of the file. As an error it holds at least one
/// problem that is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    file: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    /// `list` in any order.
    pub(super) fn new(file: &Path, mut list: Vec<Problem>) -> Self {
        // Stable: what one check found at one place stays together.
        list.sort_by_key(|problem| problem.position);
        Self { file: file.to_owned(), list }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// One line for each, without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().enumerate() {
            let Position { line, column } = problem.position;
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{line}:{column}: {problem}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A text of the file as it may be shown: quoted, escaped, cut after 80 characters.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// `a, b or c`; of many words only the first are listed.
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const LISTED: usize = 20;
    let words: Vec<&str> = words.into_iter().collect();
    if let Some((listed, more)) = words.split_at_checked(LISTED)
        && !more.is_empty()
    {
        return format!("{} or one of {} more", listed.join(", "), more.len());
    }
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// The known word that `word` was most likely meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    // One letter too many, too few, wrong or swapped; of a short word that is a lot.
    const SLIP: usize = 1;
    const SHORT: usize = 3;
    // Quadratic in the length, and nobody types a name that long by accident.
    const LONGEST: usize = 100;
    // Thousands of upstreams with a mistake in each must not take minutes.
    const COMPARED: usize = 500;
    if word.len() > LONGEST {
        return None;
    }
    let is_slip =
        |candidate: &str| candidate.len() >= SHORT && strsim::osa_distance(word, candidate) <= SLIP;
    known
        .into_iter()
        .take(COMPARED)
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, candidate)| *score >= ALIKE || is_slip(candidate))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// `allowed`, with the near miss first to read.
pub fn with_hint(allowed: String, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{allowed}; did you mean {}?", quoted(hint)),
        None => allowed,
    }
}
