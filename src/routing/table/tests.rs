use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use regex::Regex;

use super::{Request, Table};
use crate::config::{
    Access, Action, HeaderRules, HostPattern, Limits, Match, PathPattern, Respond, Route, Timeouts,
};

/// A route from the notation of the configuration file: `*.` for wildcard hosts, `=` and `~` for
/// exact paths and regexes.
fn route(hosts: &[&str], path: &str) -> Route {
    let hosts = hosts.iter().map(|host| match host.strip_prefix('*') {
        Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
        None => HostPattern::Exact((*host).to_owned()),
    });
    let path = match (path.strip_prefix('='), path.strip_prefix('~')) {
        (Some(exact), _) => PathPattern::Exact(exact.to_owned()),
        (_, Some(regex)) => PathPattern::Regex(Regex::new(regex).unwrap()),
        _ => PathPattern::Prefix(path.to_owned()),
    };
    Route {
        name: String::new(),
        matches: Match {
            hosts: hosts.collect(),
            path,
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
        },
        action: Action::Respond(Respond { status: StatusCode::OK, body: "".into() }),
        timeouts: Timeouts {
            connect: None,
            first_byte: None,
            idle: None,
            total: None,
            websocket_idle: None,
            request_body: None,
            client_write: None,
        },
        limits: Limits {
            body: None,
            header: 0,
            uri: 0,
            headers: 0,
            min_request_rate: None,
            min_response_rate: None,
        },
        headers: HeaderRules::default(),
        access: Access::default(),
        rate_limit: None,
    }
}

fn with_methods(mut route: Route, methods: &[Method]) -> Route {
    route.matches.methods = methods.to_vec();
    route
}

fn with_header(mut route: Route, name: &'static str, value: &'static str) -> Route {
    let condition = (HeaderName::from_static(name), HeaderValue::from_static(value));
    route.matches.headers.push(condition);
    route
}

fn with_query(mut route: Route, name: &str, value: &str) -> Route {
    route.matches.query.push((name.to_owned(), value.to_owned()));
    route
}

fn find(table: &Table, host: &str, path: &str) -> Option<usize> {
    let (method, headers) = (&Method::GET, &HeaderMap::new());
    table.find(&Request { host, path, query: None, method, headers })
}

#[test]
fn hosts_exact_then_longest_wildcard_then_any() {
    let table = Table::compile(&[
        route(&[], "/"),
        route(&["*.example.com"], "/"),
        route(&["*.b.example.com"], "/"),
        route(&["a.b.example.com", "[::1]"], "/"),
    ]);
    for (host, expected) in [
        ("a.b.example.com", 3),
        ("[::1]", 3),
        ("x.b.example.com", 2),
        ("x.a.b.example.com", 2),
        ("b.example.com", 1),
        ("x.example.com", 1),
        ("example.com", 0),
        ("notexample.com", 0),
        (".example.com", 0),
        ("com", 0),
        ("", 0),
    ] {
        assert_eq!(find(&table, host, "/"), Some(expected), "{host:?}");
    }
}

#[test]
fn paths_exact_then_longest_prefix_then_regex() {
    let table = Table::compile(&[
        route(&[], "~^/v[0-9]+/"),
        route(&[], "~^/v1/"),
        route(&[], "/api"),
        route(&[], "/api/"),
        route(&[], "/api/users"),
        route(&[], "=/api/users/me"),
        route(&[], "=/f\u{f6}\u{f6} "),
        route(&[], "/f\u{f6}\u{f6}"),
    ]);
    for (path, expected) in [
        ("/api", Some(2)),
        ("/api/", Some(3)),
        ("/api/x", Some(3)),
        ("/api//users", Some(3)),
        ("/apix", None),
        ("/api/users", Some(4)),
        ("/api/users/", Some(4)),
        ("/api/users/42", Some(4)),
        ("/api/usersx", Some(3)),
        ("/api/users/me", Some(5)),
        ("/api/users/me/", Some(4)),
        ("/v1/x", Some(0)),
        ("/v12/x", Some(0)),
        ("/vx/", None),
        ("/", None),
        ("/f%C3%B6%C3%B6/x", Some(7)),
    ] {
        assert_eq!(find(&table, "a", path), expected, "{path}");
    }
}

