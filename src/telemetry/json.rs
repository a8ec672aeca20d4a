//! One line of newline-delimited JSON, appended to a buffer: flat keys, escaped values.
//!
//! Written by hand because it runs for every request: the `access_line` benchmark compares it
//! with `serde_json`. Whatever a value holds, the line stays one line and one object: quotes,
//! controls and every character that some reader takes for a line break are escaped. Knows
//! nothing of what the keys mean.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::timestamp;

/// A key ready to be appended: the comma before it, its quotes and its colon.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// The severity of a line, as `log.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// One JSON object under construction at the end of a buffer. Every `key` comes from [`key!`].
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// Starts a line with what every line has: time, level, schema version, service, data set.
    pub fn begin(out: &'a mut Vec<u8>, at: SystemTime, level: Level, dataset: &str) -> Self {
        out.extend_from_slice(b"{\"@timestamp\":\"");
        timestamp::append(out, at);
        out.extend_from_slice(b"\",\"log.level\":\"");
        out.extend_from_slice(level.word().as_bytes());
        out.extend_from_slice(
            b"\",\"ecs.version\":\"8.11.0\",\"service.name\":\"asgate\",\"event.dataset\":\"",
        );
        out.extend_from_slice(dataset.as_bytes());
        out.push(b'"');
        Self { out }
    }

    /// Closes the object and the line.
    pub fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    /// A string made of `parts`, one after the other; bytes that are not UTF-8 become U+FFFD.
    pub fn joined(&mut self, key: &'static str, parts: &[&[u8]]) {
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'"');
        for part in parts {
            append_escaped(self.out, part);
        }
        self.out.push(b'"');
    }

    pub fn bytes(&mut self, key: &'static str, value: &[u8]) {
        self.joined(key, &[value]);
    }

    pub fn text(&mut self, key: &'static str, value: &str) {
        self.bytes(key, value.as_bytes());
    }

    /// As [`Line::text`], or nothing at all when there is no value.
    pub fn maybe_text(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    pub fn number(&mut self, key: &'static str, value: u64) {
        self.out.extend_from_slice(key.as_bytes());
        append_number(self.out, value);
    }

    /// As [`Line::number`], or nothing at all when there is no value.
    pub fn maybe_number(&mut self, key: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    /// A duration in nanoseconds. Past 584 years it stays at the largest number there is.
    pub fn nanos(&mut self, key: &'static str, value: Duration) {
        self.number(key, u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
    }

    /// As [`Line::nanos`], or nothing at all when there is no value.
    pub fn maybe_nanos(&mut self, key: &'static str, value: Option<Duration>) {
        if let Some(value) = value {
            self.nanos(key, value);
        }
    }

    pub fn flag(&mut self, key: &'static str, value: bool) {
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Hexadecimal digits in capital letters, as ECS has the hashes of certificates; what is not a
    /// digit is left out.
    pub fn hash(&mut self, key: &'static str, digits: &str) {
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'"');
        let digits = digits.bytes().filter(u8::is_ascii_hexdigit);
        self.out.extend(digits.map(|digit| digit.to_ascii_uppercase()));
        self.out.push(b'"');
    }

    pub fn address(&mut self, key: &'static str, value: IpAddr) {
        match value {
            // The common case, without the formatting machinery.
            IpAddr::V4(v4) => {
                self.out.extend_from_slice(key.as_bytes());
                let mut separator = b'"';
                for octet in v4.octets() {
                    self.out.push(separator);
                    append_number(self.out, u64::from(octet));
                    separator = b'.';
                }
                self.out.push(b'"');
            }
            IpAddr::V6(v6) => self.text(key, &v6.to_string()),
        }
    }
}

fn append_number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn append_escaped(out: &mut Vec<u8>, value: &[u8]) {
    // No early exit: without one the compiler looks at many bytes at a time.
    let plain = value.iter().fold(true, |plain, &byte| plain & is_plain(byte));
    if plain {
        out.extend_from_slice(value);
    } else {
        append_escaped_slowly(out, value);
    }
}

/// Printable ASCII that JSON takes as it is.
fn is_plain(byte: u8) -> bool {
    (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

fn append_escaped_slowly(out: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            append_character(out, character);
        }
        if !chunk.invalid().is_empty() {
            append_character(out, char::REPLACEMENT_CHARACTER);
        }
    }
}

fn append_character(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        // RFC 8259 §7 asks for this below U+0020 only. DEL and U+0080–U+009F (U+0085 is a line
        // break) drive terminals, U+2028 and U+2029 break lines for Python and JavaScript.
        _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') => {
            out.extend_from_slice(b"\\u");
            let code = u32::from(character);
            for shift in [12, 8, 4, 0] {
                let digit = char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0');
                out.push(digit as u8);
            }
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_never_leaves_its_string() {
        let table: &[(&[u8], &str)] = &[
            (b"", ""),
            (b"plain /text?", "plain /text?"),
            (b"quote \" and \\", "quote \\\" and \\\\"),
            (b"a\r\nb\tc", "a\\r\\nb\\tc"),
            (b"\x00\x1b[31m\x7f", "\\u0000\\u001b[31m\\u007f"),
            ("\u{85}\u{9b}".as_bytes(), "\\u0085\\u009b"),
            ("\u{2028}\u{2029}".as_bytes(), "\\u2028\\u2029"),
            ("grüße 日本 🦀".as_bytes(), "grüße 日本 🦀"),
            (b"bad \xff\xfe end", "bad \u{fffd}\u{fffd} end"),
            (b"cut \xe2\x80", "cut \u{fffd}"),
        ];
        for (value, expected) in table {
            let mut out = Vec::new();
            append_escaped(&mut out, value);
            let written = String::from_utf8(out).expect("the output is UTF-8");
            assert_eq!(written, *expected, "escaping of {:?}", value.escape_ascii().to_string());
            let read: String = serde_json::from_str(&format!("\"{written}\"")).expect("JSON");
            assert_eq!(read, String::from_utf8_lossy(value), "what a JSON reader gets back");
        }
    }

    #[test]
    fn every_single_byte_is_told_plain_or_escaped() {
        for byte in 0..=u8::MAX {
            let mut out = Vec::new();
            append_escaped(&mut out, &[byte]);
            let unchanged = out == [byte];
            let plain = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
            assert_eq!(unchanged, plain, "byte 0x{byte:02x}");
        }
    }

    #[test]
    fn hashes_are_written_in_capital_letters() {
        for (digits, expected) in [("00ff9a", "00FF9A"), ("AB:cd", "ABCD"), ("\"\n", ""), ("", "")]
        {
            let mut out = Vec::new();
            Line { out: &mut out }.hash(key!("h"), digits);
            let expected = format!(",\"h\":\"{expected}\"");
            assert_eq!(out, expected.as_bytes(), "digits {digits:?}");
        }
    }

    #[test]
    fn addresses_are_written_bare() {
        for address in ["0.0.0.0", "203.0.113.7", "255.255.255.255", "::1", "2001:db8::7"] {
            let mut out = Vec::new();
            let parsed = address.parse().expect("an address");
            Line { out: &mut out }.address(key!("client.ip"), parsed);
            let expected = format!(",\"client.ip\":\"{address}\"");
            assert_eq!(out, expected.as_bytes(), "address {address}");
        }
    }
}
