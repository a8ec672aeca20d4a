//! Durations, sizes and percentages as the file writes them: a whole number and its unit, or `off`
//! where allowed.
//!
//! Strict on purpose: a bare number says nothing about its unit, so it is an error everywhere.
//! Must not know which key a value belongs to.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use percent::Percent;

mod percent;

/// The JSON Schema `format` of values that are checked here; the prefix keeps it apart from the
/// standard ones (`duration` there means ISO 8601).
const DURATION: &str = "asgate-duration";
const DURATION_OR_OFF: &str = "asgate-duration-or-off";
const SIZE: &str = "asgate-size";
const SIZE_OR_OFF: &str = "asgate-size-or-off";

/// A year. What is longer is a slip of the pen, and clocks cannot be trusted to add it.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Unit and its milliseconds, longest first.
const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Unit and its bytes, largest first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

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

/// What the kinds of value that may be `off` have in common.
pub trait Unit: FromStr<Err = UnitError> + fmt::Display {
    /// Name in the JSON Schema.
    const NAME: &'static str;
    const FORMAT: &'static str;
    const FORMAT_OR_OFF: &'static str;
    /// A regular expression for editors; it leaves the arithmetic to the parser.
    const PATTERN: &'static str;
    /// What to tell someone whose value was refused.
    const ALLOWED: &'static str;
}

/// A time span of at least a millisecond and at most a year: `250ms`, `30s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// A number of bytes: `100B`, `64KiB` (1024), `30MB` (1000 × 1000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

/// A value, or the word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[serde(bound = "T: Unit + Clone")]
pub struct OrOff<T>(pub Option<T>);

/// Check a text against a schema's `format`. `None`: not a format of ours. The error comes with
/// what would have been allowed.
pub fn check(format: &str, text: &str) -> Option<Result<(), (UnitError, String)>> {
    fn as_one<T: Unit>(text: &str) -> Result<(), (UnitError, String)> {
        text.parse::<T>().map(drop).map_err(|error| (error, T::ALLOWED.to_owned()))
    }
    fn as_one_or_off<T: Unit>(text: &str) -> Result<(), (UnitError, String)> {
        text.parse::<OrOff<T>>()
            .map(drop)
            .map_err(|error| (error, format!("{} or off", T::ALLOWED)))
    }
    match format {
        DURATION => Some(as_one::<Span>(text)),
        DURATION_OR_OFF => Some(as_one_or_off::<Span>(text)),
        SIZE => Some(as_one::<Size>(text)),
        SIZE_OR_OFF => Some(as_one_or_off::<Size>(text)),
        percent::FORMAT => {
            let percent = text.parse::<Percent>();
            Some(percent.map(drop).map_err(|error| (error, percent::ALLOWED.to_owned())))
        }
        _ => None,
    }
}

/// How the reference calls the values of a `format`.
pub fn describe(format: &str) -> Option<&'static str> {
    match format {
        DURATION => Some("duration"),
        DURATION_OR_OFF => Some("duration or `off`"),
        SIZE => Some("size"),
        SIZE_OR_OFF => Some("size or `off`"),
        percent::FORMAT => Some("percentage"),
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

// === Span ===

impl Unit for Span {
    const NAME: &'static str = "Duration";
    const FORMAT: &'static str = DURATION;
    const FORMAT_OR_OFF: &'static str = DURATION_OR_OFF;
    const PATTERN: &'static str = "[0-9]+(ms|s|m|h)";
    const ALLOWED: &'static str = "a duration such as 250ms, 30s, 5m, 1h up to 8760h";
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let span = Duration::from_millis(scaled(text, &DURATION_UNITS)?);
        match span {
            Duration::ZERO => Err(UnitError::Zero),
            _ if span > LONGEST => Err(UnitError::TooLarge),
            _ => Ok(Self(span)),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        f.write_str(&written(milliseconds, &DURATION_UNITS))
    }
}

// === Size ===

impl Unit for Size {
    const NAME: &'static str = "Size";
    const FORMAT: &'static str = SIZE;
    const FORMAT_OR_OFF: &'static str = SIZE_OR_OFF;
    const PATTERN: &'static str = "[0-9]+([KMGT]i?)?B";
    const ALLOWED: &'static str = "a size such as 100B, 64KiB, 30MB, 1GiB";
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &SIZE_UNITS).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.0, &SIZE_UNITS))
    }
}

// === OrOff ===

impl<T: Unit> FromStr for OrOff<T> {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text {
            "off" => Ok(Self(None)),
            _ => text.parse().map(|value| Self(Some(value))),
        }
    }
}

impl<T: Unit> fmt::Display for OrOff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("off"),
        }
    }
}

// === serde and schema, the same for all ===

impl TryFrom<String> for Span {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(value: Span) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Size {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(value: Size) -> Self {
        value.to_string()
    }
}

impl<T: Unit> TryFrom<String> for OrOff<T> {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl<T: Unit> From<OrOff<T>> for String {
    fn from(value: OrOff<T>) -> Self {
        value.to_string()
    }
}

/// `${` anywhere passes the pattern: what an editor sees is the text before expansion.
fn text_schema(format: &str, pattern: &str) -> Schema {
    json_schema!({
        "type": "string",
        "format": format,
        "pattern": format!(r"^({pattern})$|\$\{{"),
    })
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(Self::FORMAT, Self::PATTERN)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(Self::FORMAT, Self::PATTERN)
    }
}

impl<T: Unit> JsonSchema for OrOff<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrOff", T::NAME).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(T::FORMAT_OR_OFF, &format!("{}|off", T::PATTERN))
    }
}