#[test]
fn the_root_prefix_takes_every_path() {
    for prefix in ["/", ""] {
        let table = Table::compile(&[route(&[], prefix)]);
        for path in ["/", "//", "/a", "/a/", "/a/b/c"] {
            assert_eq!(find(&table, "a", path), Some(0), "{path} under {prefix:?}");
        }
    }
}

#[test]
fn equal_routes_are_tried_in_the_order_of_the_file() {
    let table = Table::compile(&[
        with_methods(route(&[], "/"), &[Method::POST, Method::PUT]),
        with_header(route(&[], "/"), "x-tenant", "a"),
        with_query(with_query(route(&[], "/"), "v", "2"), "w", ""),
        route(&[], "/"),
        route(&[], "/"),
    ]);
    let mut tenants = HeaderMap::new();
    tenants.append("x-tenant", HeaderValue::from_static("b"));
    tenants.append("x-tenant", HeaderValue::from_static("a"));
    let none = HeaderMap::new();
    for (method, headers, query, expected) in [
        (Method::POST, &tenants, None, 0),
        (Method::PUT, &none, None, 0),
        (Method::GET, &tenants, Some("v=2&w"), 1),
        (Method::GET, &none, Some("w=&v=2"), 2),
        (Method::GET, &none, Some("v=2"), 3),
        (Method::HEAD, &none, None, 3),
    ] {
        let request = Request { host: "a", path: "/x", query, method: &method, headers };
        let shown = format!("{method} {query:?} {headers:?}");
        assert_eq!(table.find(&request), Some(expected), "{shown}");
    }
}

#[test]
fn a_route_whose_conditions_fail_leaves_the_request_to_less_specific_ones() {
    let post = |hosts: &[&str], path| with_methods(route(hosts, path), &[Method::POST]);
    let exact = post(&["a.example"], "=/x/y");
    let longer = post(&["a.example"], "/x/y");
    let regex = post(&["a.example"], "~y");
    let wildcard = post(&["*.example"], "/x");
    let ladder = [exact, longer, regex, wildcard, route(&[], "/")];
    assert_eq!(find(&Table::compile(&ladder), "a.example", "/x/y"), Some(4), "down to any host");

    for (step, shorter) in [
        (0, route(&["a.example"], "=/x/y")),
        (1, route(&["a.example"], "/x")),
        (2, route(&["a.example"], "~x")),
        (3, route(&["*.example"], "/")),
    ] {
        let mut ladder = ladder.clone();
        ladder[step] = shorter;
        let seen = find(&Table::compile(&ladder), "a.example", "/x/y");
        assert_eq!(seen, Some(step), "the first step that takes GET");
    }
}

#[test]
fn a_table_without_routes_finds_none() {
    assert_eq!(find(&Table::compile(&[]), "a", "/"), None, "nothing to find");
}

#[test]
fn hostile_paths_and_hosts_are_answered() {
    let table = Table::compile(&[route(&["*.example"], "/a/b"), route(&[], "/a/b/")]);
    let slashes = "/".repeat(1 << 20);
    let labels = "a.".repeat(1 << 19);
    assert_eq!(find(&table, &labels, &slashes), None, "nothing there");
    let address: SocketAddr = "[::1]:80".parse().unwrap();
    assert_eq!(find(&table, &address.to_string(), "/a/b/c"), Some(1), "any text may be a host");
    let long = format!("/a/b/{slashes}");
    assert_eq!(find(&table, "x.example", &long), Some(0), "the wildcard host goes first");
}
