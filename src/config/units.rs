//! Durations, sizes and percentages as the file writes them: a whole number and its unit, or `off`
//! where allowed.
//!
//! Strict on purpose: a bare number says nothing about its unit, so it is an error everywhere.
//! Must not know which key a value belongs to.

use std::fmt;
use std::str::FromStr;

use schemars::{Schema, json_schema};

pub use or_off::OrOff;
pub use percent::Percent;
pub use size::Size;
pub use span::Span;

mod or_off;
mod percent;
mod size;
mod span;

/// Why a text is not a value of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("needs a unit")]
    NoUnit,
    #[error("is not a number and a unit")]
    Malformed,
    #[error("is too large")]
    TooLarge,
    #[error("must not be zero")]
    Zero,
}

/// What the kinds of value have in common.
pub trait Unit: FromStr<Err = UnitError> + fmt::Display {
    /// Name in the JSON Schema.
    const NAME: &'static str;
    /// The JSON Schema `format`. Its prefix keeps it apart from the standard ones: `duration` there
    /// means ISO 8601.
    const FORMAT: &'static str;
    /// A regular expression for editors; it leaves the arithmetic to the parser.
    const PATTERN: &'static str;
    /// What to tell someone whose value was refused.
    const ALLOWED: &'static str;
}

/// A kind of which there may be none.
pub trait MayBeOff: Unit {
    /// The `format` of a value or `off`.
    const FORMAT_OR_OFF: &'static str;
}

/// Check a text against a schema's `format`. `None`: not a format of ours. The error comes with
/// what would have been allowed.
pub fn check(format: &str, text: &str) -> Option<Result<(), (UnitError, String)>> {
    fn as_one<T: Unit>(text: &str) -> Result<(), (UnitError, String)> {
        text.parse::<T>().map(drop).map_err(|error| (error, T::ALLOWED.to_owned()))
    }
    fn as_one_or_off<T: MayBeOff>(text: &str) -> Result<(), (UnitError, String)> {
        text.parse::<OrOff<T>>()
            .map(drop)
            .map_err(|error| (error, format!("{} or off", T::ALLOWED)))
    }
    match format {
        Span::FORMAT => Some(as_one::<Span>(text)),
        Span::FORMAT_OR_OFF => Some(as_one_or_off::<Span>(text)),
        Size::FORMAT => Some(as_one::<Size>(text)),
        Size::FORMAT_OR_OFF => Some(as_one_or_off::<Size>(text)),
        Percent::FORMAT => Some(as_one::<Percent>(text)),
        _ => None,
    }
}

/// How the reference calls the values of a `format`.
pub fn describe(format: &str) -> Option<&'static str> {
    match format {
        Span::FORMAT => Some("duration"),
        Span::FORMAT_OR_OFF => Some("duration or `off`"),
        Size::FORMAT => Some("size"),
        Size::FORMAT_OR_OFF => Some("size or `off`"),
        Percent::FORMAT => Some("percentage"),
        _ => None,
    }
}

/// `number × factor of its unit`.
fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(UnitError::Malformed);
    }
    if unit.is_empty() {
        return Err(UnitError::NoUnit);
    }
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or(UnitError::Malformed)?;
    // Only overflow is left to fail: all of `number` is digits.
    let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
    number.checked_mul(*factor).ok_or(UnitError::TooLarge)
}

/// The shortest exact way to write `amount`: the unit that leaves the smallest whole number.
fn written(amount: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .filter(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor))
        .min_by_key(|(_, factor)| amount / factor)
        .or(units.last())
        .map_or_else(String::new, |(name, factor)| format!("{}{name}", amount / factor))
}

/// `${` anywhere passes the pattern: what an editor sees is the text before expansion.
fn text_schema(format: &str, pattern: &str) -> Schema {
    json_schema!({
        "type": "string",
        "format": format,
        "pattern": format!(r"^({pattern})$|\$\{{"),
    })
}
