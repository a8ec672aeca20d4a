//! Shares of a whole as the file writes them: `50%`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Unit, UnitError, scaled, text_schema};

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

impl Unit for Percent {
    const NAME: &'static str = "Percent";
    const FORMAT: &'static str = "asgate-percent";
    const PATTERN: &'static str = "[0-9]+%";
    const ALLOWED: &'static str = "a whole percentage such as 20%, from 0% to 100%";
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
        Self::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(Self::FORMAT, Self::PATTERN)
    }
}
