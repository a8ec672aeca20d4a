use std::borrow::Cow;

use http::uri::PathAndQuery;
use proptest::prelude::*;

use super::{Class, PathError, canonical, canonical_made, class, is_plain, query, split};

#[test]
fn paths_become_canonical() {
    for (raw, expected) in [
        // Nothing to do.
        ("/", "/"),
        ("/api/users/42", "/api/users/42"),
        ("/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a..b/c./.d/...", "/a..b/c./.d/..."),
        ("//", "//"),
        ("//a///b//", "//a///b//"),
        // Characters that clients send though they should not.
        ("/a\"<>^`{|}[]", "/a%22%3C%3E%5E%60%7B%7C%7D%5B%5D"),
        ("/f\u{f6}\u{f6}", "/f%C3%B6%C3%B6"),
        // Triplets.
        ("/%61%2d%2E%5f%7e%39", "/a-._~9"),
        ("/%c3%b6", "/%C3%B6"),
        ("/%3b%3A%40%3f%23%25", "/;:@%3F%23%25"),
        ("/%5c%5C", "/%5C%5C"),
        ("/%20%0a%7F", "/%20%0A%7F"),
        ("/a%2Fb%2fc", "/a/b/c"),
        ("/%2561", "/%2561"),
        // Dot segments, raw and encoded.
        ("/.", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a%2F..%2fb", "/b"),
        ("/a%2F%2e%2e", "/"),
        ("/a//../b", "/a/b"),
        ("//../b", "/b"),
        ("/a/..//b", "//b"),
    ] {
        assert_eq!(canonical(raw.as_bytes()).as_deref(), Ok(expected), "canonical({raw:?})");
    }
}

#[test]
fn paths_that_are_refused() {
    for (raw, error) in [
        (&b""[..], PathError::NotAbsolute),
        (b"*", PathError::NotAbsolute),
        (b"a/b", PathError::NotAbsolute),
        (b"%2Fa", PathError::NotAbsolute),
        (b"/a b", PathError::Control),
        (b"/a\tb", PathError::Control),
        (b"/a\r\nb", PathError::Control),
        (b"/\0", PathError::Control),
        (b"/\x7f", PathError::Control),
        (b"/a\\b", PathError::Backslash),
        (b"/..\\..\\x", PathError::Backslash),
        (b"/a#b", PathError::Fragment),
        (b"/%", PathError::BadTriplet),
        (b"/%4", PathError::BadTriplet),
        (b"/%zz", PathError::BadTriplet),
        (b"/%+1", PathError::BadTriplet),
        (b"/%4%41", PathError::BadTriplet),
        (b"/a%00", PathError::EncodedNul),
        (b"/..", PathError::AboveRoot),
        (b"/../etc/passwd", PathError::AboveRoot),
        (b"/a/../../b", PathError::AboveRoot),
        (b"/%2e%2e/%2e%2e/x", PathError::AboveRoot),
        (b"/..%2fx", PathError::AboveRoot),
    ] {
        let shown = String::from_utf8_lossy(raw);
        assert_eq!(canonical(raw), Err(error), "canonical({shown:?})");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_encoded() {
    assert_eq!(canonical(b"/\xff\xfe").as_deref(), Ok("/%FF%FE"), "one triplet per byte");
    assert_eq!(query(b"a=\xff").as_deref(), Ok("a=%FF"), "one triplet per byte");
}

#[test]
fn a_canonical_path_is_borrowed() {
    let path = canonical(b"/api/.x/v1.0/users");
    assert!(matches!(path, Ok(Cow::Borrowed(_))), "nothing to change, nothing to allocate");
    let query = query(b"a=1&b=%zz");
    assert!(matches!(query, Ok(Cow::Borrowed(_))), "nothing to change, nothing to allocate");
}

#[test]
fn queries_are_left_alone_but_for_what_cannot_be_sent() {
    for (raw, expected) in [
        ("", Ok("")),
        ("a=1&b=%2f%zz&c=+?/..", Ok("a=1&b=%2f%zz&c=+?/..")),
        ("q={\"a\":[\"<b>\"]}|\\^`", Ok("q={%22a%22:[%22%3Cb%3E%22]}|\\^`")),
        ("q=\u{e9}", Ok("q=%C3%A9")),
        ("a b", Err(PathError::Control)),
        ("a\r\nX: y", Err(PathError::Control)),
        ("a#b", Err(PathError::Fragment)),
    ] {
        assert_eq!(query(raw.as_bytes()).as_deref(), expected.as_ref().copied(), "query({raw:?})");
    }
}

#[test]
fn a_target_is_split_at_the_first_question_mark() {
    assert_eq!(split(b"/a"), (&b"/a"[..], None), "no query");
    assert_eq!(split(b"/a?"), (&b"/a"[..], Some(&b""[..])), "an empty query is not none");
    assert_eq!(split(b"/a?b?c"), (&b"/a"[..], Some(&b"b?c"[..])), "later marks belong to it");
}

#[test]
fn a_made_path_is_encoded_where_a_client_would_be_refused() {
    let made = canonical_made("/a b?c#d\\e\r\n/./f");
    assert_eq!(made.as_deref(), Ok("/a%20b%3Fc%23d%5Ce%0D%0A/f"), "encoded, not refused");
    assert_eq!(canonical_made("/%4"), Err(PathError::BadTriplet), "no triplet can be made up");
}

#[test]
fn very_many_dot_segments_stay_linear() {
    let mut path = "/a".repeat(100_000);
    path.push_str(&"/..".repeat(100_000));
    assert_eq!(canonical(path.as_bytes()).as_deref(), Ok("/"), "as many down as up");
}

#[test]
fn the_fast_path_knows_the_same_bytes() {
    for byte in 0..=u8::MAX {
        let keep = matches!(class(byte), Class::Keep);
        assert_eq!(is_plain(byte), keep, "{:?}", char::from(byte));
    }
}

proptest! {
    #[test]
    fn canonical_is_idempotent_and_clean(
        raw in "/[ -~\u{80}-\u{ff}]{0,12}([./%2eEfF]{0,12})[a-z/.]{0,8}",
    ) {
        if let Ok(path) = canonical(raw.as_bytes()) {
            let clean = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
            let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
            prop_assert!(path.starts_with('/') && path.bytes().all(clean), "clean: {}", path);
            prop_assert!(!dots, "no dot segment: {}", path);
            let again = canonical(path.as_bytes());
            prop_assert_eq!(again.as_deref(), Ok(&*path), "its own canonical form");
            let borrowed = matches!(again, Ok(Cow::Borrowed(_)));
            prop_assert_eq!(borrowed, !path.contains('%'), "found so at once: {}", path);
        }
    }

    #[test]
    fn any_bytes_are_answered(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
        let (path, rest) = split(&raw);
        let (path, rest) = (canonical(path), rest.map(query).transpose());
        if let (Ok(path), Ok(rest)) = (path, rest) {
            let target = rest.map_or_else(|| path.to_string(), |rest| format!("{path}?{rest}"));
            let parsed = target.parse::<PathAndQuery>();
            prop_assert!(parsed.is_ok(), "the HTTP types take it: {}", target);
        }
    }
}
