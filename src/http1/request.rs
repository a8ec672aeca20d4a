//! The gate for request heads: one strict pass over the raw bytes before the engine parses them.

use std::ops::Range;

use super::{Fault, content_length};

/// How the request's body is framed (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Bytes of the body; 0 when there is none.
    Length(u64),
    Chunked,
}

/// What a request head says, as ranges into the bytes that were inspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    pub method: Range<usize>,
    /// The request target as sent; never empty, without spaces and control characters.
    pub target: Range<usize>,
    /// `true` for HTTP/1.1, `false` for HTTP/1.0.
    pub http11: bool,
    pub framing: Framing,
    /// The value of `Host`, white space trimmed.
    pub host: Option<Range<usize>>,
    /// Number of header lines.
    pub lines: usize,
}

/// Where the head in `bytes` ends: the index after its empty line, searching from `from`.
///
/// A head that breaks the rules about line ends still has an end here, so that it can be refused by [`inspect`]
/// instead of being waited for.
pub fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from.saturating_sub(3);
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let next = at + found + 1;
        match bytes.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => at = next,
        }
    }
    None
}

/// Checks a whole head (request line to empty line) and says what it means.
///
/// # Errors
/// The first [`Fault`] found; `max_lines` bounds the number of header lines.
pub fn inspect(head: &[u8], max_lines: usize) -> Result<RequestHead, Fault> {
    let mut lines = Lines { head, at: 0 };
    let line = lines.next_line()?;
    let (method, target, http11) = request_line(head.get(line.clone()).unwrap_or_default())?;
    let mut framing = FramingHeaders::default();
    let mut host = None;
    let mut count = 0;
    loop {
        let line = lines.next_line()?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > max_lines {
            return Err(Fault::TooManyHeaders);
        }
        let bytes = head.get(line.clone()).unwrap_or_default();
        let (name, value) = header_line(bytes)?;
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let start = line.start + value.start;
                if host.replace(start..line.start + value.end).is_some() {
                    return Err(Fault::Host);
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                framing.length(bytes.get(value).unwrap_or_default())?;
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                framing.coding(bytes.get(value).unwrap_or_default())?;
            }
            _ => {}
        }
    }
    if head.get(method.clone()) == Some(b"CONNECT") {
        return Err(Fault::Connect);
    }
    // The engine refuses userinfo too, but without a word.
    let userinfo = |range: Range<usize>| head.get(range).is_some_and(|host| host.contains(&b'@'));
    if http11 && host.is_none() || host.clone().is_some_and(userinfo) {
        return Err(Fault::Host);
    }
    Ok(RequestHead {
        method,
        target,
        http11,
        framing: framing.resolve(http11)?,
        host,
        lines: count,
    })
}

/// Hands out the lines of a head without their CRLF.
struct Lines<'a> {
    head: &'a [u8],
    at: usize,
}

impl Lines<'_> {
    fn next_line(&mut self) -> Result<Range<usize>, Fault> {
        let rest = self.head.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).ok_or(Fault::LineEnd)?;
        let line = rest.get(..end).unwrap_or_default();
        let Some((b'\r', line)) = line.split_last() else {
            return Err(Fault::LineEnd);
        };
        let start = self.at;
        self.at += end + 1;
        Ok(start..start + line.len())
    }
}

/// `Content-Length` and `Transfer-Encoding` as they come by.
#[derive(Default)]
struct FramingHeaders {
    length: Option<u64>,
    chunked: bool,
}

impl FramingHeaders {
    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        // RFC 9110 §8.6 lets a recipient merge identical copies. Few clients send them and a smuggler needs them.
        if self.length.replace(content_length(value)?).is_some() {
            return Err(Fault::ContentLength);
        }
        Ok(())
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }

    fn resolve(self, http11: bool) -> Result<Framing, Fault> {
        match (self.chunked, self.length) {
            (true, None) if http11 => Ok(Framing::Chunked),
            (true, _) => Err(Fault::TransferEncoding),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn request_line(line: &[u8]) -> Result<(Range<usize>, Range<usize>, bool), Fault> {
    let method_end = memchr::memchr(b' ', line).ok_or(Fault::RequestLine)?;
    let target_end = memchr::memrchr(b' ', line).ok_or(Fault::RequestLine)?;
    let method = line.get(..method_end).unwrap_or_default();
    let target = line.get(method_end + 1..target_end).unwrap_or_default();
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(Fault::RequestLine);
    }
    // A target holds neither white space nor control characters; what else it may hold is `routing::path`'s to say.
    if target.is_empty() || target.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        return Err(Fault::RequestLine);
    }
    let http11 = match line.get(target_end + 1..).unwrap_or_default() {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        version if version.starts_with(b"HTTP/") => return Err(Fault::Version),
        _ => return Err(Fault::RequestLine),
    };
    Ok((0..method_end, method_end + 1..target_end, http11))
}

/// Splits `name: value`; the range is the value within the line, white space trimmed.
fn header_line(line: &[u8]) -> Result<(&[u8], Range<usize>), Fault> {
    let colon = memchr::memchr(b':', line).ok_or(Fault::Header)?;
    let (name, rest) = line.split_at(colon);
    // A folded line starts with white space, and white space before the colon is no token either (RFC 9112 §5.1).
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return Err(Fault::Header);
    }
    let value = rest.get(1..).unwrap_or_default();
    if value.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
        return Err(Fault::Header);
    }
    let lead = value.len() - value.trim_ascii_start().len();
    let start = colon + 1 + lead;
    Ok((name, start..start + value.trim_ascii().len()))
}

/// RFC 9110 §5.6.2 `tchar`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
