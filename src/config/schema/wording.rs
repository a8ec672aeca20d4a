//! What a key may hold, in words: for messages, and for the reference.

use super::View;
use crate::config::format;
use crate::config::problem::{one_of, quoted};

impl View<'_> {
    /// For a message: what the key may hold; or to leave it out, when that is what they may have
    /// meant.
    pub fn allowed(self) -> String {
        match self.absent() {
            Some(meaning) => format!("{}; without this key {meaning}", self.allowed_values()),
            None => self.allowed_values(),
        }
    }

    fn allowed_values(self) -> String {
        if let Some(words) = self.words() {
            return one_of(words.into_iter().map(|(word, _)| word));
        }
        if let Some(choices) = self.choices() {
            let forms: Vec<String> = choices.map(Self::allowed).collect();
            return one_of(forms.iter().map(String::as_str));
        }
        match self.text("type") {
            Some("object") => "a mapping".to_owned(),
            Some("array") => "a list".to_owned(),
            Some("boolean") => "true or false".to_owned(),
            Some("integer") => match self.range().into_inner() {
                (least, i64::MAX) => format!("a whole number from {least}"),
                (least, most) => format!("a whole number from {least} to {most}"),
            },
            _ => match self.text("format").and_then(format::describe) {
                Some(unit) => format!("a {}", unit.replace('`', "")),
                None => match self.example() {
                    Some(example) => format!("text such as {}", quoted(example)),
                    None => "text".to_owned(),
                },
            },
        }
    }

    /// For the reference, in Markdown: the type of the key's values.
    pub fn type_name(self) -> String {
        if let Some(words) = self.words() {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            return one_of(words.iter().map(String::as_str));
        }
        if let Some(choices) = self.choices() {
            return choices.map(Self::type_name).collect::<Vec<_>>().join(" or ");
        }
        if let Some(items) = self.items() {
            return match items.section() {
                Some(_) => "list of sections".to_owned(),
                None => format!("list of {}", items.type_name()),
            };
        }
        if let Some(values) = self.values() {
            return match values.section() {
                Some(_) => "sections by name".to_owned(),
                None => "mapping of text to text".to_owned(),
            };
        }
        match self.text("type") {
            Some("object") => "section".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("integer") => match self.range().into_inner() {
                // That a number has to fit into 32 bits is nothing to plan for.
                (least, most) if most >= i64::from(u32::MAX) => {
                    format!("whole number from {least}")
                }
                (least, most) => format!("whole number from {least} to {most}"),
            },
            _ => self.text("format").and_then(format::describe).unwrap_or("text").to_owned(),
        }
    }
}
