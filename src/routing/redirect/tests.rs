use http::HeaderValue;

use super::{Parts, location};

fn parts<'a>(path: &'a str, query: Option<&'a str>) -> Parts<'a> {
    Parts { scheme: "https", host: "a.example", path, query }
}

#[test]
fn templates_are_filled_in() {
    for (to, path, query, expected) in [
        ("https://new.example{path}", "/a/b", None, "https://new.example/a/b"),
        ("https://new.example{path}", "/a", Some("x=1"), "https://new.example/a?x=1"),
        ("{scheme}://{host}/new", "/a", Some(""), "https://a.example/new?"),
        ("/fixed", "/a", Some("x=1"), "/fixed?x=1"),
        ("/fixed?y=2", "/a", Some("x=1"), "/fixed?y=2"),
        ("/fixed?y=2&{query}", "/a", Some("x=1"), "/fixed?y=2&x=1"),
        ("/fixed?{query}", "/a", None, "/fixed?"),
        ("/fixed#part", "/a", Some("x=1"), "/fixed?x=1#part"),
        ("/fixed#{query}?", "/a", Some("x=1"), "/fixed#x=1?"),
        ("/{user}/{path", "/a", None, "/%7Buser%7D/%7Bpath"),
        // What is filled in is not expanded again.
        ("/x{path}", "/{query}", Some("q"), "/x/%7Bquery%7D?q"),
    ] {
        assert_eq!(location(to, &parts(path, query)), expected, "{to} for {path} and {query:?}");
    }
}

#[test]
fn nothing_breaks_out_of_the_header() {
    let seen = location("/a\r\nX: \u{e9} \\{path}", &parts("/b\r\nSet-Cookie: c", Some("d\n")));
    assert_eq!(
        seen, "/a%0D%0AX:%20%C3%A9%20%5C/b%0D%0ASet-Cookie:%20c?d%0A",
        "controls, spaces, backslashes and non-ASCII are encoded"
    );
    assert!(HeaderValue::try_from(seen).is_ok(), "a legal header value");
}

#[test]
fn a_path_with_two_slashes_does_not_name_another_host() {
    for (to, expected) in [
        ("{path}", "/evil.example/x"),
        ("/{path}", "/evil.example/x"),
        ("//cdn.example{path}", "//cdn.example//evil.example/x"),
        ("https://new.example{path}", "https://new.example//evil.example/x"),
    ] {
        let seen = location(to, &parts("//evil.example/x", None));
        assert_eq!(seen, expected, "{to}");
    }
}
