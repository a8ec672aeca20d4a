//! Values of which there may be none: `off`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{MayBeOff, UnitError, text_schema};

/// A value, or the word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[serde(bound = "T: MayBeOff + Clone")]
pub struct OrOff<T>(pub Option<T>);

impl<T: MayBeOff> FromStr for OrOff<T> {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text {
            "off" => Ok(Self(None)),
            _ => text.parse().map(|value| Self(Some(value))),
        }
    }
}

impl<T: MayBeOff> fmt::Display for OrOff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl<T: MayBeOff> TryFrom<String> for OrOff<T> {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl<T: MayBeOff> From<OrOff<T>> for String {
    fn from(value: OrOff<T>) -> Self {
        value.to_string()
    }
}

impl<T: MayBeOff> JsonSchema for OrOff<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrOff", T::NAME).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(T::FORMAT_OR_OFF, &format!("{}|off", T::PATTERN))
    }
}
