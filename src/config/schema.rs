//! The JSON Schema of the file, made from [`super::model`]: for editors, for the reference, and for
//! [`super::structure`], so that the three cannot disagree.

use std::ops::RangeInclusive;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::model::File;

mod wording;

/// Marks keys that must be there. The model has a default for each key, so that one bad key does
/// not hide what is wrong with the others; the schema says which of them are not optional.
const REQUIRED: &str = "x-required";

/// Marks keys whose absence means something that no value of theirs does, with what it means.
const ABSENT: &str = "x-absent";

/// Marks keys whose values are never shown.
pub const SECRET: &str = "x-secret";

/// JSON Schema (draft 2020-12) of the configuration file.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    schema.insert("title".to_owned(), "asgate configuration file".into());
    let mut schema = Value::from(schema);
    tidy(&mut schema);
    schema
}

/// Undo what Rust's types say and the file does not mean: `Option` is "may be absent", not "may be
/// null"; a section's default is that of its keys.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(map) => {
            without_null(map);
            move_required(map);
            if map.get("default").is_some_and(|default| default.is_null() || default.is_object()) {
                map.shift_remove("default");
            }
            map.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// `anyOf: [X, null]` → `X`; `type: [X, null]` → `type: X`.
fn without_null(map: &mut Map<String, Value>) {
    let is_null = |schema: &Value| schema.get("type").is_some_and(|name| name == "null");
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        choices.retain(|choice| !is_null(choice));
        if choices.len() == 1
            && let Some(Value::Object(only)) = choices.pop()
        {
            map.shift_remove("anyOf");
            map.extend(only);
        }
    }
    if let Some(kind @ Value::Array(_)) = map.get_mut("type")
        && let Value::Array(names) = kind.take()
    {
        *kind = names.into_iter().find(|name| name != "null").unwrap_or_default();
    }
}

/// `x-required` of the properties → `required` of their object.
fn move_required(map: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = map.get_mut("properties") else {
        return;
    };
    let mut required = Vec::new();
    for (key, property) in properties {
        if let Value::Object(property) = property
            && property.shift_remove(REQUIRED).is_some()
        {
            property.shift_remove("default");
            required.push(Value::from(key.as_str()));
        }
    }
    if !required.is_empty() {
        map.insert("required".to_owned(), Value::Array(required));
    }
}

/// A schema's parts, with references followed.
#[derive(Clone, Copy)]
pub struct View<'s> {
    root: &'s Value,
    schema: &'s Value,
}

impl<'s> View<'s> {
    pub fn root(root: &'s Value) -> Self {
        Self { root, schema: root }
    }

    fn at(self, schema: &'s Value) -> Self {
        Self { schema, ..self }
    }

    /// A keyword of the schema itself, else of what it refers to.
    pub fn get(self, keyword: &str) -> Option<&'s Value> {
        self.schema.get(keyword).or_else(|| self.referred()?.get(keyword))
    }

    pub fn text(self, keyword: &str) -> Option<&'s str> {
        self.get(keyword)?.as_str()
    }

    /// The definition that `$ref` points to.
    pub fn referred(self) -> Option<&'s Value> {
        let name = self.schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        self.root.get("$defs")?.get(name)
    }

    /// The keys of an object with fixed keys, in the order of the model.
    pub fn properties(self) -> Option<impl Iterator<Item = (&'s str, Self)>> {
        let properties = self.get("properties")?.as_object()?;
        Some(properties.iter().map(move |(key, schema)| (key.as_str(), self.at(schema))))
    }

    pub fn property(self, key: &str) -> Option<Self> {
        self.get("properties")?.get(key).map(|schema| self.at(schema))
    }

    /// The schema of the values of an object with free keys.
    pub fn values(self) -> Option<Self> {
        self.get("additionalProperties").filter(|schema| schema.is_object()).map(|s| self.at(s))
    }

    /// The schema of a list's elements.
    pub fn items(self) -> Option<Self> {
        self.get("items").map(|schema| self.at(schema))
    }

    /// The forms of a key that may be written in several.
    pub fn choices(self) -> Option<impl Iterator<Item = Self>> {
        Some(self.get("anyOf")?.as_array()?.iter().map(move |schema| self.at(schema)))
    }

    /// The section with fixed keys that a key holds, be it one of several forms or the only one.
    pub fn section(self) -> Option<Self> {
        let has_keys = |schema: &Self| schema.get("properties").is_some();
        match self.choices() {
            Some(mut choices) => choices.find(has_keys),
            None => Some(self).filter(has_keys),
        }
    }

    /// The words of an enumeration with what each means, if the model says so.
    pub fn words(self) -> Option<Vec<(&'s str, Option<&'s str>)>> {
        if let Some(plain) = self.get("enum") {
            let words = plain.as_array()?.iter().filter_map(Value::as_str);
            return Some(words.map(|word| (word, None)).collect());
        }
        let variants = self.get("oneOf")?.as_array()?.iter();
        let word = |variant: &'s Value| {
            let meaning = variant.get("description").and_then(Value::as_str);
            Some((variant.get("const")?.as_str()?, meaning))
        };
        Some(variants.filter_map(word).collect())
    }

    /// What an integer may be, both ends included.
    pub fn range(self) -> RangeInclusive<i64> {
        let bound = |keyword| self.get(keyword).and_then(Value::as_i64);
        let most = bound("maximum").unwrap_or(match self.text("format") {
            Some("uint32") => i64::from(u32::MAX),
            _ => i64::MAX,
        });
        bound("minimum").unwrap_or(i64::MIN)..=most
    }

    pub fn required(self) -> impl Iterator<Item = &'s str> {
        let list = self.get("required").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    pub fn is_required(self, key: &str) -> bool {
        self.required().any(|required| required == key)
    }

    /// A value as it may be, for messages.
    pub fn example(self) -> Option<&'s str> {
        self.get("examples")?.get(0)?.as_str()
    }

    /// The keys of an object with fixed keys.
    pub fn keys(self) -> impl Iterator<Item = &'s str> {
        self.properties().into_iter().flatten().map(|(key, _)| key)
    }

    /// What it means that the key is not there, when no value says the same.
    pub fn absent(self) -> Option<&'s str> {
        self.text(ABSENT)
    }

    pub fn is_secret(self) -> bool {
        self.get(SECRET).is_some()
    }
}
