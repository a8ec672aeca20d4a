//! HTTP statuses as the file writes them: `200`, or a range of them, `200-399`.
//!
//! Must not know which key a value belongs to.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The JSON Schema `format` of values that are checked here.
pub const FORMAT: &str = "asgate-status-range";

/// What to tell someone whose value was refused.
pub const ALLOWED: &str = "a status such as 200, or a range such as 200-399, from 200 to 599";

/// Final statuses (RFC 9110 §15): 1xx announce another response.
const FINAL: RangeInclusive<u16> = 200..=599;

/// Why a text is not a status or a range of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    #[error("is not a status or a range of them")]
    Malformed,
    #[error("is not a final status")]
    NotFinal,
    #[error("ends before it begins")]
    Reversed,
}

/// Statuses from 200 to 599, both ends included; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusRange(pub RangeInclusive<u16>);

impl FromStr for StatusRange {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (status(first)?, status(last)?);
        if last < first {
            return Err(StatusError::Reversed);
        }
        Ok(Self(first..=last))
    }
}

/// Three digits, as in a status line (RFC 9112 §4).
fn status(text: &str) -> Result<u16, StatusError> {
    if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StatusError::Malformed);
    }
    match text.parse() {
        Ok(status) if FINAL.contains(&status) => Ok(status),
        Ok(_) => Err(StatusError::NotFinal),
        Err(_) => Err(StatusError::Malformed),
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.clone().into_inner() {
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl TryFrom<String> for StatusRange {
    type Error = StatusError;

    fn try_from(text: String) -> Result<Self, StatusError> {
        text.parse()
    }
}

impl From<StatusRange> for String {
    fn from(range: StatusRange) -> Self {
        range.to_string()
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> Cow<'static, str> {
        "StatusRange".into()
    }

    /// The text comes first: it is what a scalar of either kind is read as. The number is for
    /// editors, which tell `200` from `"200"`.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {
                    "type": "string",
                    "format": FORMAT,
                    "pattern": r"^[2-5][0-9]{2}(-[2-5][0-9]{2})?$|\$\{",
                },
                { "type": "integer", "minimum": FINAL.start(), "maximum": FINAL.end() },
            ]
        })
    }
}

#[cfg(test)]
mod tests;
