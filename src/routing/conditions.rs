//! What a route asks for beyond host and path.

use http::{HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode;

use super::Request;
use crate::config::Match;

/// Method, header and query conditions of one route.
#[derive(Debug)]
pub(super) struct Conditions {
    methods: Vec<Method>,
    headers: Vec<(HeaderName, HeaderValue)>,
    query: Vec<(String, String)>,
}

impl Conditions {
    /// `None` when the route takes every request of its host and path.
    pub(super) fn of(matches: &Match) -> Option<Self> {
        let Match { methods, headers, query, .. } = matches;
        if methods.is_empty() && headers.is_empty() && query.is_empty() {
            return None;
        }
        Some(Self { methods: methods.clone(), headers: headers.clone(), query: query.clone() })
    }

    pub(super) fn hold(&self, request: &Request<'_>) -> bool {
        (self.methods.is_empty() || self.methods.contains(request.method))
            && self
                .headers
                .iter()
                .all(|(name, value)| request.headers.get_all(name).iter().any(|sent| sent == value))
            && self.query.iter().all(|(name, value)| has_parameter(request.query, name, value))
    }
}

/// Whether one of the parameters of `query` (WHATWG URL, application/x-www-form-urlencoded) is
/// `name` with `value`.
fn has_parameter(query: Option<&str>, name: &str, value: &str) -> bool {
    pairs(query)
        .any(|(sent_name, sent_value)| decodes_to(sent_name, name) && decodes_to(sent_value, value))
}

/// The value, as it was sent, of the first parameter of `query` that is `name` when decoded.
pub fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let mut pairs = pairs(query);
    pairs.find_map(|(sent_name, value)| decodes_to(sent_name, name).then_some(value))
}

/// Names and values as they were sent.
fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Compares while decoding, so that nothing is allocated for a query that a client chose.
fn decodes_to(sent: &str, wanted: &str) -> bool {
    let mut wanted = wanted.bytes();
    for (index, word) in sent.split('+').enumerate() {
        if index > 0 && wanted.next() != Some(b' ') {
            return false;
        }
        if !percent_decode(word.as_bytes()).all(|byte| wanted.next() == Some(byte)) {
            return false;
        }
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::has_parameter;

    #[test]
    fn parameters_are_compared_decoded() {
        for (query, name, value, expected) in [
            (None, "a", "", false),
            (Some(""), "", "", false),
            (Some("a=1"), "a", "1", true),
            (Some("a=1"), "a", "", false),
            (Some("a=12"), "a", "1", false),
            (Some("a=1"), "a", "12", false),
            (Some("a"), "a", "", true),
            (Some("a="), "a", "", true),
            (Some("b=2&a=1&c"), "a", "1", true),
            (Some("a=2&a=1"), "a", "1", true),
            (Some("a=x+y%20z"), "a", "x y z", true),
            (Some("a=%2B+"), "a", "+ ", true),
            (Some("a=+"), "a", "", false),
            (Some("%61%3D=1=2"), "a=", "1=2", true),
            (Some("a=%zz"), "a", "%zz", true),
            (Some("a=%C3%A9"), "a", "\u{e9}", true),
            (Some("A=1"), "a", "1", false),
        ] {
            let seen = has_parameter(query, name, value);
            assert_eq!(seen, expected, "{name}={value} in {query:?}");
        }
    }
}
