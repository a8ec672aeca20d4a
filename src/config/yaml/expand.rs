//! `${NAME}` and `${NAME:-default}` in values.
//!
//! `$$` is a literal `$`. Any other `$` stays as it is, `$1` and `${1}` of a rewrite included:
//! the name of a variable does not begin with a digit.

use super::Env;
/// Why a text cannot be expanded. Holds names only, never a value of the environment.
#[derive(Debug, PartialEq, Eq)]
pub enum ExpandError {
    /// The variable is not set and there is no default.
    Unset(String),
    /// `${` without its `}` or with something else than a name and a default.
    Malformed,
}

impl ExpandError {
    pub fn what(&self) -> &'static str {
        match self {
            Self::Unset(_) => "names an environment variable that is not set",
            Self::Malformed => "has a malformed ${…}",
        }
    }

    pub fn got(&self) -> String {
        match self {
            Self::Unset(name) => format!("${{{name}}}"),
            Self::Malformed => "something else after ${".to_owned(),
        }
    }

    pub fn allowed(&self) -> &'static str {
        match self {
            Self::Unset(_) => "a variable that is set, or ${NAME:-default}",
            Self::Malformed => "${NAME}, ${NAME:-default}, or $$ for a literal $",
        }
    }
}

/// The text with variables filled in and `$$` undone. `None`: nothing came from the environment
/// and the text is as it was.
pub fn expand(text: &str, env: Env<'_>) -> Result<Option<String>, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            changed = true;
            rest = after;
        } else if let Some(inner) = variable(after) {
            let (value, after) = fill_in(inner, env)?;
            out.push_str(&value);
            changed = true;
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(changed.then_some(out))
}

/// What follows `${`, unless it is a group of a regular expression.
fn variable(after_dollar: &str) -> Option<&str> {
    after_dollar.strip_prefix('{').filter(|inner| !inner.starts_with(|c: char| c.is_ascii_digit()))
}

/// The value of `NAME}` or `NAME:-default}` at the start of `inner`, and what follows it.
fn fill_in<'t>(inner: &'t str, env: Env<'_>) -> Result<(String, &'t str), ExpandError> {
    let (variable, after) = inner.split_once('}').ok_or(ExpandError::Malformed)?;
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(ExpandError::Malformed);
    }
    // As in a shell, `:-` also replaces an empty value.
    let value = env(name).filter(|value| default.is_none() || !value.is_empty());
    match (value, default) {
        (Some(value), _) => Ok((value, after)),
        (None, Some(default)) => Ok((default.to_owned(), after)),
        (None, None) => Err(ExpandError::Unset(name.to_owned())),
    }
}
