//! Cookies: the value found is one that was sent, and other cookies have no say in it.
//!
//! Each line is a `Cookie` header.

use asgate::proxy::parsers::cookie;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// What is looked for.
const NAME: &str = "session";

/// `input` is the values of `Cookie` headers, one in each line.
pub fn check(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n');
    let values: Vec<_> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let found = read(&values);
    let other = |text: &'static str| HeaderValue::from_static(text);
    let around: Vec<_> = [other("a=session")]
        .into_iter()
        .chain(values.iter().cloned())
        .chain([other("b=1; c")])
        .collect();
    assert_eq!(read(&around), found, "other cookies change it");
    match found {
        Some(value) => {
            assert!(!value.contains(';'), "{value:?} has a `;`");
            let alone = HeaderValue::try_from(format!("{NAME}={value}")).expect("a header value");
            assert_eq!(read(&[alone]).as_deref(), Some(value.as_str()), "alone");
            let twice: Vec<_> = values.iter().cloned().chain([other("session=last")]).collect();
            assert_eq!(read(&twice), Some(value), "the first counts");
        }
        None => {
            let after: Vec<_> = values.iter().cloned().chain([other("session=last")]).collect();
            assert_eq!(read(&after).as_deref(), Some("last"), "after others");
        }
    }
}

fn read(lines: &[HeaderValue]) -> Option<String> {
    let headers: HeaderMap = lines.iter().map(|line| (COOKIE, line.clone())).collect();
    cookie(&headers, NAME).map(str::to_owned)
}
