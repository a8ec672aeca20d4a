use http::HeaderValue;
use serde_json::{Value, json};

use super::super::Cause;
use super::{prefers_html, render};

#[test]
fn html_only_for_those_who_prefer_it() {
    for (accept, expected) in [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
        ("text/html", true),
        ("TEXT/HTML;q=0.1", true),
        ("text/*", true),
        ("text/*;q=0.4, application/json;q=0.3", true),
        ("text/html;q=0.5, application/json", false),
        ("text/html, application/problem+json;q=0.9, application/json", true),
        ("text/html, application/json", false),
        ("text/html;charset=utf-8;q=0.2, */*;q=0.1", true),
        ("*/*", false),
        ("*/*, text/html;q=0", false),
        ("application/json", false),
        ("text/plain", false),
        ("text/html;q=2", false),
        ("text/html;q=nan", false),
        ("text/html;q=", false),
        (",;,", false),
        ("", false),
    ] {
        let value = HeaderValue::from_str(accept).unwrap();
        assert_eq!(prefers_html(&value), expected, "{accept}");
    }
    assert!(!prefers_html(&HeaderValue::from_bytes(b"text/html\xff").unwrap()), "opaque bytes");
}

#[test]
fn problem_details_by_default() {
    let id = "a\"b\\c";
    let (content_type, body) = render(&Cause::NoWorker.outcome(), id, None);
    assert_eq!(content_type, "application/problem+json", "RFC 9457");
    let seen: Value = serde_json::from_slice(&body).unwrap();
    let expected = json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The application is not available at the moment.",
        "request_id": id,
    });
    assert_eq!(seen, expected, "the members of RFC 9457 and the request id");
}

#[test]
fn a_page_is_escaped() {
    let accept = HeaderValue::from_static("text/html");
    let (content_type, body) = render(&Cause::NoRoute.outcome(), "<b>&\"'", Some(&accept));
    assert_eq!(content_type, "text/html; charset=utf-8", "as asked");
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("<h1>404 Not Found</h1>"), "status and title: {body}");
    assert!(body.contains("<code>&lt;b&gt;&amp;&quot;&#39;</code>"), "escaped id: {body}");
}
