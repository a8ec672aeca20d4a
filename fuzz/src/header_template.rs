//! Headers with variables: what a client puts into one never ends the header, and all the rest is taken word for word.
//!
//! The first line is a template as in a configuration, the rest the value of every variable.

use asgate::config::{Template, Variable};

use super::shown;

/// `input` is a template, LF, and a value.
pub fn check(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (text, value) = input.split_at(end);
    let value = value.strip_prefix(b"\n").unwrap_or(value);
    let Ok(text) = str::from_utf8(text) else { return };
    let Ok(template) = text.parse::<Template>() else { return };
    let expanded = template.expand(|_, out| out.extend_from_slice(value));
    let wanted = replaced(text, value);
    if wanted.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        assert_eq!(expanded, None, "{text:?} with {} is sent", shown(value));
    } else {
        let seen = expanded.as_ref().map(|value| shown(value.as_bytes()));
        assert_eq!(seen, Some(shown(wanted)), "{text:?} with {}", shown(value));
    }
}

/// The text with the value in place of each variable, letter by letter.
fn replaced(text: &str, value: &[u8]) -> Vec<u8> {
    let (mut made, mut rest) = (Vec::new(), text);
    while let Some(letter) = rest.chars().next() {
        let variable = Variable::ALL.into_iter().find(|known| rest.starts_with(known.written()));
        let (word, put): (&str, &[u8]) = match (rest, variable) {
            (_, Some(variable)) => (variable.written(), value),
            (doubled, None) if doubled.starts_with("{{") => ("{{", b"{"),
            (doubled, None) if doubled.starts_with("}}") => ("}}", b"}"),
            (_, None) => {
                let letter = &rest[..letter.len_utf8()];
                (letter, letter.as_bytes())
            }
        };
        made.extend_from_slice(put);
        rest = &rest[word.len()..];
    }
    let outer = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = made.iter().position(|byte| !outer(byte)).unwrap_or(made.len());
    let end = made.iter().rposition(|byte| !outer(byte)).map_or(start, |last| last + 1);
    made[start..end].to_vec()
}
