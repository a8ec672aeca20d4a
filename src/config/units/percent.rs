//! Shares of a whole as the file writes them: `50%`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{UnitError, scaled, text_schema};

/// The JSON Schema `format` of values that are checked here.
pub const FORMAT: &str = "asgate-percent";

/// What to tell someone whose value was refused.
pub const ALLOWED: &str = "a whole percentage such as 20%, from 0% to 100%";

/// The only unit.
const UNITS: [(&str, u64); 1] = [("%", 1)];

/// The whole.
const ALL: u8 = 100;

/// A share of a whole in hundredths, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(u8);

impl Percent {
    /// `percent` hundredths; more than the whole is the whole.
    pub const fn saturating(percent: u8) -> Self {
        Self(if percent > ALL { ALL } else { percent })
    }

    /// Hundredths, from 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match u8::try_from(scaled(text, &UNITS)?) {
            Ok(percent) if percent <= ALL => Ok(Self(percent)),
            _ => Err(UnitError::TooLarge),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl TryFrom<String> for Percent {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Percent> for String {
    fn from(value: Percent) -> Self {
        value.to_string()
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(FORMAT, "[0-9]+%")
    }
}
