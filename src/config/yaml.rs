//! YAML 1.2 text → a tree in which every key and value knows where it stands.
//!
//! Less than YAML on purpose: one document, text keys, no aliases, no tags, bounded depth. What is
//! left means one thing only. Scalars stay text until [`super::structure`] knows what type a key
//! wants. Must not know any key of the configuration.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::problem::{Position, Problem, quoted};
pub use scalar::{Plain, Scalar};

mod expand;
mod scalar;

/// Nesting that no real configuration comes near; it bounds the recursion of everything after.
const DEEPEST: usize = 32;

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
            Kind::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.value),
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
    if let Err(problem) = reader.run(text) {
        reader.problems.push(problem);
        return (None, reader.problems);
    }
    if reader.root.is_none() && reader.problems.is_empty() {
        reader.problems.push(Problem {
            position: Position::START,
            path: FILE.to_owned(),
            what: "is empty".to_owned(),
            got: "nothing".to_owned(),
            allowed: "a mapping with at least listeners and routes".to_owned(),
        });
    }
    (reader.root, reader.problems)
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
        position: end_of(before),
        path: FILE.to_owned(),
        what: "holds a control character".to_owned(),
        got: quoted(rest.get(..rest.chars().next()?.len_utf8())?),
        allowed: "text, tab and line breaks".to_owned(),
    })
}

/// Characters of each line of `text`, of which there is at least one. YAML 1.2.2 §5.4: a line ends
/// with a line feed, a carriage return, or both.
fn line_lengths(text: &str) -> Vec<usize> {
    let text = text.replace("\r\n", "\n");
    text.split(['\n', '\r'])
        .map(|line| line.chars().count())
        .collect()
}

/// The position just after `text`.
pub fn end_of(text: &str) -> Position {
    let lines = line_lengths(text);
    Position {
        line: lines.len(),
        column: lines.last().map_or(0, |length| *length) + 1,
    }
}

/// A list or mapping whose end has not been seen.
enum Open {
    List {
        at: Position,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<Key>,
    },
}

/// A key that waits for its value; `None` when it was refused and the value is to be dropped.
type Key = Option<(String, Position)>;

