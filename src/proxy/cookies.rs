//! Cookies: one read from a request, the affinity cookie made for a response (RFC 6265).

use std::sync::Arc;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::client::Scheme;
use crate::upstream::Upstream;

/// An app that answers with this header set to `true` wants no affinity cookie with it, as it would tell IIS's ARR.
const DISABLED: &str = "arr-disable-session-affinity";

/// The value of the cookie `name`; the first, where a client sends several.
pub fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    // Other cookies may be of any bytes.
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut pairs = lines.flat_map(|line| line.split(|&byte| byte == b';'));
    pairs.find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        str::from_utf8(value).ok()
    })
}

/// The worker that the client's affinity cookie names, if that is in rotation.
pub fn worker(headers: &HeaderMap, upstream: &Upstream) -> Option<Arc<str>> {
    upstream.worker_of_token(value(headers, upstream.affinity()?.cookie())?)
}

/// What keeps a client with the worker that `token` is for; `None` where its `cookie` says so already.
pub fn keeping(
    headers: &HeaderMap,
    cookie: &str,
    token: &str,
    scheme: Scheme,
) -> Option<HeaderValue> {
    if value(headers, cookie) == Some(token) {
        return None;
    }
    let secure = match scheme {
        Scheme::Https => "; Secure",
        Scheme::Http => "",
    };
    let cookie = format!("{cookie}={token}; Path=/; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(cookie).ok()
}

/// Whether the app that answers so wants no affinity cookie to go with it.
pub fn is_disabled(response: &HeaderMap) -> bool {
    response.get(DISABLED).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let cases: [(&[&'static str], Option<&str>); 8] = [
            (&["a=1"], Some("1")),
            (&["b=2; a=1"], Some("1")),
            (&["b=2;a=1;a=3"], Some("1")),
            (&["b=2", "a=1"], Some("1")),
            (&["aa=1; ba=1"], None),
            (&["a"], None),
            (&["name=Jürgen; a=1"], Some("1")),
            (&[], None),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).expect("a value"));
            }
            assert_eq!(value(&headers, "a"), expected, "{lines:?}");
        }
    }
}
