//! The head of a worker's response: status, headers, and how its body is framed.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{Method, StatusCode};

use super::{Fault, content_length};

/// Header lines a response may have.
const MAX_LINES: usize = 256;
/// Bytes a response head may have.
pub const MAX_HEAD: usize = 256 * 1024;

/// A worker's response head.
#[derive(Debug)]
pub struct ResponseHead {
    pub status: StatusCode,
    /// As the worker sent them, framing and hop-by-hop headers included.
    pub headers: HeaderMap,
    /// Whether the worker keeps the connection once the response is complete (RFC 9112 §9.3).
    pub keep_alive: bool,
}

/// How the end of a response body is found (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Reads a response head off the front of `bytes`; `None` when it is not complete yet.
/// The number is the head's length in bytes.
///
/// # Errors
/// [`Fault::StatusLine`] or [`Fault::Header`] when it is no HTTP/1.x response, [`Fault::TooManyHeaders`] when it is
/// larger than a head may be.
pub fn parse(bytes: &[u8]) -> Result<Option<(ResponseHead, usize)>, Fault> {
    let mut lines = [const { std::mem::MaybeUninit::uninit() }; MAX_LINES];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut lines,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Fault::TooManyHeaders);
        }
        Err(httparse::Error::Status | httparse::Error::Version) => return Err(Fault::StatusLine),
        Err(_) => return Err(Fault::Header),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let mut headers = HeaderMap::with_capacity(response.headers.len() + 2);
    for line in response.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Fault::Header)?;
        let value = HeaderValue::from_bytes(line.value).map_err(|_| Fault::Header)?;
        headers.append(name, value);
    }
    let head = ResponseHead {
        status: status.ok_or(Fault::StatusLine)?,
        keep_alive: keeps_alive(&headers, response.version == Some(1)),
        headers,
    };
    Ok(Some((head, length)))
}

impl ResponseHead {
    /// How long the body is that follows this head in answer to `method`.
    ///
    /// # Errors
    /// [`Fault::ContentLength`] when lengths are invalid or differ, [`Fault::TransferEncoding`] for a coding other
    /// than `chunked` or one beside a length.
    pub fn framing(&self, method: &Method) -> Result<Framing, Fault> {
        let length = self.length()?;
        let mut codings = self.headers.get_all(TRANSFER_ENCODING).iter();
        let coding = codings.next();
        let bodiless = self.status.is_informational()
            || self.status == StatusCode::NO_CONTENT
            || self.status == StatusCode::NOT_MODIFIED
            || method == Method::HEAD;
        match (coding, length) {
            _ if bodiless => Ok(Framing::Length(0)),
            (None, Some(length)) => Ok(Framing::Length(length)),
            (None, None) => Ok(Framing::UntilClose),
            (Some(coding), None)
                if coding.as_bytes().eq_ignore_ascii_case(b"chunked")
                    && codings.next().is_none() =>
            {
                Ok(Framing::Chunked)
            }
            (Some(_), _) => Err(Fault::TransferEncoding),
        }
    }

    /// Whether the worker may close the connection after this answer to `method`, or have more to do with it, although the
    /// head says nothing of that. Uvicorn
    /// - closes it after an exception in the app, most of which have been answered with 500;
    /// - closes it, or sends the body, where an app gives one to a status that has none (204 and 304 with a length);
    /// - lets the app go on with the body of an answer to HEAD, which is not sent: what comes next waits for that.
    pub fn is_doubtful(&self, method: &Method) -> bool {
        match self.status {
            StatusCode::INTERNAL_SERVER_ERROR => true,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {
                !matches!(self.length(), Ok(None | Some(0)))
            }
            _ => method == Method::HEAD,
        }
    }

    fn length(&self) -> Result<Option<u64>, Fault> {
        let mut found = None;
        for value in self.headers.get_all(CONTENT_LENGTH) {
            let length = content_length(value.as_bytes())?;
            if found.replace(length).is_some_and(|earlier| earlier != length) {
                return Err(Fault::ContentLength);
            }
        }
        Ok(found)
    }
}

fn keeps_alive(headers: &HeaderMap, http11: bool) -> bool {
    let named = |option: &str| {
        headers.get_all(CONNECTION).iter().any(|value| {
            value
                .as_bytes()
                .split(|&byte| byte == b',')
                .any(|item| item.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
        })
    };
    !named("close") && (http11 || named("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> ResponseHead {
        parse(text.as_bytes()).expect("valid").expect("complete").0
    }

    #[test]
    fn framing_follows_rfc_9112_section_6_3() {
        let get = Method::GET;
        let cases = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", &get, Ok(Framing::Length(5))),
            (
                "HTTP/1.1 200\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
                &get,
                Ok(Framing::Length(5)),
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &get, Ok(Framing::Chunked)),
            ("HTTP/1.1 200 OK\r\n\r\n", &get, Ok(Framing::UntilClose)),
            ("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n", &get, Ok(Framing::Length(0))),
            ("HTTP/1.1 304 x\r\ncontent-length: 9\r\n\r\n", &get, Ok(Framing::Length(0))),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", &Method::HEAD, Ok(Framing::Length(0))),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
                &get,
                Err(Fault::ContentLength),
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", &get, Err(Fault::ContentLength)),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
                &get,
                Err(Fault::TransferEncoding),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
                &get,
                Err(Fault::TransferEncoding),
            ),
        ];
        for (text, method, expected) in cases {
            assert_eq!(head(text).framing(method), expected, "{method} {text:?}");
        }
    }

    #[test]
    fn connections_are_in_doubt_after_what_uvicorn_closes_upon() {
        for (text, method, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Method::GET, false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Method::HEAD, true),
            ("HTTP/1.1 500 x\r\ncontent-length: 5\r\n\r\n", Method::GET, true),
            ("HTTP/1.1 503 x\r\ncontent-length: 5\r\n\r\n", Method::GET, false),
            ("HTTP/1.1 204 x\r\n\r\n", Method::DELETE, false),
            ("HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n", Method::DELETE, false),
            ("HTTP/1.1 204 x\r\ncontent-length: 4\r\n\r\n", Method::DELETE, true),
            ("HTTP/1.1 304 x\r\ncontent-length: 4\r\n\r\n", Method::GET, true),
            ("HTTP/1.1 304 x\r\n\r\n", Method::GET, false),
        ] {
            assert_eq!(head(text).is_doubtful(&method), expected, "{method} {text:?}");
        }
    }

    #[test]
    fn keep_alive_follows_version_and_connection() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(head(text).keep_alive, expected, "{text:?}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_partial_heads_wait() {
        let refused = |text: &str| parse(text.as_bytes()).err();
        assert_eq!(refused("garbage\r\n\r\n"), Some(Fault::StatusLine), "no status line");
        assert_eq!(refused("HTTP/1.1 20 OK\r\n\r\n"), Some(Fault::StatusLine), "two digits");
        assert_eq!(
            refused("HTTP/1.1 200 OK\r\nbad header\r\n\r\n"),
            Some(Fault::Header),
            "no colon"
        );
        assert!(parse(b"HTTP/1.1 200 OK\r\n").is_ok_and(|parsed| parsed.is_none()), "partial");
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert_eq!(refused(&endless), Some(Fault::TooManyHeaders), "endless head");
    }
}
