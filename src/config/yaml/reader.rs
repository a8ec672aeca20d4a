//! The parser's events → the tree, with the place and path of whatever is refused on the way.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::super::place::join;
use super::super::problem::{Position, Problem, Severity, quoted};
use super::expand::expand;
use super::lines::{end_of, line_lengths};
use super::{Entry, Env, FILE, Kind, Node, Scalar};

/// Nesting that no real configuration comes near; it bounds the recursion of everything after.
const DEEPEST: usize = 32;

/// A list or mapping whose end has not been seen.
enum Open {
    List { at: Position, items: Vec<Node> },
    Map { at: Position, entries: Vec<Entry>, seen: HashSet<String>, key: Option<Key> },
}

/// A key that waits for its value; `None` when it was refused and the value is to be dropped.
type Key = Option<(String, Position)>;

/// Puts the parser's events together.
pub struct Reader<'a> {
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
    pub fn new(text: &str, env: Env<'a>) -> Self {
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

    /// Read the whole text. An error ends it; what can be reported beside other things is among the
    /// problems of [`Reader::finish`].
    pub fn run(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            self.event(event, span)?;
        }
        Ok(())
    }

    /// What was read, and what was refused on the way.
    pub fn finish(self) -> (Option<Node>, Vec<Problem>) {
        (self.root, self.problems)
    }

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
                self.report(at, "aliases are not supported", "an alias", "the value itself");
                // Stands for a value of any type: nothing more can be said about it.
                self.value(Node { at, kind: Kind::Scalar(Scalar::unknown()) });
            }
            Event::Scalar(text, style, _, tag) => {
                self.no_tag(at, tag.as_deref());
                let node = self.scalar(at, &text, style);
                self.value(node);
            }
            Event::SequenceStart(_, tag) => {
                self.no_tag(at, tag.as_deref());
                self.push(Open::List { at, items: Vec::new() }, at)?;
            }
            Event::MappingStart(_, tag) => {
                self.no_tag(at, tag.as_deref());
                let (entries, seen) = (Vec::new(), HashSet::new());
                self.push(Open::Map { at, entries, seen, key: None }, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List { at, items }) => Node { at, kind: Kind::List(items) },
                    Some(Open::Map { at, entries, .. }) => Node { at, kind: Kind::Map(entries) },
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
            Some(Open::Map { entries, key: key @ Some(_), .. }) => {
                if let Some(Some((key, key_at))) = key.take() {
                    entries.push(Entry { key, key_at, value: node });
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
        let path = join(&self.path(), &key);
        self.problems.push(Problem {
            severity: Severity::Error,
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
            match expand(text, self.env) {
                Ok(None) => Scalar::new(text, plain),
                Ok(Some(expanded)) => Scalar::expanded(text, expanded, plain),
                Err(error) => {
                    self.report(at, error.what(), &error.got(), error.allowed());
                    Scalar::unknown()
                }
            }
        };
        Node { at, kind: Kind::Scalar(scalar) }
    }

    fn no_tag(&mut self, at: Position, tag: Option<&Tag>) {
        if let Some(tag) = tag {
            let got = quoted(&tag.suffix);
            self.report(at, "YAML tags are not supported", &got, "the value without a tag");
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
            severity: Severity::Error,
            position,
            path: self.path(),
            what: what.to_owned(),
            got: got.to_owned(),
            allowed: allowed.to_owned(),
        }
    }

    /// Where the reader is, for example `routes[3].match`.
    fn path(&self) -> String {
        let path = self.open.iter().fold(String::new(), |path, open| match open {
            Open::List { items, .. } => format!("{path}[{}]", items.len()),
            Open::Map { key: Some(Some((key, _))), .. } => join(&path, key),
            Open::Map { .. } => path,
        });
        if path.is_empty() { FILE.to_owned() } else { path }
    }

    /// Keep to what exists: the parser reports some errors on the line after the last, or beyond
    /// the end of a line.
    fn position(&self, marker: Marker) -> Position {
        let line = marker.line().max(1);
        match self.lines.get(line - 1) {
            Some(length) => Position { line, column: marker.col().min(*length) + 1 },
            None => self.end,
        }
    }
}