struct Reader<'a> {
    env: Env<'a>,
    /// Characters of each line.
    lines: Vec<usize>,
    /// After the last character that is no line break.
    end: Position,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(text: &str, env: Env<'a>) -> Self {
        Self {
            env,
            lines: line_lengths(text),
            end: end_of(text.trim_end_matches(['\n', '\r'])),
            open: Vec::new(),
            root: None,
            documents: 0,
            problems: Vec::new(),
        }
    }

    fn run(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            self.event(event, span)?;
        }
        Ok(())
    }

    /// An error ends the reading; what can be reported beside other things goes to `problems`.
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = self.position(span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let (got, allowed) = ("a second document", "one document");
                    return Err(self.problem(at, "holds more than one document", got, allowed));
                }
            }
            Event::Alias(_) => {
                self.report(
                    at,
                    "aliases are not supported",
                    "an alias",
                    "the value itself",
                );
                // Stands for a value of any type: nothing more can be said about it.
                self.value(Node {
                    at,
                    kind: Kind::Scalar(Scalar::unknown()),
                });
            }
            Event::Scalar(text, style, _, tag) => {
                self.no_tag(at, tag.as_deref());
                let node = self.scalar(at, &text, style);
                self.value(node);
            }
            Event::SequenceStart(_, tag) => {
                self.no_tag(at, tag.as_deref());
                self.push(
                    Open::List {
                        at,
                        items: Vec::new(),
                    },
                    at,
                )?;
            }
            Event::MappingStart(_, tag) => {
                self.no_tag(at, tag.as_deref());
                let (entries, seen) = (Vec::new(), HashSet::new());
                self.push(
                    Open::Map {
                        at,
                        entries,
                        seen,
                        key: None,
                    },
                    at,
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List { at, items }) => Node {
                        at,
                        kind: Kind::List(items),
                    },
                    Some(Open::Map { at, entries, .. }) => Node {
                        at,
                        kind: Kind::Map(entries),
                    },
                    None => return Ok(()),
                };
                self.value(node);
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn push(&mut self, open: Open, at: Position) -> Result<(), Problem> {
        if self.open.len() >= DEEPEST {
            let allowed = format!("at most {DEEPEST} levels");
            return Err(self.problem(at, "is nested too deeply", "one level more", &allowed));
        }
        self.open.push(open);
        Ok(())
    }

    /// A complete value: an element, a key, the value of a key, or the document.
    fn value(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map {
                entries,
                key: key @ Some(_),
                ..
            }) => {
                if let Some(Some((key, key_at))) = key.take() {
                    entries.push(Entry {
                        key,
                        key_at,
                        value: node,
                    });
                }
            }
            Some(Open::Map { key: None, .. }) => {
                let key = self.key(node);
                if let Some(Open::Map { key: waiting, .. }) = self.open.last_mut() {
                    *waiting = Some(key);
                }
            }
        }
    }

    /// Take `node` for a key of the innermost mapping, unless it cannot be one.
    fn key(&mut self, node: Node) -> Key {
        let at = node.at;
        let Kind::Scalar(scalar) = node.kind else {
            self.report(at, "is not a key", "a list or mapping", "text");
            return None;
        };
        let key = scalar.written().to_owned();
        let Some(Open::Map { seen, .. }) = self.open.last_mut() else {
            return None;
        };
        if seen.insert(key.clone()) {
            return Some((key, at));
        }
        let path = super::place::join(&self.path(), &key);
        self.problems.push(Problem {
            position: at,
            path,
            what: "is there twice".to_owned(),
            got: "a second value".to_owned(),
            allowed: "each key once".to_owned(),
        });
        None
    }

    /// Keys are taken as written; `${NAME}` is for values.
    fn scalar(&mut self, at: Position, text: &str, style: ScalarStyle) -> Node {
        let plain = style == ScalarStyle::Plain;
        let is_key = matches!(self.open.last(), Some(Open::Map { key: None, .. }));
        let scalar = if is_key {
            Scalar::new(text, plain)
        } else {
            match expand::expand(text, self.env) {
                Ok(None) => Scalar::new(text, plain),
                Ok(Some(expanded)) => Scalar::expanded(text, expanded, plain),
                Err(error) => {
                    self.report(at, error.what(), &error.got(), error.allowed());
                    Scalar::unknown()
                }
            }
        };
        Node {
            at,
            kind: Kind::Scalar(scalar),
        }
    }

    fn no_tag(&mut self, at: Position, tag: Option<&Tag>) {
        if let Some(tag) = tag {
            let got = quoted(&tag.suffix);
            self.report(
                at,
                "YAML tags are not supported",
                &got,
                "the value without a tag",
            );
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = self.position(*error.marker());
        let what = format!("is not YAML: {}", error.info());
        self.problem(at, &what, "this text", "YAML 1.2")
    }

    fn report(&mut self, at: Position, what: &str, got: &str, allowed: &str) {
        self.problems.push(self.problem(at, what, got, allowed));
    }

    fn problem(&self, position: Position, what: &str, got: &str, allowed: &str) -> Problem {
        Problem {
            position,
            path: self.path(),
            what: what.to_owned(),
            got: got.to_owned(),
            allowed: allowed.to_owned(),
        }
    }

    /// Where the reader is, for example `routes[3].match`.
    fn path(&self) -> String {
        let path = self
            .open
            .iter()
            .fold(String::new(), |path, open| match open {
                Open::List { items, .. } => format!("{path}[{}]", items.len()),
                Open::Map {
                    key: Some(Some((key, _))),
                    ..
                } => super::place::join(&path, key),
                Open::Map { .. } => path,
            });
        if path.is_empty() {
            FILE.to_owned()
        } else {
            path
        }
    }

    /// Keep to what exists: the parser reports some errors on the line after the last, or beyond
    /// the end of a line.
    fn position(&self, marker: saphyr_parser::Marker) -> Position {
        let line = marker.line().max(1);
        match self.lines.get(line - 1) {
            Some(length) => Position {
                line,
                column: marker.col().min(*length) + 1,
            },
            None => self.end,
        }
    }
}
