//! A scalar as written, and what YAML 1.2's core schema (§10.3.2) takes it for.

/// Text of the file that is not yet a number, a boolean or a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// As in the file, before `${NAME}` was filled in: what may be shown.
    written: String,
    /// `Some` when it differs in origin: it holds something from the environment.
    expanded: Option<String>,
    plain: bool,
    known: bool,
}

/// What a scalar may be read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plain {
    Null,
    Bool(bool),
    /// `None`: beyond 64 bits.
    Integer(Option<i64>),
    Float,
    Text,
}

impl Scalar {
    /// A scalar without anything from the environment; `plain` when it has no quotes.
    pub fn new(text: &str, plain: bool) -> Self {
        Self { written: text.to_owned(), expanded: None, plain, known: true }
    }

    /// `written` holds `${…}` and stands for `expanded`.
    pub fn expanded(written: &str, expanded: String, plain: bool) -> Self {
        Self { written: written.to_owned(), expanded: Some(expanded), plain, known: true }
    }

    /// Something that was refused already and of which nothing more is to be said.
    pub fn unknown() -> Self {
        Self { written: String::new(), expanded: None, plain: true, known: false }
    }

    /// Whether there is a value to judge.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Whether it came, in part, from the environment.
    pub fn is_expanded(&self) -> bool {
        self.expanded.is_some()
    }

    /// As it stands in the file.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// What it stands for.
    pub fn value(&self) -> &str {
        self.expanded.as_deref().unwrap_or(&self.written)
    }

    /// The type the core schema gives it; whatever has quotes is text.
    pub fn plain(&self) -> Plain {
        if self.plain { resolve(self.value()) } else { Plain::Text }
    }

    /// Its text, where text is wanted. A number or boolean is none until it has quotes, except that
    /// a value from the environment cannot know its quotes.
    pub fn text(&self) -> Option<&str> {
        (self.is_expanded() || self.plain() == Plain::Text).then(|| self.value())
    }
}

/// The core schema's tag resolution.
fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Plain::Float,
        _ => {}
    }
    if let Some(octal) =
        text.strip_prefix("0o").filter(|rest| all(rest, |byte| matches!(byte, b'0'..=b'7')))
    {
        return Plain::Integer(i64::from_str_radix(octal, 8).ok());
    }
    if let Some(hex) = text.strip_prefix("0x").filter(|rest| all(rest, u8::is_ascii_hexdigit)) {
        return Plain::Integer(i64::from_str_radix(hex, 16).ok());
    }
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    if all(number, u8::is_ascii_digit) {
        return Plain::Integer(text.parse().ok());
    }
    if is_float(number) { Plain::Float } else { Plain::Text }
}

fn all(text: &str, is: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(is)
}

/// `number` has no sign: `1.5`, `.5`, `1.`, `1e3`, `.inf`.
fn is_float(number: &str) -> bool {
    if matches!(number, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        all(exponent.strip_prefix(['-', '+']).unwrap_or(exponent), u8::is_ascii_digit)
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    exponent_fits && digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}
