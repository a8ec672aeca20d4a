//! The one spelling of a request target that is matched and forwarded.
//!
//! Several spellings of a path mean the same to an app; a route that looked at another spelling
//! than the app would be a way round it. The canonical path is what RFC 3986 §6.2.2 calls
//! normalised, with these decisions:
//!
//! | in the path | becomes | why |
//! |---|---|---|
//! | raw control character, space, DEL | refused | ends the request line for some parsers |
//! | raw `\` | refused | a `/` for some systems; no client sends it |
//! | raw `#` | refused | a fragment is never sent (RFC 9112 §3.2) |
//! | raw `"` `<` `>` `^` `` ` `` `{` `\|` `}` `[` `]`, non-ASCII | encoded | forbidden, yet sent by clients |
//! | `%` without two hex digits | refused | decoders disagree about it |
//! | `%00` | refused | ends a string for some systems |
//! | encoded letter, digit, `-` `.` `_` `~` | decoded | equivalent (RFC 3986 §6.2.2.2) |
//! | encoded `/`, `:`, `@`, `;` … which a path may have raw | decoded | the app routes on it decoded |
//! | other triplets: `%5C`, `%3F`, `%25` | kept, in upper case | raw it would mean something else |
//! | `.` and `..` segments, after decoding | removed | RFC 3986 §5.2.4 |
//! | `..` above the root | refused | the RFC clamps; only attackers send it |
//! | `//` | kept | ASGI apps see it so |
//!
//! Canonical paths are ASCII, begin with `/`, and are their own canonical form.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};
use percent_encoding::percent_encode_byte;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Why a request target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    #[error("the request target has a raw control character or space")]
    Control,
    #[error("the path has a raw backslash")]
    Backslash,
    #[error("the request target has a fragment")]
    Fragment,
    #[error("the path has a `%` that is not followed by two hex digits")]
    BadTriplet,
    #[error("the path has an encoded NUL")]
    EncodedNul,
    #[error("the path climbs above the root")]
    AboveRoot,
}

/// Splits an origin-form target (RFC 9112 §3.2.1) at its first `?` into raw path and raw query.
pub fn split(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    memchr(b'?', target)
        .and_then(|mark| Some((target.get(..mark)?, target.get(mark + 1..)?)))
        .map_or((target, None), |(path, query)| (path, Some(query)))
}

/// The canonical form of a raw path (without `?` and query). Borrows when that is the same text and
/// has no triplet.
///
/// # Errors
/// As in the table of this module.
pub fn canonical(raw: &[u8]) -> Result<Cow<'_, str>, PathError> {
    match str::from_utf8(raw) {
        Ok(text) if is_canonical(raw) => Ok(Cow::Borrowed(text)),
        _ => rebuild(raw, Stray::Refuse).map(Cow::Owned),
    }
}

/// [`canonical`] for a path that asgate itself put together: what a client may not send raw is
/// encoded.
pub(super) fn canonical_made(made: &str) -> Result<String, PathError> {
    rebuild(made.as_bytes(), Stray::Encode)
}

/// The query as it is matched and forwarded (without `?`). Borrows when there is nothing to change.
///
/// Non-ASCII and `"` `<` `>` are percent-encoded as browsers do (WHATWG URL, query percent-encode
/// set); all else is left alone, invalid triplets included, because what a query means is the
/// app's.
///
/// # Errors
/// [`PathError::Control`] and [`PathError::Fragment`].
pub fn query(raw: &[u8]) -> Result<Cow<'_, str>, PathError> {
    let mut clean = true;
    for &byte in raw {
        match byte {
            0..=b' ' | 0x7f => return Err(PathError::Control),
            b'#' => return Err(PathError::Fragment),
            b'"' | b'<' | b'>' | 0x80.. => clean = false,
            _ => {}
        }
    }
    match str::from_utf8(raw) {
        Ok(text) if clean => Ok(Cow::Borrowed(text)),
        _ => {
            let mut out = String::with_capacity(raw.len() * 2);
            for &byte in raw {
                match byte {
                    b'"' | b'<' | b'>' | 0x80.. => out.push_str(percent_encode_byte(byte)),
                    _ => out.push(char::from(byte)),
                }
            }
            Ok(Cow::Owned(out))
        }
    }
}

