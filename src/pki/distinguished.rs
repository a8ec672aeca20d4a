//! Distinguished names as text (RFC 4514), in printable ASCII: what is logged, and what an app gets in a header.

use x509_parser::asn1_rs::{Any, Tag, ToDer as _};
use x509_parser::oid_registry::Oid;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Numbers of attributes and their short names: those of RFC 4514 §3, and of RFC 4519 and RFC 2985 those that OpenSSL
/// writes out as well, so that an app gets from asgate what it got from nginx.
const KEYWORDS: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// `CN=app,O=Example Org,C=DE`: the last part of the name comes first. Characters beyond ASCII are `\` and two
/// hexadecimal digits for each byte of their UTF-8.
pub fn name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

/// One attribute; without a keyword, or with a value that is no string, in numbers and digits (RFC 4514 §2.3, §2.4).
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let keyword = keyword(attribute.attr_type());
    match (keyword, string(attribute.attr_value())) {
        (Some(keyword), Some(value)) => format!("{keyword}={}", escaped(&value)),
        (Some(keyword), None) => format!("{keyword}={}", digits(attribute.attr_value())),
        (None, _) => {
            format!("{}={}", attribute.attr_type().to_id_string(), digits(attribute.attr_value()))
        }
    }
}

fn keyword(number: &Oid<'_>) -> Option<&'static str> {
    let number = number.to_id_string();
    KEYWORDS.iter().find(|(known, _)| *known == number).map(|(_, keyword)| *keyword)
}

/// The characters of a string; `None` for types whose characters nobody agrees on (TeletexString) or uses.
fn string(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => String::from_utf8(value.as_bytes().to_vec()).ok(),
        Tag::BmpString => utf16(value.as_bytes()),
        _ => None,
    }
}

/// Two bytes for each character, the high one first. Pairs that make one are not meant to occur, but do.
fn utf16(bytes: &[u8]) -> Option<String> {
    let (units, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit)))
        .collect::<Result<_, _>>()
        .ok()
}

fn escaped(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let byte = |(at, byte): (usize, u8)| match byte {
        b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => format!("\\{}", char::from(byte)),
        // Not as an escaped blank, which a header would lose at its end.
        b' ' if at == 0 || at == last => "\\20".to_owned(),
        b'#' if at == 0 => "\\#".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:02X}"),
    };
    value.bytes().enumerate().map(byte).collect()
}

/// `#` and the whole encoding in hexadecimal digits.
fn digits(value: &Any<'_>) -> String {
    let encoding = value.to_der_vec().unwrap_or_default();
    let digits = encoding.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("#".to_owned()).chain(digits).collect()
}
