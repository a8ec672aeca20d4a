//! The most specific route takes a request, does with it what the file says, and passes on the very path it matched.

use crate::support::client::{Client, Response};
use crate::support::closed_port::ClosedPort;
use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::uvicorn::Uvicorn;

/// One request without a body.
fn ask(client: &mut Client, method: &str, host: &str, target: &str, lines: &str) -> Response {
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
    client.response_to(method)
}

/// The target that [`Stub::echoing`] was sent.
fn target(response: &Response) -> String {
    let text = response.text();
    text.split(' ').nth(1).unwrap_or_else(|| panic!("no request line: {text}")).to_owned()
}

/// That the connection behind a response works, unless the response announced its end.
fn assert_goes_on_or_says_so(mut client: Client, headers: &[(String, String)]) {
    if headers.contains(&("connection".into(), "close".into())) {
        assert_eq!(client.rest(), b"", "a connection that was announced to end");
    } else {
        assert_ne!(client.get("/").status, 400, "the connection goes on");
    }
}

/// Routes that answer with their own name; each line is a name and its conditions.
fn answering(routes: &str) -> String {
    let route = |line: &str| {
        let (name, conditions) = line.trim().split_once(' ')?;
        Some(format!("  - {{ match: {{ {conditions} }}, respond: {{ body: {name} }} }}\n"))
    };
    routes.lines().filter_map(route).collect()
}

/// From least to most specific, so that the order in the file would choose wrongly.
const ROUTES: &str = r#"
    any-host        path: /
    any-host-api    path: /api
    wild            host: "*.example.com"
    wild-exact-path host: "*.example.com", path: =/api
    wilder          host: "*.deep.example.com"
    exact           host: api.example.com
    exact-regex     host: api.example.com, path: "~^/api/v[0-9]$"
    exact-api       host: api.example.com, path: /api
    exact-api-slash host: api.example.com, path: /api/
    exact-api-users host: api.example.com, path: /api/users
    exact-path      host: api.example.com, path: =/api/users/me
    two-hosts       host: [one.test, two.test]
    post            host: conditions.test, path: /form, method: [POST, PUT]
    tenant          host: conditions.test, path: /form, header: { x-tenant: a }
    query           host: conditions.test, path: /form, query: { version: "2" }
    form            host: conditions.test, path: /form
    both            host: conditions.test, path: /all, method: GET, header: { x-a: b }, query: { c: d }
    first           host: order.test, path: /same, header: { x-a: b }
    second          host: order.test, path: /same, query: { c: d }
    regex           host: regex.test, path: "~^/v[0-9]+/"
    regex-later     host: regex.test, path: "~^/v1/"
    regex-open      host: regex.test, path: "~/only$"
"#;