/// What to do with raw characters that a client may not send.
#[derive(Clone, Copy)]
enum Stray {
    Refuse,
    Encode,
}

/// What a raw byte of a path calls for.
enum Class {
    Keep,
    Percent,
    Encode,
    Control,
    Backslash,
    Hash,
}

/// One arm per class, so that the compiler makes a table of it.
const fn class(byte: u8) -> Class {
    match byte {
        b'%' => Class::Percent,
        0..=b' ' | 0x7f => Class::Control,
        b'\\' => Class::Backslash,
        b'#' => Class::Hash,
        // `?` cannot come from a client, whose target was split there.
        b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b'[' | b']' | b'?' | 0x80.. => {
            Class::Encode
        }
        _ => Class::Keep,
    }
}

/// Whether `raw` is canonical and has no triplet. The fast path: no allocation, and no branch per
/// byte, so that the compiler can look at many bytes at once.
fn is_canonical(raw: &[u8]) -> bool {
    let plain = raw.iter().fold(true, |plain, byte| plain & is_plain(*byte));
    let mut dots = memchr_iter(b'.', raw);
    plain && raw.first() == Some(&b'/') && !dots.any(|dot| is_dot_segment_at(raw, dot))
}

/// [`Class::Keep`] in a few ranges.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&'..=b';' | b'=' | b'@'..=b'Z' | b'_' | b'a'..=b'z' | b'~')
}

/// Whether a `.` or `..` segment begins at `dot`.
fn is_dot_segment_at(raw: &[u8], dot: usize) -> bool {
    let rest = dot.checked_sub(1).and_then(|before| raw.get(before..)).unwrap_or_default();
    matches!(rest, b"/." | b"/.." | [b'/', b'.', b'/', ..] | [b'/', b'.', b'.', b'/', ..])
}

fn rebuild(raw: &[u8], stray: Stray) -> Result<String, PathError> {
    if raw.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    let mut out = String::with_capacity(raw.len() + 16);
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let refusal = match class(byte) {
            Class::Keep => {
                out.push(char::from(byte));
                continue;
            }
            Class::Percent => {
                rest = push_triplet(&mut out, after)?;
                continue;
            }
            Class::Encode => None,
            Class::Control => Some(PathError::Control),
            Class::Backslash => Some(PathError::Backslash),
            Class::Hash => Some(PathError::Fragment),
        };
        match (refusal, stray) {
            (Some(error), Stray::Refuse) => return Err(error),
            _ => out.push_str(percent_encode_byte(byte)),
        }
    }
    without_dot_segments(out)
}

/// Takes the two hex digits after a `%`, writes what they become, and returns what follows them.
fn push_triplet<'a>(out: &mut String, after: &'a [u8]) -> Result<&'a [u8], PathError> {
    let [high, low, rest @ ..] = after else {
        return Err(PathError::BadTriplet);
    };
    let digit = |hex: u8| char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
        return Err(PathError::BadTriplet);
    };
    match high << 4 | low {
        0 => return Err(PathError::EncodedNul),
        byte if byte == b'/' || is_segment_character(byte) => out.push(char::from(byte)),
        byte => out.push_str(percent_encode_byte(byte)),
    }
    Ok(rest)
}

/// RFC 3986 §3.3 `pchar` without the triplets: what may stand raw in a segment.
fn is_segment_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// RFC 3986 §5.2.4 for an absolute path, but refusing to climb above the root. Linear: what is cut
/// off was written once.
fn without_dot_segments(path: String) -> Result<String, PathError> {
    if !path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Ok(path);
    }
    let mut out = String::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => out.truncate(out.rfind('/').ok_or(PathError::AboveRoot)?),
            _ => {
                out.push('/');
                out.push_str(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            out.push('/');
        }
    }
    Ok(out)
}
