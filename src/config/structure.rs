//! Holds the tree of the file against the JSON Schema and makes the value that serde reads.
//!
//! Every key and leaf is looked at; a bad one is reported and left out, so that the checks after
//! this can go on with the rest. They ask [`Shaped::is_damaged`] before they complain of something
//! that is missing. Knows types, units and words; must not know what a key means.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::format;
use super::pending;
use super::place::Place;
use super::problem::{Problem, nearest, one_of, quoted, with_hint};
use super::schema::View;
use super::yaml::{Entry, Kind, Node, Plain, Scalar};

/// What was understood.
pub struct Shaped {
    /// Fits the schema, but for required keys that are missing.
    pub value: Value,
    /// Paths of mappings and lists of which something was left out.
    damaged: BTreeSet<String>,
}

impl Shaped {
    /// Whether something of the mapping or list at `place` was refused: what seems to be missing
    /// there may only be misspelt.
    pub fn is_damaged(&self, place: &Place<'_>) -> bool {
        self.damaged.contains(place.path())
    }
}

/// Shape the tree `root` by `schema`, adding to `problems`.
pub fn shape(root: &Node, schema: &Value, problems: &mut Vec<Problem>) -> Shaped {
    let mut shaper = Shaper { problems, damaged: BTreeSet::new() };
    let value = shaper.value(&Place::root(root), root, View::root(schema));
    Shaped {
        value: value.unwrap_or_else(|| {
            shaper.damaged.insert(Place::root(root).path().to_owned());
            Value::Object(Map::new())
        }),
        damaged: shaper.damaged,
    }
}

struct Shaper<'p> {
    problems: &'p mut Vec<Problem>,
    damaged: BTreeSet<String>,
}

