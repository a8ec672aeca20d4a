//! What a route makes of the path before a worker sees it.
//!
//! Works on canonical paths and returns canonical paths (see [`path`]): a rewrite cannot bring a
//! `?`, a control character or a dot segment into the request line, whatever a client put into the
//! parts it captures.

use std::borrow::Cow;

use super::path::{self, PathError};
use crate::config::Rewrite;

#[cfg(test)]
mod tests;

/// Applies `strip_prefix`, `regex` and `add_prefix`, in this order. Borrows unless something is put
/// in.
///
/// `path` is canonical; the result is too. Patterns see the canonical path, percent-encoding
/// included. A slash at the end of `add_prefix` is not doubled.
///
/// # Errors
/// [`PathError`] when what a regex put together is no path, for example `..` above the root or half
/// a triplet.
pub fn rewrite<'a>(rules: &Rewrite, path: &'a str) -> Result<Cow<'a, str>, PathError> {
    let mut result = Cow::Borrowed(strip(&rules.strip_prefix, path));
    if let Some((regex, replacement)) = &rules.regex
        && let Cow::Owned(replaced) = regex.replace(&result, replacement)
    {
        result = Cow::Owned(path::canonical_made(&absolute("", &replaced))?);
    }
    if !rules.add_prefix.is_empty() {
        result = Cow::Owned(path::canonical_made(&absolute(&rules.add_prefix, &result))?);
    }
    Ok(result)
}

/// `path` without `prefix` where it has it on a segment boundary; never empty.
fn strip<'a>(prefix: &str, path: &'a str) -> &'a str {
    if prefix.is_empty() {
        return path;
    }
    // The prefix as requests spell it; borrowed unless it has characters that must be encoded.
    let prefix = path::canonical(prefix.as_bytes());
    let prefix = prefix.as_deref().unwrap_or_default();
    // `/api/` leaves its slash in place: the rest needs one.
    let prefix = match prefix.strip_suffix('/') {
        Some(shorter) if path.starts_with(prefix) => shorter,
        Some(_) => return path,
        None => prefix,
    };
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// `prefix` and `path` as one text that begins with a slash.
fn absolute(prefix: &str, path: &str) -> String {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let slash = |text: &str| {
        if text.starts_with('/') || text.is_empty() { "" } else { "/" }
    };
    let path = if prefix.is_empty() && path.is_empty() { "/" } else { path };
    [slash(prefix), prefix, slash(path), path].concat()
}
