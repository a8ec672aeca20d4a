//! Values of the documented configuration file that nothing implements yet.
//!
//! They are refused as such: a word that is accepted and does nothing would be a lie, and one that
//! is called unknown would send people looking for a typing error. To implement one, add it to
//! [`super::model`] and take it out here.

/// The complaint.
pub const WHAT: &str = "not implemented yet";

/// Words for keys that are implemented with fewer words; `*` stands for any text.
pub const VALUES: &[(&str, &[&str])] = &[
    ("logging.access.format", &["datadog", "w3c", "combined"]),
    ("logging.access.output", &["*"]),
];

/// Whether `value` is documented for the key at `path` and not implemented.
pub fn is_pending(path: &str, value: &str) -> bool {
    VALUES
        .iter()
        .filter(|(key, _)| *key == path)
        .any(|(_, values)| values.iter().any(|known| *known == "*" || *known == value))
}
