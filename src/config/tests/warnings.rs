//! What is accepted and yet said something about.

use super::super::parse;
use super::problems::{APP, ROUTE, SERVER, check, check_upstream};
use super::{FILE, env, with};

#[test]
fn connections_that_outlive_those_of_their_worker() {
    check_upstream(&[
        ("connections: { idle_timeout: 4999ms }", ""),
        (
            "connections: { idle_timeout: 5s }",
            "asgate.yaml:9:34: warning: upstreams.backend.connections.idle_timeout: is not below the keep-alive that Uvicorn has by default (got \"5s\", advised less than 5s, or a longer keep-alive of the workers)",
        ),
        (
            "connections: { idle_timeout: 60s, reuse: always }",
            "asgate.yaml:9:34: warning: upstreams.backend.connections.idle_timeout: is not below the keep-alive that Uvicorn has by default (got \"60s\", advised less than 5s, or a longer keep-alive of the workers)",
        ),
        ("connections: { idle_timeout: 60s, reuse: never }", ""),
    ]);
}

#[test]
fn a_name_that_is_two_addresses() {
    check(
        SERVER,
        &[
            (
                "      - address: localhost:8001\n",
                "asgate.yaml:9:18: warning: upstreams.backend.servers[0].address: may be ::1, where servers that listen on 127.0.0.1 are not (got \"localhost:8001\", advised 127.0.0.1:8001)",
            ),
            (
                "      - address: LOCALHOST.:8001\n",
                "asgate.yaml:9:18: warning: upstreams.backend.servers[0].address: may be ::1, where servers that listen on 127.0.0.1 are not (got \"LOCALHOST.:8001\", advised 127.0.0.1:8001)",
            ),
            ("      - address: localhost.example.com:8001\n", ""),
        ],
    );
}

#[test]
fn slots_that_uvicorn_has_no_room_for() {
    check(
        APP,
        &[
            (
                "      asgi: main:app\n      args: [--limit-concurrency=50]\n    max_requests_per_worker: 100\n",
                "asgate.yaml:8:30: warning: upstreams.app.max_requests_per_worker: is more than --limit-concurrency leaves room for (got 100, advised at most 48)",
            ),
            (
                "      asgi: main:app\n      args: [--limit-concurrency=50]\n    max_requests_per_worker: 48\n",
                "",
            ),
        ],
    );
}

#[test]
fn routes_that_others_leave_nothing_to() {
    let hidden = |route: usize, others: &str, advised: &str| {
        let line = 11 + 2 * route;
        format!(
            "asgate.yaml:{line}:12: warning: routes[{route}].match: is never reached (got only requests that {others} takes first, advised {advised})"
        )
    };
    let pattern = "a prefix or an exact path: any prefix comes before a regular expression";
    let order = "other conditions, or a place before routes[0]";
    let cases: [(&[&str], String); 21] = [
        // A regular expression comes after every prefix, `/` too, wherever it stands.
        (&["path: '~^/v[0-9]+/'", ""], hidden(0, "routes[1]", pattern)),
        (&["", "path: '~^/v[0-9]+/'"], hidden(1, "routes[0]", pattern)),
        (&["path: '~x', host: a", "host: [b, a]"], hidden(0, "routes[1]", pattern)),
        (&["path: '~x', host: a", ""], String::new()),
        (&["path: '~x', host: [a, b]", "host: a"], String::new()),
        (
            &["path: '~x', host: [a, b]", "host: a", "host: b"],
            hidden(0, "routes[1] or routes[2]", pattern),
        ),
        (&["path: '~x'", "method: GET"], String::new()),
        (&["path: '~x', method: GET", "method: [GET, HEAD]"], hidden(0, "routes[1]", pattern)),
        (&["path: '~x', method: [GET, PUT]", "method: [GET, HEAD]"], String::new()),
        (
            &["path: '~x', host: a", "path: '~x', host: a, method: GET", "host: a"],
            [hidden(0, "routes[2]", pattern), hidden(1, "routes[2]", pattern)].join("\n"),
        ),
        (
            &["path: '~x', host: a", "path: '~x', host: [a, b]", "host: b"],
            hidden(1, "routes[0] or routes[2]", pattern),
        ),
        // Of two with the same path, the first.
        (&["path: /a", "path: /a, method: GET"], hidden(1, "routes[0]", order)),
        (&["path: /a, method: GET", "path: /a"], String::new()),
        (&["path: =/a", "path: =/a, query: { q: x }"], hidden(1, "routes[0]", order)),
        (&["path: '~a'", "path: '~a', header: { x-y: z }"], hidden(1, "routes[0]", order)),
        (
            &["path: /a, header: { a: b }", "path: /a, header: { a: b, c: d }"],
            hidden(1, "routes[0]", order),
        ),
        (&["path: /a, header: { a: b }", "path: /a, header: { a: c, c: d }"], String::new()),
        (&["path: /a, host: '*.b'", "path: /a, host: x.b, method: GET"], String::new()),
        // What is more specific comes before.
        (&["", "path: /a"], String::new()),
        (&["path: /a", "path: =/a"], String::new()),
        (&["", "host: a"], String::new()),
    ];
    for (routes, expected) in cases {
        let routes =
            routes.iter().map(|route| format!("  - match: {{ {route} }}\n    respond: {{}}\n"));
        let text = with(ROUTE, &routes.collect::<String>());
        let said = super::said(&text);
        assert_eq!(said, expected, "what is said about\n{text}");
    }
}

