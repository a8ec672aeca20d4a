//! The body that says to the client why the app did not answer.
//!
//! Problem details (RFC 9457), or a small page for those who would rather read HTML. Nothing of
//! what is behind the edge is in it but the request id, by which the operator finds the log line.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::Outcome;

#[cfg(test)]
mod tests;

/// The media type of problem details (RFC 9457 §3).
pub const PROBLEM: &str = "application/problem+json";

/// The media ranges that take a page, from specific to general.
const HTML: [&str; 3] = ["text/html", "text/*", "*/*"];
/// The media ranges that take problem details, from specific to general.
const JSON: [&str; 4] = [PROBLEM, "application/json", "application/*", "*/*"];

/// Content type and body for an outcome. `accept` is the request's `Accept`, if it has one.
pub fn render(
    outcome: &Outcome,
    request_id: &str,
    accept: Option<&HeaderValue>,
) -> (&'static str, Bytes) {
    if accept.is_some_and(prefers_html) {
        ("text/html; charset=utf-8", html(outcome, request_id).into())
    } else {
        (PROBLEM, problem(outcome.status, outcome.title, outcome.detail, request_id))
    }
}

/// Problem details with these members; the content type is [`PROBLEM`].
pub fn problem(status: StatusCode, title: &str, detail: &str, request_id: &str) -> Bytes {
    json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "request_id": request_id,
    })
    .to_string()
    .into()
}

fn html(outcome: &Outcome, request_id: &str) -> String {
    let status = outcome.status.as_u16();
    let [title, detail, id] = [outcome.title, outcome.detail, request_id].map(escaped);
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head><meta charset=\"utf-8\"><title>{status} {title}</title></head>\n\
         <body>\n\
         <h1>{status} {title}</h1>\n\
         <p>{detail}</p>\n\
         <p>Request id: <code>{id}</code></p>\n\
         </body>\n\
         </html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// Whether HTML has a higher quality than problem details (RFC 9110 §12.5.1). Browsers name
/// `text/html` and give the rest a lower weight; who weighs both alike gets JSON.
fn prefers_html(accept: &HeaderValue) -> bool {
    let Ok(accept) = accept.to_str() else {
        return false;
    };
    quality(accept, &HTML) > quality(accept, &JSON)
}

/// The weight of the first of `ranges` that `accept` has; 0 without any.
fn quality(accept: &str, ranges: &[&str]) -> f32 {
    ranges.iter().find_map(|range| weight(accept, range)).unwrap_or(0.0)
}

/// The weight of one media range; other parameters are not looked at. A malformed weight counts as
/// 0.
fn weight(accept: &str, range: &str) -> Option<f32> {
    accept.split(',').find_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(range) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let parsed = weight.map_or(Ok(1.0), str::parse);
        Some(parsed.ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0))
    })
}
