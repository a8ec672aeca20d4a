use std::borrow::Cow;

use regex::Regex;

use super::super::path::PathError;
use super::rewrite;
use crate::config::Rewrite;

fn rules(strip: &str, regex: Option<(&str, &str)>, add: &str) -> Rewrite {
    Rewrite {
        strip_prefix: strip.to_owned(),
        regex: regex.map(|(pattern, text)| (Regex::new(pattern).unwrap(), text.to_owned())),
        add_prefix: add.to_owned(),
    }
}

#[test]
fn prefixes_are_stripped_on_segment_boundaries() {
    for (strip, path, expected) in [
        ("", "/a", "/a"),
        ("/", "/a", "/a"),
        ("/api", "/api", "/"),
        ("/api", "/api/", "/"),
        ("/api", "/api/x", "/x"),
        ("/api", "/apix", "/apix"),
        ("/api", "/x/api", "/x/api"),
        ("/api", "/api//x", "//x"),
        ("/api/", "/api/x", "/x"),
        ("/api/", "/api/", "/"),
        ("/api/", "/api", "/api"),
        ("/api/", "/apix", "/apix"),
        ("/f\u{f6}\u{f6}", "/f%C3%B6%C3%B6/x", "/x"),
    ] {
        let rules = rules(strip, None, "");
        assert_eq!(rewrite(&rules, path).as_deref(), Ok(expected), "{path} without {strip:?}");
        let borrowed = matches!(rewrite(&rules, path), Ok(Cow::Borrowed(_)));
        assert!(borrowed, "{path} without {strip:?} is a part of what was there");
    }
}

#[test]
fn prefixes_are_added_last() {
    for (strip, add, path, expected) in [
        ("", "/v1", "/x", "/v1/x"),
        ("", "/v1", "/", "/v1/"),
        ("", "/v1/", "/x", "/v1/x"),
        ("", "v1", "/x", "/v1/x"),
        ("", "/", "/x", "/x"),
        ("", "/a b", "/x", "/a%20b/x"),
        ("", "/a?b#", "/x", "/a%3Fb%23/x"),
        ("/api", "/v1", "/api/x", "/v1/x"),
        ("/api", "/v1", "/api", "/v1/"),
    ] {
        let rules = rules(strip, None, add);
        assert_eq!(rewrite(&rules, path).as_deref(), Ok(expected), "{path} with {add:?}");
    }
}

#[test]
fn regexes_replace_the_first_match() {
    for (pattern, text, path, expected) in [
        ("^/old/(.*)", "/new/$1", "/old/a/b", Ok("/new/a/b")),
        ("^/old/(.*)", "/new/$1", "/other", Ok("/other")),
        ("o", "0", "/foo", Ok("/f0o")),
        ("^/.*", "", "/x", Ok("/")),
        ("^/", "", "/x", Ok("/x")),
        ("^/(.*)", "/a?b=$1", "/x", Ok("/a%3Fb=x")),
        ("^/(.*)", "/a#$1 \r\n\\", "/x", Ok("/a%23x%20%0D%0A%5C")),
        ("^/(.*)", "/\u{e9}/$1", "/x", Ok("/%C3%A9/x")),
        ("^/a(.*)", "/$1", "/a./b", Ok("/b")),
        ("^/a(.*)", "/$1", "/a../b", Err(PathError::AboveRoot)),
        ("^/(..).*", "/$1", "/%20", Err(PathError::BadTriplet)),
        ("^/20(.*)", "/%$1", "/2000", Err(PathError::EncodedNul)),
    ] {
        let rules = rules("", Some((pattern, text)), "");
        let seen = rewrite(&rules, path);
        assert_eq!(seen.as_deref(), expected.as_ref().copied(), "{path} by {pattern} -> {text:?}");
    }
}

#[test]
fn the_three_steps_follow_each_other() {
    let rules = rules("/api", Some(("^/old", "/new")), "/v2");
    assert_eq!(rewrite(&rules, "/api/old/x").as_deref(), Ok("/v2/new/x"), "strip, replace, add");
}
