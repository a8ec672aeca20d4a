//! Targets and hosts: one spelling, which means to an app what the client's spelling meant.
//!
//! The first line is a `Host`, the rest the target of a request line.

use std::borrow::Cow;
use std::sync::LazyLock;

use asgate::config::Rewrite;
use asgate::proxy::parsers::origin_form;
use asgate::routing::host::{self, Host};
use asgate::routing::path::{canonical, query, split};
use asgate::routing::redirect::{Parts, location};
use asgate::routing::rewrite;
use percent_encoding::percent_decode;

use super::shown;

/// `input` is a host, LF, and a target.
pub fn check(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let (host, target) = input.split_at(end);
    let target = target.strip_prefix(b"\n").unwrap_or(target);
    let named = host::parse(host).ok();
    if let Some(named) = &named {
        check_host(host, named);
    }
    let Ok(origin) = origin_form(target, host) else { return };
    check_origin(origin, target, host);
    let (raw_path, raw_query) = split(origin);
    if let Some(raw) = raw_query {
        check_query(raw);
    }
    let Ok(path) = canonical(raw_path) else { return };
    check_path(&path, raw_path);
    let query = raw_query.and_then(|raw| query(raw).ok());
    check_redirect(&path, query.as_deref(), named.as_ref());
    check_rewrites(&path);
}

/// A host means to the `http` crate what it means to us, and its name is its own spelling.
fn check_host(raw: &[u8], host: &Host<'_>) {
    let name = host.name.as_ref();
    let again = host::parse(name.as_bytes()).expect("the name of a host is a host");
    assert_eq!((again.name.as_ref(), again.port), (name, None), "name of {}", shown(raw));
    assert_eq!(name.to_ascii_lowercase(), name, "in lower case");
    let authority = http::uri::Authority::try_from(raw).expect("a host is an authority");
    let theirs = authority.host().to_ascii_lowercase();
    assert_eq!(theirs.strip_suffix('.').unwrap_or(&theirs), name, "host of {}", shown(raw));
    assert_eq!(authority.port_u16(), host.port, "port of {}", shown(raw));
}

/// The origin form is what comes after the host, and an absolute form names the host that `Host` does.
fn check_origin(origin: &[u8], target: &[u8], host: &[u8]) {
    assert!(origin.starts_with(b"/"), "origin form {}", shown(origin));
    if origin == target {
        return;
    }
    let rest = target.splitn(3, |byte| *byte == b'/').nth(2).expect("a scheme before the host");
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    assert!(authority.eq_ignore_ascii_case(host), "{} for {}", shown(target), shown(host));
    let path: &[u8] = if path.is_empty() { b"/" } else { path };
    assert_eq!(shown(origin), shown(path), "origin form of {}", shown(target));
}

/// Canonical paths are safe, are their own canonical form, and decode to what the raw path decodes to.
fn check_path(path: &str, raw: &[u8]) {
    assert!(path.starts_with('/'), "{path}");
    assert!(
        path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>?\\^`{|}".contains(&byte)),
        "{path}"
    );
    assert!(
        !path.split('/').any(|segment| matches!(segment, "." | "..")),
        "dot segments in {path}"
    );
    assert_eq!(canonical(path.as_bytes()).as_deref(), Ok(path), "canonical twice");
    let decoded: Cow<'_, [u8]> = percent_decode(raw).into();
    let wanted = without_dot_segments(&decoded);
    let seen: Cow<'_, [u8]> = percent_decode(path.as_bytes()).into();
    assert_eq!(shown(seen), shown(wanted), "of {}", shown(raw));
}

/// RFC 3986 §5.2.4 on decoded bytes, segment by segment.
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_in_directory = false;
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        ends_in_directory = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => assert!(kept.pop().is_some(), "climbs above the root"),
            _ => kept.push(segment),
        }
    }
    if ends_in_directory {
        kept.push(b"");
    }
    kept.iter().flat_map(|segment| [b"/", *segment].concat()).collect()
}

/// A query is visible ASCII, its own spelling, and decodes to what the raw one decodes to.
fn check_query(raw: &[u8]) {
    let Ok(clean) = query(raw) else { return };
    assert!(clean.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{clean}");
    assert_eq!(query(clean.as_bytes()).as_deref(), Ok(clean.as_ref()), "spelled twice");
    let (seen, wanted): (Cow<'_, [u8]>, Cow<'_, [u8]>) =
        (percent_decode(clean.as_bytes()).into(), percent_decode(raw).into());
    assert_eq!(shown(seen), shown(wanted), "of {}", shown(raw));
}

/// A redirect is a legal header value and stays on the host that it was written for.
fn check_redirect(path: &str, query: Option<&str>, host: Option<&Host<'_>>) {
    let host = host.map_or("", |host| host.name.as_ref());
    let parts = Parts { scheme: "https", host, path, query };
    for (to, place) in [
        ("{path}", "/"),
        ("/{path}", "/"),
        ("https://example.org{path}?{query}", "https://example.org/"),
        ("https://{host}{path}", &format!("https://{host}/")),
    ] {
        let made = location(to, &parts);
        assert!(made.bytes().all(|byte| byte.is_ascii_graphic()), "{made}");
        assert!(made.starts_with(place) && !made.starts_with("//"), "{to} leads to {made}");
    }
}

/// Rewrites as an operator may write them who does not think of dots and spaces: captures are put together anew.
static REWRITES: LazyLock<[Rewrite; 2]> = LazyLock::new(|| {
    let pattern = regex::Regex::new("^/([^/]*)/?(.*)$").expect("a pattern");
    [
        Rewrite { strip_prefix: "/a".into(), regex: None, add_prefix: "/b c/".into() },
        Rewrite { regex: Some((pattern, "/$2/.$1".into())), ..Rewrite::default() },
    ]
});

/// What a route makes of a canonical path is canonical.
fn check_rewrites(path: &str) {
    for rules in REWRITES.iter() {
        let Ok(made) = rewrite(rules, path) else { continue };
        assert_eq!(canonical(made.as_bytes()).as_deref(), Ok(made.as_ref()), "made of {path}");
    }
}
