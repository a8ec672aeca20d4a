//! Durations as the file writes them: `250ms`, `30s`, `5m`, `1h`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{MayBeOff, Unit, UnitError, scaled, text_schema, written};

/// A year. What is longer is a slip of the pen, and clocks cannot be trusted to add it.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Unit and its milliseconds, longest first.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A time span of at least a millisecond and at most a year: `250ms`, `30s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl Unit for Span {
    const NAME: &'static str = "Duration";
    const FORMAT: &'static str = "asgate-duration";
    const PATTERN: &'static str = "[0-9]+(ms|s|m|h)";
    const ALLOWED: &'static str = "a duration such as 250ms, 30s, 5m, 1h up to 8760h";
}

impl MayBeOff for Span {
    const FORMAT_OR_OFF: &'static str = "asgate-duration-or-off";
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let span = Duration::from_millis(scaled(text, &UNITS)?);
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
        f.write_str(&written(milliseconds, &UNITS))
    }
}

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

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(Self::FORMAT, Self::PATTERN)
    }
}
