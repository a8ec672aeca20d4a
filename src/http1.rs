//! HTTP/1.1 on the wire: what a message head may look like and how long its body is (RFC 9112).
//!
//! Pure: bytes in, facts or a [`Fault`] out. The request side is a gate in front of the engine's own parser: what is
//! ambiguous, so that two servers could read it differently, is refused here and never forwarded. The response side
//! reads what a worker answers. Neither opens a socket, knows a clock, or decides a status code.

pub mod chunked;
pub mod download;
pub mod request;
pub mod response;

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not `METHOD SP target SP HTTP/1.x` (RFC 9112 §3).
    #[error("malformed request line")]
    RequestLine,
    /// An HTTP version other than 1.0 and 1.1 (RFC 9112 §2.3).
    #[error("unsupported HTTP version")]
    Version,
    /// A line that ends in LF alone, or a CR without LF (RFC 9112 §2.2).
    #[error("line not ended by CRLF")]
    LineEnd,
    /// A header line that is not `name: value`, is folded, or holds control characters (RFC 9110 §5.5, RFC 9112 §5).
    #[error("malformed header line")]
    Header,
    /// More header lines than allowed.
    #[error("too many header lines")]
    TooManyHeaders,
    /// `Content-Length` that is no number or differs from another one (RFC 9112 §6.3).
    #[error("invalid Content-Length")]
    ContentLength,
    /// `Transfer-Encoding` other than exactly `chunked`, beside a `Content-Length`, or on HTTP/1.0 (RFC 9112 §6.1).
    #[error("invalid Transfer-Encoding")]
    TransferEncoding,
    /// No `Host` on HTTP/1.1, or more than one (RFC 9112 §3.2).
    #[error("missing or repeated Host")]
    Host,
    /// CONNECT: it asks for a tunnel and not for a resource (RFC 9110 §9.3.6).
    #[error("CONNECT is not served")]
    Connect,
    /// Not `HTTP/1.x SP status` (RFC 9112 §4).
    #[error("malformed status line")]
    StatusLine,
    /// A chunk size or chunk end that breaks the grammar (RFC 9112 §7.1).
    #[error("malformed chunked body")]
    Chunk,
}

/// Reads a `Content-Length` value: digits only, no sign, no list (RFC 9110 §8.6).
fn content_length(value: &[u8]) -> Result<u64, Fault> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::ContentLength);
    }
    value
        .iter()
        .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        // More than this no server counts to; the engine does not either.
        .filter(|length| i64::try_from(*length).is_ok())
        .ok_or(Fault::ContentLength)
}
