//! Request heads: what passes the gate means the same to the engine behind it.
//!
//! The engine parses with httparse what `http1::request` let through, with `/` in place of the target. Whatever the
//! two could read differently is a way to smuggle a request.

use asgate::http1::request::{self, Framing, RequestHead};
use httparse::{EMPTY_HEADER, Header, Status};

use super::shown;

/// Header lines that a head may have here; httparse is given room for one more, to see whether it counts alike.
const MAX_LINES: usize = 64;

/// `bytes` begin with a request head, or not.
pub fn check(bytes: &[u8]) {
    let Some(end) = request::end(bytes, 0) else {
        assert!(request::inspect(bytes, MAX_LINES).is_err(), "a head without an end passes");
        return;
    };
    for searched in 0..end {
        assert_eq!(request::end(bytes, searched), Some(end), "found again from {searched}");
    }
    let head = &bytes[..end];
    let Ok(passed) = request::inspect(head, MAX_LINES) else { return };
    let engine = engines_head(head, &passed);
    let mut lines = [EMPTY_HEADER; MAX_LINES + 1];
    let mut parsed = httparse::Request::new(&mut lines);
    assert_eq!(parsed.parse(&engine), Ok(Status::Complete(engine.len())), "{}", shown(head));
    assert_eq!(parsed.method.map(str::as_bytes), head.get(passed.method.clone()), "method");
    assert_eq!(parsed.version, Some(u8::from(passed.http11)), "version");
    assert_eq!(parsed.headers.len(), passed.lines, "number of header lines");
    let host = passed.host.clone().and_then(|host| head.get(host));
    assert_eq!(only(parsed.headers, "host"), host, "Host of {}", shown(head));
    assert!(host.is_some() || !passed.http11, "HTTP/1.1 without Host passes");
    assert_eq!(framing(parsed.headers, passed.http11), passed.framing, "{}", shown(head));
}

/// The head as the engine gets it: all but the target, which asgate reads itself.
fn engines_head(head: &[u8], passed: &RequestHead) -> Vec<u8> {
    let target = &head[passed.target.clone()];
    assert!(!target.is_empty(), "an empty target passes");
    assert!(target.iter().all(|byte| *byte > b' ' && *byte != 0x7f), "a target ends early");
    [&head[..passed.target.start], b"/", &head[passed.target.end..]].concat()
}

/// How RFC 9112 §6.3 frames a body, of heads in which nothing is said twice.
fn framing(headers: &[Header<'_>], http11: bool) -> Framing {
    match (only(headers, "transfer-encoding"), only(headers, "content-length")) {
        (None, None) => Framing::Length(0),
        (None, Some(digits)) => {
            assert!(digits.iter().all(u8::is_ascii_digit), "Content-Length {}", shown(digits));
            let digits = str::from_utf8(digits).expect("digits");
            Framing::Length(digits.parse().expect("a length that fits"))
        }
        (Some(coding), None) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"), "coding {}", shown(coding));
            assert!(http11, "HTTP/1.0 with Transfer-Encoding passes");
            Framing::Chunked
        }
        (Some(_), Some(_)) => panic!("Content-Length beside Transfer-Encoding passes"),
    }
}

/// The value of a header that is there at most once.
fn only<'h>(headers: &[Header<'h>], name: &str) -> Option<&'h [u8]> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let value = found.next().map(|header| header.value);
    assert!(found.next().is_none(), "{name} twice passes");
    value
}
