//! Rules for names and short texts, without any place: what is a host name, what may be in a path.

/// Longest name of a route or upstream: it is a label of every metric.
pub const LONGEST_NAME: usize = 64;

/// Letters, digits, `-` and `_`.
pub fn is_identifier(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// A name for people: anything that prints on one line.
pub fn is_display_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.chars().count())
        && !text.contains(char::is_control)
        && text.trim() == text
}

/// Dot-separated labels (RFC 1123 §2.1); `_` is allowed because Windows networks use it.
pub fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A host name that cannot be taken for an IPv4 address, mistyped ones included: the last label is
/// no number (WHATWG URL §3.5, "ends in a number").
pub fn is_dns_name(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    is_host_name(text) && last.bytes().any(|byte| !byte.is_ascii_digit())
}

/// A token (RFC 9110 §5.6.2): names of headers and cookies.
pub fn is_token(text: &str) -> bool {
    let is_mark = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || is_mark(b))
}

/// What a token looks like.
pub const TOKEN: &str = "letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.6.2)";

/// What an HTTP path can hold (RFC 3986 §3.3) and therefore match: no query, fragment or space.
pub fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'<' | b'>'))
}

/// What a path looks like.
pub const PATH: &str = "a path that starts with / and has no ?, #, space or letter beyond ASCII \
                        (percent-encode those)";

/// A path with a query if need be, as a request line holds them (RFC 9112 §3.2.1).
pub fn is_target(text: &str) -> bool {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    is_path(path) && query.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
}

/// What a path with a query looks like.
pub const TARGET: &str = "a path that starts with /, with a query if need be, and has no #, space \
                          or letter beyond ASCII (percent-encode those)";

/// `module:attribute`, each part dotted identifiers (Uvicorn's `import_from_string`).
pub fn is_asgi_reference(text: &str) -> bool {
    let is_dotted = |text: &str| {
        text.split('.').all(|part| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
    };
    text.split_once(':')
        .is_some_and(|(module, attribute)| is_dotted(module) && is_dotted(attribute))
}
