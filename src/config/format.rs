//! Texts with a form of their own, told apart by the `format` that the JSON Schema gives them.
//!
//! The one list of those forms; what each looks like is in its own module.

use super::{status, units};

/// What is wrong with a text, and what would have been allowed.
pub type Wrong = (String, String);

/// Check a text against a schema's `format`. `None`: not a format of ours.
pub fn check(format: &str, text: &str) -> Option<Result<(), Wrong>> {
    if format == status::FORMAT {
        let range = text.parse::<status::StatusRange>();
        return Some(range.map(drop).map_err(|e| (e.to_string(), status::ALLOWED.to_owned())));
    }
    let checked = units::check(format, text)?;
    Some(checked.map_err(|(error, allowed)| (error.to_string(), allowed)))
}

/// How the reference calls the values of a `format`.
pub fn describe(format: &str) -> Option<&'static str> {
    match format {
        status::FORMAT => Some("range of statuses"),
        _ => units::describe(format),
    }
}
