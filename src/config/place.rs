//! A place in the file: the path of a key, its value as written, and where that stands.
//!
//! Checks walk the model and the tree side by side; a place is the tree's half. A configuration
//! that comes from the command line has no tree: its places have a path and nothing else.

use super::problem::{Position, Problem, Severity, quoted};
use super::yaml::{FILE, Kind, Node, Plain};

/// A key of the file, there or not.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The value; `None` when the key is not in the file.
    node: Option<&'a Node>,
    /// Of the value, or of what should hold the key.
    at: Position,
    path: String,
    /// Values at and under this place are never shown.
    secret: bool,
}

impl<'a> Place<'a> {
    pub fn root(node: &'a Node) -> Self {
        Self { node: Some(node), at: node.at, path: String::new(), secret: false }
    }

    /// The root of a configuration that no file holds.
    pub fn nowhere() -> Self {
        Self { node: None, at: Position::START, path: String::new(), secret: false }
    }

    pub fn key(&self, key: &str) -> Self {
        self.child(self.node.and_then(|node| node.get(key)), join(&self.path, key))
    }

    pub fn item(&self, index: usize) -> Self {
        let node = self.node.and_then(|node| node.item(index));
        self.child(node, format!("{}[{index}]", self.path))
    }

    /// Every key of a mapping in the order of the file, with its own place and that of its value.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Self, Self)> {
        let entries = match self.node.map(|node| &node.kind) {
            Some(Kind::Map(entries)) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|entry| {
            let key = entry.key.as_str();
            let value = self.child(Some(&entry.value), join(&self.path, key));
            let name = Self { node: None, at: entry.key_at, ..value.clone() };
            (key, name, value)
        })
    }

    /// The place of `key` itself rather than of its value.
    pub fn name_of(&self, key: &str) -> Self {
        let entry = self.entries().find(|(name, ..)| *name == key);
        entry.map_or_else(|| self.child(None, join(&self.path, key)), |(_, name, _)| name)
    }

    /// The same place, its values never shown.
    pub fn hidden(self) -> Self {
        Self { secret: true, ..self }
    }

    pub fn node(&self) -> Option<&'a Node> {
        self.node
    }

    pub fn path(&self) -> &str {
        if self.path.is_empty() { FILE } else { &self.path }
    }

    /// `3:7`, to point at this place from another.
    pub fn line_and_column(&self) -> String {
        format!("{}:{}", self.at.line, self.at.column)
    }

    /// A problem with the value at this place.
    pub fn problem(&self, what: impl Into<String>, allowed: impl Into<String>) -> Problem {
        self.problem_with(what, self.got(), allowed)
    }

    /// A problem at this place with something else than its whole value.
    pub fn problem_with(
        &self,
        what: impl Into<String>,
        got: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Problem {
        Problem {
            severity: Severity::Error,
            position: self.at,
            path: self.path().to_owned(),
            what: one_line(what.into()),
            got: got.into(),
            allowed: allowed.into(),
        }
    }

    /// The value as it may be shown. What came from the environment is shown by its variable.
    fn got(&self) -> String {
        match self.node.map(|node| &node.kind) {
            None => "nothing".to_owned(),
            Some(Kind::List(items)) if items.is_empty() => "an empty list".to_owned(),
            Some(Kind::List(_)) => "a list".to_owned(),
            Some(Kind::Map(_)) => "a mapping".to_owned(),
            Some(Kind::Scalar(_)) if self.secret => "a hidden value".to_owned(),
            Some(Kind::Scalar(scalar)) if scalar.is_expanded() => {
                format!("{} after expansion", quoted(scalar.written()))
            }
            Some(Kind::Scalar(scalar)) if scalar.plain() == Plain::Null => "nothing".to_owned(),
            Some(Kind::Scalar(scalar)) if scalar.plain() == Plain::Text => quoted(scalar.written()),
            // Numbers and booleans go without quotes: that they have none may be what is wrong.
            Some(Kind::Scalar(scalar)) => scalar.written().chars().take(80).collect(),
        }
    }

    fn child(&self, node: Option<&'a Node>, path: String) -> Self {
        Self { node, at: node.map_or(self.at, |node| node.at), path, secret: self.secret }
    }
}

/// A path in `text` may hold anything, and a problem is one line.
fn one_line(text: String) -> String {
    match text.contains(char::is_control) {
        true => text.escape_debug().to_string(),
        false => text,
    }
}

/// `path.key`, with quotes where the key would otherwise be read as something else.
pub fn join(path: &str, key: &str) -> String {
    let simple =
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let key = if simple { key.to_owned() } else { quoted(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
