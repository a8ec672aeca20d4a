//! Numbers of bytes as the file writes them: `100B`, `64KiB`, `30MB`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{MayBeOff, Unit, UnitError, scaled, text_schema, written};

/// Unit and its bytes, largest first.
const UNITS: [(&str, u64); 9] = [
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

/// A number of bytes: `100B`, `64KiB` (1024), `30MB` (1000 × 1000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

impl Unit for Size {
    const NAME: &'static str = "Size";
    const FORMAT: &'static str = "asgate-size";
    const PATTERN: &'static str = "[0-9]+([KMGT]i?)?B";
    const ALLOWED: &'static str = "a size such as 100B, 64KiB, 30MB, 1GiB";
}

impl MayBeOff for Size {
    const FORMAT_OR_OFF: &'static str = "asgate-size-or-off";
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &UNITS).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.0, &UNITS))
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

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        Self::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(Self::FORMAT, Self::PATTERN)
    }
}
