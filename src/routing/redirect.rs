//! The `Location` of a redirect.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

#[cfg(test)]
mod tests;

/// What may not stand raw in a URI (RFC 3986 §2). `%` may: what is encoded already stays so.
const NOT_IN_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The parts of a request that a redirect may name.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// `http` or `https`, as the client used it.
    pub scheme: &'a str,
    /// [`super::host::Host::name`]: without the port, which seldom is the target's.
    pub host: &'a str,
    /// As it was matched, see [`super::path::canonical`].
    pub path: &'a str,
    /// Without the `?`.
    pub query: Option<&'a str>,
}

/// Fills in `{scheme}`, `{host}`, `{path}` and `{query}` of [`crate::config::Redirect::to`];
/// appends the query, before a fragment, when the text has neither `{query}` nor `?`.
///
/// The result is visible ASCII, thus always a legal header value: everything else is
/// percent-encoded. A path that begins with `//` cannot turn a target on this host into one on
/// another.
pub fn location(to: &str, parts: &Parts<'_>) -> String {
    let (target, fragment) = match to.find('#').and_then(|mark| to.split_at_checked(mark)) {
        Some((target, fragment)) => (target, fragment),
        None => (to, ""),
    };
    let mut out = String::with_capacity(to.len() + parts.path.len() + 64);
    expand(target, parts, &mut out);
    if out.starts_with("//") && !to.starts_with("//") {
        let slashes = out.len() - out.trim_start_matches('/').len();
        out.replace_range(..slashes, "/");
    }
    if let Some(query) = parts.query.filter(|_| !to.contains("{query}") && !target.contains('?')) {
        out.push('?');
        push(query, &mut out);
    }
    expand(fragment, parts, &mut out);
    out
}

/// One pass: braces in what is filled in are not looked at again.
fn expand(template: &str, parts: &Parts<'_>, out: &mut String) {
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once('{') {
        push(literal, out);
        rest = match placeholder(tail, parts) {
            Some((value, after)) => {
                push(value, out);
                after
            }
            None => {
                push("{", out);
                tail
            }
        };
    }
    push(rest, out);
}

fn placeholder<'a>(tail: &'a str, parts: &Parts<'a>) -> Option<(&'a str, &'a str)> {
    [
        ("scheme}", parts.scheme),
        ("host}", parts.host),
        ("path}", parts.path),
        ("query}", parts.query.unwrap_or_default()),
    ]
    .into_iter()
    .find_map(|(name, value)| Some((value, tail.strip_prefix(name)?)))
}

fn push(text: &str, out: &mut String) {
    out.extend(utf8_percent_encode(text, NOT_IN_URI));
}