/// Method, host, target, header lines, and the route that takes it.
const REQUESTS: &str = r#"
    # Hosts: exact before wildcard before every host; longest wildcard; case, port and a dot do not matter.
    GET  other.test                /                                          any-host
    GET  api.example.com           /                                          exact
    GET  API.Example.COM:8080      /                                          exact
    GET  api.example.com.          /                                          exact
    GET  www.example.com           /                                          wild
    GET  a.b.example.com           /                                          wild
    GET  x.deep.example.com        /                                          wilder
    GET  deep.example.com          /                                          wild
    GET  example.com               /                                          any-host
    GET  notexample.com            /                                          any-host
    GET  api.example.com.evil.test /                                          any-host
    GET  one.test                  /                                          two-hosts
    GET  two.test                  /                                          two-hosts
    # The host goes before the path, however well that fits elsewhere.
    GET  www.example.com           /v1/x                                      wild
    GET  www.example.com           /api                                       wild-exact-path
    GET  www.example.com           /api/                                      wild
    # Paths: exact, then longest prefix on segment boundaries, then regex in the order of the file.
    GET  api.example.com           /api                                       exact-api
    GET  api.example.com           /api/                                      exact-api-slash
    GET  api.example.com           /api/x                                     exact-api-slash
    GET  api.example.com           /apix                                      exact
    GET  api.example.com           /api?x=/api/users                          exact-api
    GET  api.example.com           /API                                       exact
    GET  api.example.com           /api/users                                 exact-api-users
    GET  api.example.com           /api/users/7                               exact-api-users
    GET  api.example.com           /api/users7                                exact-api-slash
    GET  api.example.com           /api/users/me                              exact-path
    GET  api.example.com           /api/users/me?a                            exact-path
    GET  api.example.com           /api/users/me/                             exact-api-users
    GET  api.example.com           /api/v1                                    exact-api-slash
    GET  api.example.com           /xv1                                       exact
    GET  regex.test                /v1/x                                      regex
    GET  regex.test                /v/x                                       any-host
    GET  regex.test                /x/v1/                                     any-host
    GET  regex.test                /v1/only                                   regex
    GET  regex.test                /a/b/only                                  regex-open
    # Where a host has no route for a path, the next host that fits is asked.
    GET  regex.test                /a                                         any-host
    # Methods, headers and query; of several that fit, the first in the file.
    POST conditions.test           /form                                      post
    PUT  conditions.test           /form/x                                    post
    GET  conditions.test           /form                                      form
    GET  conditions.test           /form              X-Tenant:a              tenant
    GET  conditions.test           /form              X-Tenant:b x-tenant:a   tenant
    GET  conditions.test           /form              X-Tenant:A              form
    GET  conditions.test           /form              X-Tenant:a,b            form
    GET  conditions.test           /form?version=2                            query
    GET  conditions.test           /form?a=b&version=%32                         query
    GET  conditions.test           /form?version=22                           form
    GET  conditions.test           /form?Version=2                            form
    GET  conditions.test           /all?c=d           X-A:b                   both
    POST conditions.test           /all?c=d           X-A:b                   any-host
    GET  conditions.test           /all?c=d                                   any-host
    GET  conditions.test           /all               X-A:b                   any-host
    GET  order.test                /same?c=d          X-A:b                   first
    GET  order.test                /same?c=d                                  second
"#;

#[test]
fn the_most_specific_route_takes_the_request() {
    let edge = Edge::before(&[Stub::ok().address()], &answering(ROUTES));
    let mut client = edge.connect();
    let mut wrong = Vec::new();
    for row in REQUESTS.lines().filter(|row| !row.is_empty() && !row.contains('#')) {
        let words: Vec<_> = row.split_whitespace().collect();
        let [method, host, target, headers @ .., expected] = &words[..] else {
            panic!("not a row: {row}");
        };
        let mut lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        if *method != "GET" {
            lines += "Content-Length: 0\r\n";
        }
        let response = ask(&mut client, method, host, target, &lines);
        if response.text() != *expected {
            wrong.push(format!("{row}: {} {}", response.status, response.text()));
        }
    }
    assert!(wrong.is_empty(), "taken by the wrong route:\n{}", wrong.join("\n"));
}

#[test]
fn what_no_route_takes_is_not_found() {
    let routes = answering(
        "a host: a.test, path: /a
         get host: b.test, method: GET
         head host: c.test, method: HEAD",
    );
    let edge = Edge::before(&[Stub::ok().address()], &routes);
    let mut client = edge.connect();
    for (number, (method, host, target, status)) in [
        ("GET", "a.test", "/a", 200),
        ("GET", "a.test", "/b", 404),
        ("GET", "other.test", "/a", 404),
        ("GET", "b.test", "/", 200),
        // `GET` does not include `HEAD`.
        ("HEAD", "b.test", "/", 404),
        ("HEAD", "c.test", "/", 200),
    ]
    .into_iter()
    .enumerate()
    {
        let response = ask(&mut client, method, host, target, "");
        assert_eq!(response.status, status, "{method} {host} {target}: {response:?}");
        let line = edge.wait_for_log(number + 1).remove(number);
        let word = if status == 200 { "ok" } else { "no_route" };
        assert_eq!(line["edge.termination"], word, "{method} {host} {target}: {line}");
    }
}