impl Shaper<'_> {
    /// The value at `place`; `None` when it was refused, which has been reported.
    fn value(&mut self, place: &Place<'_>, node: &Node, schema: View<'_>) -> Option<Value> {
        if let Kind::Scalar(scalar) = &node.kind {
            if !scalar.is_known() {
                return None;
            }
            if scalar.plain() == Plain::Null && !scalar.is_expanded() {
                self.report(place.problem("has no value", schema.allowed()));
                return None;
            }
        }
        if let Some(choices) = schema.choices() {
            let fitting = choices.into_iter().find(|choice| fits(node, *choice));
            return match fitting {
                Some(choice) => self.value(place, node, choice),
                None => self.wrong_type(place, schema),
            };
        }
        match (&node.kind, schema.text("type")) {
            (Kind::Map(entries), Some("object")) => match schema.values() {
                Some(values) => Some(self.free_keys(place, entries, values)),
                None => Some(self.fixed_keys(place, entries, schema)),
            },
            (Kind::List(items), Some("array")) => self.list(place, items, schema.items()?),
            (Kind::Scalar(scalar), _) => self.scalar(place, scalar, schema),
            _ => self.wrong_type(place, schema),
        }
    }

    /// A section: its keys are those of the model.
    fn fixed_keys(&mut self, place: &Place<'_>, entries: &[Entry], schema: View<'_>) -> Value {
        let mut map = Map::new();
        let mut meant = Vec::new();
        for entry in entries {
            let Some(property) = schema.property(&entry.key) else {
                meant.extend(self.unknown_key(place, entry, schema));
                self.damage(place);
                continue;
            };
            let mut place_of_value = place.key(&entry.key);
            if property.is_secret() {
                place_of_value = place_of_value.hidden();
            }
            match self.value(&place_of_value, &entry.value, property) {
                Some(value) => {
                    map.insert(entry.key.clone(), value);
                }
                None => self.damage(place),
            }
        }
        for key in schema.required() {
            let is_there = entries.iter().any(|entry| entry.key == key);
            if !is_there && !meant.contains(&key) {
                let allowed = schema.property(key).map_or_else(String::new, View::allowed);
                self.report(place.key(key).problem("is missing", allowed));
                self.damage(place);
            }
        }
        Value::Object(map)
    }

    /// A mapping with names of the user's choice. A refused section stays as an empty one, so that
    /// its name can be referred to.
    fn free_keys(&mut self, place: &Place<'_>, entries: &[Entry], values: View<'_>) -> Value {
        let mut map = Map::new();
        for (entry, (key, _, place_of_value)) in entries.iter().zip(place.entries()) {
            let value = self.value(&place_of_value, &entry.value, values);
            if value.is_none() {
                self.damage(place);
                self.damage(&place_of_value);
            }
            if let Some(value) = value.or_else(|| empty_section(values)) {
                map.insert(key.to_owned(), value);
            }
        }
        Value::Object(map)
    }

    /// Elements keep their index: a refused section stays as an empty one; a list of plain values
    /// is refused as a whole.
    fn list(&mut self, place: &Place<'_>, items: &[Node], schema: View<'_>) -> Option<Value> {
        let mut list = Some(Vec::with_capacity(items.len()));
        for (index, item) in items.iter().enumerate() {
            let place_of_item = place.item(index);
            let value = self.value(&place_of_item, item, schema);
            if value.is_none() {
                self.damage(place);
                self.damage(&place_of_item);
            }
            match (value.or_else(|| empty_section(schema)), &mut list) {
                (Some(value), Some(list)) => list.push(value),
                (None, _) => list = None,
                (Some(_), None) => {}
            }
        }
        list.map(Value::Array)
    }

    fn scalar(&mut self, place: &Place<'_>, scalar: &Scalar, schema: View<'_>) -> Option<Value> {
        if let Some(words) = schema.words() {
            return self.word(place, scalar, &words);
        }
        match (schema.text("type"), scalar.plain()) {
            (Some("string"), _) => self.text(place, scalar, schema),
            (Some("boolean"), Plain::Bool(value)) => Some(Value::Bool(value)),
            (Some("integer"), Plain::Integer(value)) => self.integer(place, value, schema),
            _ => self.wrong_type(place, schema),
        }
    }

    fn text(&mut self, place: &Place<'_>, scalar: &Scalar, schema: View<'_>) -> Option<Value> {
        let format = schema.text("format").unwrap_or_default();
        // Units come before types: `30` where a duration belongs lacks its unit, not its quotes.
        match format::check(format, scalar.value()) {
            Some(Ok(())) => Some(Value::from(scalar.value())),
            Some(Err((what, allowed))) => {
                self.report(place.problem(what, allowed));
                None
            }
            None => match scalar.text() {
                Some(text) => Some(Value::from(text)),
                None => {
                    let allowed = format!("{} in quotes", schema.allowed());
                    self.report(place.problem("has the wrong type", allowed));
                    None
                }
            },
        }
    }

    fn word(
        &mut self,
        place: &Place<'_>,
        scalar: &Scalar,
        words: &[(&str, Option<&str>)],
    ) -> Option<Value> {
        let word = scalar.value();
        if is_one_of(scalar, words) {
            return Some(Value::from(word));
        }
        let words = words.iter().map(|(word, _)| *word);
        let allowed = one_of(words.clone());
        self.report(if pending::is_pending(place.path(), word) {
            place.problem(pending::WHAT, allowed)
        } else {
            // Of numbers, the nearest is not what was meant.
            let is_word = word.contains(char::is_alphabetic);
            let hint = is_word.then(|| nearest(word, words)).flatten();
            place.problem("is not a known value", with_hint(allowed, hint))
        });
        None
    }

    fn integer(
        &mut self,
        place: &Place<'_>,
        value: Option<i64>,
        schema: View<'_>,
    ) -> Option<Value> {
        match value {
            Some(value) if schema.range().contains(&value) => Some(Value::from(value)),
            _ => {
                self.report(place.problem("is out of range", schema.allowed()));
                None
            }
        }
    }

    /// Complain, and say which key was meant if that can be told.
    fn unknown_key<'s>(
        &mut self,
        place: &Place<'_>,
        entry: &Entry,
        schema: View<'s>,
    ) -> Option<&'s str> {
        let name = place.name_of(&entry.key);
        let known: Vec<&'s str> = schema.keys().collect();
        let hint = nearest(&entry.key, known.iter().copied());
        let allowed = with_hint(one_of(known), hint);
        self.report(name.problem_with("unknown key", quoted(&entry.key), allowed));
        hint
    }

    fn wrong_type(&mut self, place: &Place<'_>, schema: View<'_>) -> Option<Value> {
        self.report(place.problem("has the wrong type", schema.allowed()));
        None
    }

    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn damage(&mut self, place: &Place<'_>) {
        self.damaged.insert(place.path().to_owned());
    }
}

/// Whether `node` has the form that `schema` is about, whatever is in it.
fn fits(node: &Node, schema: View<'_>) -> bool {
    match node.kind {
        Kind::Map(_) => schema.text("type") == Some("object"),
        Kind::List(_) => schema.text("type") == Some("array"),
        Kind::Scalar(ref scalar) => match schema.words() {
            Some(words) => is_one_of(scalar, &words),
            None => match schema.text("type") {
                Some("object" | "array") => false,
                // Else it may be another form, badly written.
                Some("integer") => matches!(scalar.plain(), Plain::Integer(_)),
                _ => true,
            },
        },
    }
}

/// Whether a scalar is one of the words. A status or a version among them needs no quotes.
fn is_one_of(scalar: &Scalar, words: &[(&str, Option<&str>)]) -> bool {
    let is_word =
        scalar.text().is_some() || matches!(scalar.plain(), Plain::Integer(_) | Plain::Float);
    is_word && words.iter().any(|(word, _)| *word == scalar.value())
}

/// What stands in for a refused section.
fn empty_section(schema: View<'_>) -> Option<Value> {
    schema.properties().map(|_| Value::Object(Map::new()))
}
