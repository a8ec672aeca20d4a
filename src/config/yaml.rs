//! YAML 1.2 text → a tree in which every key and value knows where it stands.
//!
//! Less than YAML on purpose: one document, text keys, no aliases, no tags, bounded depth. What is
//! left means one thing only. Scalars stay text until [`super::structure`] knows what type a key
//! wants. Must not know any key of the configuration.

use super::problem::{Position, Problem, Severity, quoted};
pub use lines::end_of;
use reader::Reader;
pub use scalar::{Plain, Scalar};

mod expand;
mod lines;
mod reader;
mod scalar;

/// What the process environment answers: the value of a name, if it has one.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A value and where it begins.
#[derive(Debug, Clone)]
pub struct Node {
    pub at: Position,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    /// Keys are unique: of a duplicate, the first is kept and a problem is reported.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub key_at: Position,
    pub value: Node,
}

impl Node {
    /// The value under `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }

    /// The element `index`, when this is a list that has it.
    pub fn item(&self, index: usize) -> Option<&Self> {
        match &self.kind {
            Kind::List(items) => items.get(index),
            _ => None,
        }
    }
}

/// Read `text`. The tree is `None` when the text is not YAML that can be understood; problems may
/// come with a tree as well.
pub fn read(text: &str, env: Env<'_>) -> (Option<Node>, Vec<Problem>) {
    if let Some(problem) = forbidden_character(text) {
        return (None, vec![problem]);
    }
    let mut reader = Reader::new(text, env);
    let outcome = reader.run(text);
    let (root, mut problems) = reader.finish();
    if let Err(problem) = outcome {
        problems.push(problem);
        return (None, problems);
    }
    if root.is_none() && problems.is_empty() {
        problems.push(Problem {
            severity: Severity::Error,
            position: Position::START,
            path: FILE.to_owned(),
            what: "is empty".to_owned(),
            got: "nothing".to_owned(),
            allowed: "a mapping with at least listeners and routes".to_owned(),
        });
    }
    (root, problems)
}

/// The path of the whole document.
pub const FILE: &str = "(file)";

/// YAML 1.2.2 §5.1 allows no control character but tab and line breaks. The parser would take a
/// NUL for the end of the file and ignore what follows.
fn forbidden_character(text: &str) -> Option<Problem> {
    let forbidden = |c: &char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let offset = text.char_indices().find(|(_, c)| forbidden(c))?.0;
    let (before, rest) = text.split_at_checked(offset)?;
    Some(Problem {
        severity: Severity::Error,
        position: end_of(before),
        path: FILE.to_owned(),
        what: "holds a control character".to_owned(),
        got: quoted(rest.get(..rest.chars().next()?.len_utf8())?),
        allowed: "text, tab and line breaks".to_owned(),
    })
}