#[test]
fn the_path_that_was_matched_is_the_path_that_is_forwarded() {
    let worker = Stub::echoing();
    // A guard in front of an app: no spelling of /admin may pass it.
    let routes =
        "  - { match: { path: /admin }, respond: { status: 403, body: guarded } }\n  - upstream: u";
    let edge = Edge::before(&[worker.address()], routes);
    let mut wrong = Vec::new();
    for (sent, expected) in [
        // What becomes /admin is guarded.
        ("/admin", "guarded"),
        ("/admin/x", "guarded"),
        ("/%61dmin", "guarded"),
        ("/%61%64%6D%69%6e", "guarded"),
        ("/a/../admin", "guarded"),
        ("/a/%2e%2e/admin", "guarded"),
        ("/a/%2E%2e%2Fadmin", "guarded"),
        ("/a/.%2e/admin", "guarded"),
        ("/./admin", "guarded"),
        ("/%2e/admin", "guarded"),
        ("/admin/.", "guarded"),
        ("/admin/x/..", "guarded"),
        ("/admin%2Fx", "guarded"),
        ("/admin?x", "guarded"),
        // What is another path to the app passes as it was matched.
        ("//admin", "//admin"),
        ("/a//../admin", "/a/admin"),
        ("/x%2Fadmin", "/x/admin"),
        ("/x%2fadmin", "/x/admin"),
        ("/administrator", "/administrator"),
        ("/Admin", "/Admin"),
        ("/admin;x", "/admin;x"),
        ("/admin%3Bx", "/admin;x"),
        ("/admin%3F", "/admin%3F"),
        ("/%40%3a", "/@:"),
        ("/admin%20", "/admin%20"),
        ("/%5Cadmin", "/%5Cadmin"),
        ("/a%5c..%5cadmin", "/a%5C..%5Cadmin"),
        ("/%2561dmin", "/%2561dmin"),
        ("/x/%252e%252e/admin", "/x/%252e%252e/admin"),
        ("/admin/..", "/"),
        ("/admin/../x", "/x"),
        ("/...", "/..."),
        // Percent-encoding: one spelling.
        ("/%41%7eb%2d", "/A~b-"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/a|b\"c", "/a%7Cb%22c"),
        ("/a:b@c,d", "/a:b@c,d"),
        ("/x?", "/x?"),
        ("/x?a=../%2e%2e/%zz&b=//", "/x?a=../%2e%2e/%zz&b=//"),
        ("/x?a=%41", "/x?a=%41"),
        // What nobody sends in good faith is refused.
        ("/..", "400"),
        ("/../admin", "400"),
        ("/a/../../admin", "400"),
        ("/%2e%2e/admin", "400"),
        ("/\\admin", "400"),
        ("/a\\..\\admin", "400"),
        ("/admin%00", "400"),
        ("/%zz", "400"),
        ("/%4", "400"),
        ("/%", "400"),
        ("/%u0061dmin", "400"),
    ] {
        let response = ask(&mut edge.connect(), "GET", "a.test", sent, "");
        let found = match response.status {
            200 => target(&response),
            403 => response.text(),
            status => status.to_string(),
        };
        if found != expected {
            wrong.push(format!("{sent}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "not as documented:\n{}", wrong.join("\n"));
}

#[test]
fn the_app_routes_on_the_path_that_was_matched() {
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    let mut client = edge.connect();
    let mut direct = Client::connect(uvicorn.address());
    for (sent, path, raw_path) in [
        ("/echo/a%2Fb", "/echo/a/b", "/echo/a/b"),
        ("/x/../echo/%41", "/echo/A", "/echo/A"),
        ("/x/%2e%2e/echo/b", "/echo/b", "/echo/b"),
        ("/echo//b", "/echo//b", "/echo//b"),
        ("/echo/%c3%a9", "/echo/\u{e9}", "/echo/%C3%A9"),
        ("/echo/%2541", "/echo/%41", "/echo/%2541"),
    ] {
        let seen = ask(&mut client, "GET", "a.test", sent, "").json();
        assert_eq!(seen["path"], path, "scope path of {sent}: {seen:#}");
        assert_eq!(seen["raw_path"], raw_path, "scope raw_path of {sent}: {seen:#}");
    }
    // Without the edge the app does not see what a router before it would have to think of.
    let unchanged = ask(&mut direct, "GET", "a.test", "/echo/../x", "").json();
    assert_eq!(unchanged["path"], "/echo/../x", "Uvicorn itself normalises nothing");
}

#[test]
fn a_rewrite_changes_the_path_and_leaves_the_query() {
    let worker = Stub::echoing();
    let routes = [
        "match: { path: /strip }, rewrite: { strip_prefix: /strip }",
        "match: { path: /slash }, rewrite: { strip_prefix: /slash/ }",
        "match: { path: /add }, rewrite: { add_prefix: /base }",
        "match: { path: /both }, rewrite: { strip_prefix: /both, add_prefix: /base/ }",
        "match: { path: /re }, rewrite: { regex: \"^/re/([0-9]+)/(.*)\", replace: \"/item/${2}x/$1\" }",
        "match: { path: /every }, rewrite: { regex: o, replace: \"0\" }",
        "match: { path: /up }, rewrite: { regex: \"^/up\", replace: \"/..\" }",
        "match: { path: /raw }, rewrite: { regex: \"^/raw(.*)\", replace: \"$1 ?x\" }",
    ];
    let routes: String =
        routes.iter().map(|route| format!("  - {{ {route}, upstream: u }}\n")).collect();
    let edge = Edge::before(&[worker.address()], &routes);
    let mut wrong = Vec::new();
    for (sent, expected) in [
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/strip/x/y?q=/strip", "/x/y?q=/strip"),
        ("/strip?q", "/?q"),
        ("/strip/strip", "/strip"),
        ("/strip//x", "//x"),
        ("/%73trip/x", "/x"),
        ("/slash/x", "/x"),
        ("/slash/", "/"),
        ("/add", "/base/add"),
        ("/add/x?q=1&r", "/base/add/x?q=1&r"),
        ("/both/x", "/base/x"),
        ("/both", "/base/"),
        ("/re/42/a/b?q", "/item/a/bx/42?q"),
        ("/re/no/a", "/re/no/a"),
        ("/every/foo", "/every/f0o"),
        // What a rewrite puts together is a path like any other: no way up, no query out of it.
        ("/up/x", "500 400"),
        ("/raw/x", "/x%20%3Fx"),
    ] {
        let response = ask(&mut edge.connect(), "GET", "a.test", sent, "");
        let found = match response.status {
            200 => target(&response),
            status => status.to_string(),
        };
        if !expected.split(' ').any(|one| one == found) {
            wrong.push(format!("{sent}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "not as documented:\n{}", wrong.join("\n"));
}

#[test]
fn a_redirect_says_where_and_keeps_the_query() {
    let routes = [
        "match: { path: /old }, redirect: { to: \"https://new.example.com{path}\" }",
        "match: { path: /see }, redirect: { to: \"/other\", status: 303 }",
        "match: { path: /fixed }, redirect: { to: \"/other?a=b\", status: 301 }",
        "match: { path: /q }, redirect: { to: \"/other?a=b&{query}\", status: 302 }",
        "match: { path: /all }, redirect: { to: \"{scheme}://www.{host}{path}\", status: 307 }",
        "match: { path: / }, redirect: { to: \"{path}\" }",
    ];
    let routes: String = routes.iter().map(|route| format!("  - {{ {route} }}\n")).collect();
    let edge = Edge::before(&[Stub::ok().address()], &routes);
    let mut client = edge.connect();
    for (sent, status, location) in [
        ("/old", 308, "https://new.example.com/old"),
        ("/old/x/y?q=1&r=%20", 308, "https://new.example.com/old/x/y?q=1&r=%20"),
        ("/see?q", 303, "/other?q"),
        ("/see", 303, "/other"),
        ("/fixed?q", 301, "/other?a=b"),
        ("/q?c=d", 302, "/other?a=b&c=d"),
        ("/all/x?q", 307, "http://www.a.test/all/x?q"),
        // Nothing that a client puts into a path leaves this host or the header line.
        ("//evil.test/x", 308, "/evil.test/x"),
        ("/%0d%0aSet-Cookie:x", 308, "/%0D%0ASet-Cookie:x"),
        ("/%7Bhost%7D", 308, "/%7Bhost%7D"),
    ] {
        let response = ask(&mut client, "GET", "a.test:8080", sent, "");
        assert_eq!(response.status, status, "{sent}: {response:?}");
        assert_eq!(response.header("location"), Some(location), "{sent}: {response:?}");
        assert!(response.header("set-cookie").is_none(), "{sent}: {response:?}");
    }
    let response = ask(&mut client, "HEAD", "a.test", "/see", "");
    assert_eq!(response.status, 303, "HEAD is redirected too: {response:?}");
    client.send("POST /old HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
    let response = client.response();
    assert_eq!(response.status, 308, "so is a request with a body: {response:?}");
    assert_goes_on_or_says_so(client, &response.headers);
}

#[test]
fn a_fixed_answer_is_given_without_a_worker() {
    let routes = "  - { match: { path: =/ping }, respond: { status: 200, body: pong } }\n  \
                  - { match: { path: /gone }, respond: { status: 410, body: \"no more\" } }\n  \
                  - { match: { path: /none }, respond: { status: 204 } }\n";
    let nobody = ClosedPort::reserve();
    let edge = Edge::before(&[nobody.address()], routes);
    let mut client = edge.connect();
    for (method, sent, status, body, length) in [
        ("GET", "/ping", 200, "pong", Some("4")),
        ("HEAD", "/ping", 200, "", Some("4")),
        ("GET", "/gone/x", 410, "no more", Some("7")),
        ("GET", "/none", 204, "", None),
    ] {
        let response = ask(&mut client, method, "a.test", sent, "");
        assert_eq!((response.status, response.text().as_str()), (status, body), "{method} {sent}");
        assert_eq!(response.header("content-length"), length, "{method} {sent}: {response:?}");
        assert!(
            response.header("x-request-id").is_some(),
            "an id on {method} {sent}: {response:?}"
        );
        assert!(response.header("server").is_none(), "no server name: {response:?}");
        if length.is_some() {
            let kind = response.header("content-type");
            assert_eq!(kind, Some("text/plain; charset=utf-8"), "{method} {sent}");
        }
    }
}

#[test]
fn the_worker_gets_its_own_address_as_host_when_the_route_says_so() {
    let worker = Stub::echoing();
    let routes =
        "  - { match: { path: /own }, upstream: u, preserve_host: false }\n  - upstream: u";
    let edge = Edge::before(&[worker.address()], routes);
    let mut client = edge.connect();
    let own = format!("host: {}\r\n", worker.address());
    for (sent, host) in [("/own", own.as_str()), ("/kept", "host: a.test:81\r\n")] {
        let head = ask(&mut client, "GET", "a.test:81", sent, "").text().to_lowercase();
        assert_eq!(head.matches("\r\nhost:").count(), 1, "one Host line for {sent}: {head}");
        assert!(head.contains(host), "{host:?} for {sent}: {head}");
        assert!(
            head.contains("x-forwarded-host: a.test:81\r\n"),
            "the client's for {sent}: {head}"
        );
    }
}
