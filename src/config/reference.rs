//! `docs/configuration.md`, made from the JSON Schema and so from the model's doc comments.

use std::fmt::Write as _;

use serde_json::Value;

use super::pending;
use super::schema::{View, schema};

/// What stands before the keys: the rules that hold for all of them.
const INTRODUCTION: &str = "\
# The configuration file

<!-- Made from the doc comments in src/config/model. Do not edit: change them and run
     `ASGATE_BLESS=1 cargo test --lib config`. -->

One YAML file, by default `asgate.yaml`, then `conf/asgate.yaml`. `asgate check` says what is wrong
with it, all of it at once, one line for each problem:
`FILE:LINE:COL: path.to.key: what is wrong (got X, allowed Y)`. Lines with `warning:` before the path
are about what works and may not be what was meant; they end with `advised Y`, alone they leave the
exit code at 0, and `asgate run` logs them. `asgate schema` prints a JSON Schema that editors can
use. Examples are in `conf/`.

- **Unknown keys are errors**, and so are keys that are there twice and keys without a value.
- **Durations** are a whole number and a unit: `250ms`, `30s`, `5m`, `1h`; from `1ms` to `8760h`. Where
  the type says so, `off` means no limit. A bare number is an error: it does not say what it counts.
- **Sizes** are a whole number and a unit: `100B`, `64KiB` (1024 bytes each), `30MB` (1000 × 1000), up to
  `TiB` and `TB`.
- **Percentages** are a whole number and the sign: `20%`, from `0%` to `100%`.
- **`${NAME}`** in a value is the environment variable, an error when it is not set;
  `${NAME:-default}` is `default` when it is not set or empty. `$$` is a literal `$`; any other `$`, like
  that of `$1` or `${1}` in a rewrite, stays. In `{ … }` and `[ … ]`, put quotes around such a value. Messages
  show a refused value as it is written in the file; values of `env` and secrets are never shown.
- **Relative paths** are relative to the configuration file.
- **YAML 1.2**: `off`, `yes` and `on` are text, not booleans. A number where text belongs needs quotes.
  Tags, aliases and several documents in one file are not supported.
";

/// The reference of every key, in Markdown.
pub fn reference() -> String {
    let schema = schema();
    let mut page = INTRODUCTION.to_owned();
    section(&mut page, "", View::root(&schema));
    pending_values(&mut page);
    page
}

/// One section of the file, then those below it.
fn section(page: &mut String, path: &str, schema: View<'_>) {
    let heading = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
    write(page, format_args!("\n## {heading}\n"));
    if let Some(meaning) = schema.referred().unwrap_or(&Value::Null).get("description") {
        write(page, format_args!("\n{}\n", meaning.as_str().unwrap_or_default()));
    }
    for (key, property) in schema.properties().into_iter().flatten() {
        entry(page, key, property, schema.is_required(key));
    }
    for (key, property) in schema.properties().into_iter().flatten() {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        if let Some((suffix, below)) = subsection(property) {
            section(page, &format!("{path}{suffix}"), below);
        }
    }
}

/// The section that a key holds, with what its path adds to the key.
fn subsection(property: View<'_>) -> Option<(&'static str, View<'_>)> {
    let (suffix, below) = match (property.items(), property.values()) {
        (Some(items), _) => ("[]", items),
        (_, Some(values)) => (".NAME", values),
        _ => ("", property),
    };
    below.section().map(|section| (suffix, section))
}

fn entry(page: &mut String, key: &str, property: View<'_>, is_required: bool) {
    let default = match property.get("default") {
        _ if is_required => ", required".to_owned(),
        Some(Value::String(text)) if text.is_empty() => ", default empty".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => ", default none".to_owned(),
        Some(Value::String(text)) => format!(", default `{text}`"),
        Some(value) => format!(", default `{value}`"),
        None => String::new(),
    };
    let meaning = property.text("description").unwrap_or_default();
    write(page, format_args!("\n**`{key}`**: {}{default}\n", property.type_name()));
    // A definition below its term, so that a page of them can be skimmed.
    for line in meaning.lines() {
        let mark = if line.is_empty() { ">" } else { "> " };
        write(page, format_args!("{mark}{line}\n"));
    }
}

fn pending_values(page: &mut String) {
    page.push_str(
        "\n## Not implemented yet\n\n\
         These values are part of the file's design and refused with `not implemented yet`, so that \
         none is\never accepted without effect.\n\n",
    );
    for (key, values) in pending::VALUES {
        let values: Vec<String> = values
            .iter()
            .map(|value| match *value {
                "*" => "a file path".to_owned(),
                value => format!("`{value}`"),
            })
            .collect();
        write(page, format_args!("- `{key}`: {}\n", values.join(", ")));
    }
}

fn write(page: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = page.write_fmt(text);
}