/// What is said of a file whose listeners are `listeners`, and whose one route has `keys`.
#[cfg(unix)]
fn behind(listeners: &str, keys: &str) -> String {
    super::said(&format!(
        "listeners: [{listeners}]\nroutes:\n  - respond: {{ body: x }}\n    {keys}\n"
    ))
}

#[cfg(unix)]
#[test]
fn clients_that_have_no_address() {
    let socket = "{ address: \"unix:/run/a.sock\" }";
    let one_bucket =
        "is one bucket for all clients: they have no address on the Unix sockets of this file";
    let nobody = "lets nobody in: clients have no address on the Unix sockets of this file";
    let advised = "advised proxy_protocol on the listeners";
    for (keys, expected) in [
        (
            "rate_limit: { requests: 5 }",
            format!(
                "asgate.yaml:4:17: warning: routes[0].rate_limit.key: {one_bucket} (got nothing, {advised}, or another key)"
            ),
        ),
        (
            "rate_limit: { requests: 5, key: client_ip }",
            format!(
                "asgate.yaml:4:37: warning: routes[0].rate_limit.key: {one_bucket} (got \"client_ip\", {advised}, or another key)"
            ),
        ),
        (
            "allow: [10.0.0.0/8]",
            format!("asgate.yaml:4:12: warning: routes[0].allow: {nobody} (got a list, {advised})"),
        ),
        ("rate_limit: { requests: 5, key: route }", String::new()),
        ("deny: [10.0.0.0/8]", String::new()),
    ] {
        assert_eq!(behind(socket, keys), expected, "{keys} on a Unix socket");
    }
    let limit = "rate_limit: { requests: 5 }";
    let announced = "{ address: \"unix:/run/a.sock\", proxy_protocol: true }";
    let tcp = format!("{socket}, {{ address: \"127.0.0.1:8080\" }}");
    for listeners in [announced, tcp.as_str()] {
        assert_eq!(behind(listeners, limit), "", "clients of {listeners} have an address");
    }
}

/// What was meant where there is a mistake is not known.
#[cfg(unix)]
#[test]
fn clients_that_may_have_an_address() {
    for (listeners, keys) in [
        ("{ address: \"unix:/run/a.sock\" }", "allow: []"),
        ("{ address: \"unix:/run/a.sock\", proxy_protocl: true }", "rate_limit: { requests: 5 }"),
        ("{ address: \"unix:/run/a.sock\" }", "rate_limit: { requests: 5, ky: route }"),
        ("{ address: \"unix:/run/a.sock\" }, 7", "rate_limit: { requests: 5 }"),
    ] {
        let said = behind(listeners, keys);
        assert_eq!(said.lines().count(), 1, "the mistake alone: {said}");
        assert!(!said.contains("warning"), "{said}");
    }
}

#[test]
fn warnings_stand_among_the_problems() {
    check(
        SERVER,
        &[(
            "      - address: localhost:8001\n    connections: { idle_timeout: 5s, max_age: 5 }\n",
            "asgate.yaml:9:18: warning: upstreams.backend.servers[0].address: may be ::1, where servers that listen on 127.0.0.1 are not (got \"localhost:8001\", advised 127.0.0.1:8001)\nasgate.yaml:10:34: warning: upstreams.backend.connections.idle_timeout: is not below the keep-alive that Uvicorn has by default (got \"5s\", advised less than 5s, or a longer keep-alive of the workers)\nasgate.yaml:10:47: upstreams.backend.connections.max_age: needs a unit (got 5, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h or off)",
        )],
    );
}

#[test]
fn a_file_that_is_only_warned_of_is_a_configuration() {
    let text = with(SERVER, "      - address: localhost:8001\n");
    let loaded = parse(&text, FILE.as_ref(), &env).expect("a valid file");
    assert_eq!(loaded.config.upstreams.len(), 2, "the configuration");
    assert_eq!(loaded.warnings.iter().count(), 1, "{}", loaded.warnings);
}
