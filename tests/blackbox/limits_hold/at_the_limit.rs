//! One less than the limit, the limit, one more.

use serde_json::Value;

use crate::support::client::Response;
use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::wait_for;

use super::{ROUTES, explained, head_of, in_chunks, lines_of, target_of, with_length};

/// One request at one distance from a limit.
struct Case {
    what: String,
    route: &'static str,
    request: Vec<u8>,
    status: u16,
}

fn case(what: &str, route: &'static str, size: usize, request: String, status: u16) -> Case {
    Case { what: format!("{what} of {size}"), route, request: request.into_bytes(), status }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (over, distance) in [(false, -1), (false, 0), (true, 1)] {
        let near = |limit: usize| limit.checked_add_signed(distance).expect("a size");
        let status = |refused: u16| if over { refused } else { 200 };
        let mut put = |what, route, size, build: &dyn Fn(usize) -> String, refused| {
            cases.push(case(what, route, size, build(size), status(refused)));
        };
        put("header", "header", near(1024), &|size| head_of("/header", size), 431);
        put("default header", "rest", near(65_536), &|size| head_of("/x", size), 431);
        put("lines", "headers", near(10), &|count| lines_of("/count", count), 431);
        put("default lines", "rest", near(100), &|count| lines_of("/x", count), 431);
        put("target", "uri", near(100), &|size| target_of("/uri/", size), 414);
        put("default target", "rest", near(8192), &|size| target_of("/x/", size), 414);
        put("length", "body", near(1000), &|size| with_length("/body", size), 413);
        put("chunks", "body", near(1000), &|size| in_chunks("/body", size), 413);
        put(
            "length for a fixed answer",
            "fixed",
            near(10),
            &|size| with_length("/fixed", size),
            413,
        );
        put(
            "target for a fixed answer",
            "fixed",
            near(20),
            &|size| target_of("/fixed/", size),
            414,
        );
    }
    cases.push(case("length where none is allowed", "nobody", 0, with_length("/none", 0), 200));
    cases.push(case("length where none is allowed", "nobody", 1, with_length("/none", 1), 413));
    cases.push(case("chunks where none are allowed", "nobody", 0, in_chunks("/none", 0), 200));
    cases.push(case("chunks where none are allowed", "nobody", 1, in_chunks("/none", 1), 413));
    cases
}

#[test]
fn what_is_at_a_limit_is_served_and_what_is_over_it_is_not() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let mut wrong = Vec::new();
    for (number, case) in cases().into_iter().enumerate() {
        let mut client = edge.connect();
        client.try_send(&case.request);
        let what = &case.what;
        let Some(response) = client.try_response_to("GET") else {
            wrong.push(format!("{what}: closed without an answer"));
            continue;
        };
        if response.status != case.status {
            wrong.push(format!("{what}: {} instead of {}", response.status, case.status));
        }
        let line = edge.wait_for_log(number + 1).remove(number);
        if let Err(problem) = logged(&line, &response, &case) {
            wrong.push(format!("{what}: {problem}: {line}"));
        }
        if response.status != 200
            && let Err(problem) = explained(&response)
        {
            wrong.push(format!("{what}: {problem}: {response:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let total = cases().len() as f64;
    wait_for("one metric for each", || (edge.requests_counted() >= total).then_some(()));
    assert_eq!(edge.requests_counted(), total, "one metric for each");
    for case in cases().iter().filter(|case| case.status != 200) {
        let metrics = edge.metrics();
        let code = format!("code=\"{}\"", case.status);
        let found = metrics
            .lines()
            .any(|line| line.starts_with("asgate_requests_total{") && line.contains(&code));
        assert!(found, "{}: counted under its status: {metrics}", case.what);
    }
    let refused = cases().iter().filter(|case| case.status != 200).count() as f64;
    edge.wait_for_metric(r#"asgate_terminations_total{reason="limit"}"#, refused);
}

fn logged(line: &Value, response: &Response, case: &Case) -> Result<(), String> {
    let termination = if case.status == 200 { "ok" } else { "limit" };
    for (key, expected) in [
        ("edge.termination", Value::from(termination)),
        ("http.response.status_code", Value::from(case.status)),
        ("http.request.id", Value::from(response.header("x-request-id"))),
    ] {
        if line[key] != expected {
            return Err(format!("{key} is not {expected}"));
        }
    }
    // What is over the limits of every route is refused before there is one.
    if case.status == 200 && line["edge.route"] != case.route {
        return Err(format!("the route is not {}", case.route));
    }
    Ok(())
}

#[test]
fn a_route_may_allow_more_than_the_default_but_only_for_itself() {
    let stub = Stub::ok();
    let routes = "  - { match: { path: /large }, upstream: u, \
        limits: { header: 200KiB, headers: 256, uri: 32KiB } }\n  - { upstream: u }";
    let edge = Edge::before(&[stub.address()], routes);
    for (what, request, status) in [
        ("a large header", head_of("/large", 204_800), 200),
        ("one byte more", head_of("/large", 204_801), 431),
        ("a large header elsewhere", head_of("/x", 65_537), 431),
        ("256 lines", lines_of("/large", 256), 200),
        ("257 lines", lines_of("/large", 257), 431),
        ("101 lines elsewhere", lines_of("/x", 101), 431),
        ("a long target", target_of("/large/", 32_768), 200),
        ("one byte more", target_of("/large/", 32_769), 414),
        ("a long target elsewhere", target_of("/x/", 8193), 414),
    ] {
        let mut client = edge.connect();
        client.try_send(request);
        assert_eq!(client.response().status, status, "{what}");
    }
}
