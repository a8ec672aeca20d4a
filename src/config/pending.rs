//! Keys of the documented configuration file that nothing implements yet.
//!
//! They are refused as such: a key that is accepted and does nothing would be a lie, and one that
//! is called unknown would send people looking for a typing error. To implement a key, add it to
//! [`super::model`] and take it out here; a test sees to it that no key is in both.

/// The complaint.
pub const WHAT: &str = "not implemented yet";

/// Paths of keys; `[]` stands for any index, `*` for any name.
pub const KEYS: &[&str] = &[
    "listeners[].redirect_to_https",
    "listeners[].tls",
    "listeners[].proxy_protocol",
    "routes[].headers",
    "routes[].allow",
    "routes[].deny",
    "routes[].rate_limit",
];

/// Words for keys that are implemented with fewer words; `*` stands for any text.
pub const VALUES: &[(&str, &[&str])] = &[
    ("logging.access.format", &["datadog", "w3c", "combined"]),
    ("logging.access.output", &["*"]),
];

/// Whether the key at `path` is documented and not implemented.
pub fn is_pending_key(path: &str) -> bool {
    KEYS.iter().any(|pattern| matches(pattern, path))
}

/// Whether `value` is documented for the key at `path` and not implemented.
pub fn is_pending_value(path: &str, value: &str) -> bool {
    VALUES
        .iter()
        .filter(|(pattern, _)| matches(pattern, path))
        .any(|(_, values)| values.iter().any(|known| *known == "*" || *known == value))
}

/// The pending keys of the section at `path`.
pub fn keys_of(path: &str) -> Vec<&'static str> {
    KEYS.iter()
        .filter_map(|pattern| pattern.rsplit_once('.'))
        .filter(|(section, _)| matches(section, path))
        .map(|(_, key)| key)
        .collect()
}

/// Compare segment by segment. Names with a dot are quoted in paths and refused anyway.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut segments) = (pattern.split('.'), path.split('.'));
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return true,
            (Some(pattern), Some(segment)) if same_segment(pattern, segment) => {}
            _ => return false,
        }
    }
}

fn same_segment(pattern: &str, segment: &str) -> bool {
    match pattern.strip_suffix("[]") {
        Some(name) => segment
            .strip_prefix(name)
            .and_then(|index| index.strip_prefix('['))
            .and_then(|index| index.strip_suffix(']'))
            .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit())),
        None => pattern == "*" || pattern == segment,
    }
}
