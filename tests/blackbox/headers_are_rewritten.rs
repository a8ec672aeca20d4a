//! Headers change as a route says, on whatever it answers, and nothing that a client sends becomes a line of its own.

mod https_only;
mod injected;
mod variables;

use crate::support::client::Response;
use crate::support::closed_port::ClosedPort;
use crate::support::front::Front;
use crate::support::http2;
use crate::support::stub::Stub;

/// The lines of a header in what an echoing worker got.
fn values<'a>(got: &'a str, name: &str) -> Vec<&'a str> {
    let lines = got.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value.trim()).collect()
}

/// The values of a response header, in their order.
fn answered<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let lines = response.headers.iter().filter(|(found, _)| found == name);
    lines.map(|(_, value)| value.as_str()).collect()
}

const REQUEST: &str = "headers: { request: { \
    set: { X-Set: edge, x-new: edge, User-Agent: asgate }, \
    add: { X-Add: edge, x-alone: edge }, \
    remove: [X-Gone, cookie] } }";

#[test]
fn the_worker_gets_what_the_route_says() {
    let stub = Stub::echoing();
    let routes = format!("  - {{ upstream: u, {REQUEST} }}");
    let edge = Front { listeners: &["http2: true"], routes: &routes, ..Front::default() }
        .before(stub.address());
    let sent = "X-Set: one\r\nx-set: two\r\nX-Add: client\r\nX-Gone: 1\r\nx-gone: 2\r\nCookie: a=b\r\n\
        User-Agent: test\r\nX-Kept: yes\r\n";
    let expect = |what: &str, got: &str| {
        for (name, expected) in [
            ("x-set", &["edge"][..]),
            ("x-new", &["edge"]),
            ("user-agent", &["asgate"]),
            ("x-add", &["client", "edge"]),
            ("x-alone", &["edge"]),
            ("x-gone", &[]),
            ("cookie", &[]),
            ("x-kept", &["yes"]),
        ] {
            assert_eq!(values(got, name), expected, "{name}, {what}: {got}");
        }
    };
    let mut client = edge.connect();
    for round in 0..2 {
        expect(&format!("round {round}"), &client.get_with("/", sent).text());
    }
    let lines = "[('x-set', 'one'), ('x-set', 'two'), ('x-add', 'client'), ('x-gone', '1'), \
        ('cookie', 'a=b'), ('user-agent', 'test'), ('x-kept', 'yes')]";
    let script = format!("tell(c.answer(c.open('GET', '/', {lines}))['body'])");
    expect("HTTP/2", http2::run(edge.address(), &script).as_str().expect("text"));
    // A WebSocket's handshake is a request.
    client.send(format!(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{sent}\r\n"
    ));
    let got = client.response().text();
    assert!(got.contains("upgrade: websocket\r\n"), "the control: {got}");
    expect("a WebSocket", &got);
}

const RESPONSE: &str = "headers: { response: { \
    set: { X-Frame-Options: DENY, Server: edge }, add: { Vary: Accept, X-Add: edge }, remove: [X-Powered-By] } }";

/// Whether the answer was changed as [`RESPONSE`] says; `own` is what was there before of `Vary`.
fn expect_changed(what: &str, response: &Response, own: &[&str]) {
    for (name, expected) in [
        ("x-frame-options", &["DENY"][..]),
        ("server", &["edge"]),
        ("vary", &[own, &["Accept"]].concat()),
        ("x-add", &["edge"]),
        ("x-powered-by", &[]),
    ] {
        assert_eq!(answered(response, name), expected, "{name}, {what}: {response:?}");
    }
}

#[test]
fn the_client_gets_what_the_route_says_whoever_answers() {
    let stub = Stub::start(|mut accepted| {
        while let Some(request) = accepted.request() {
            if request.contains("upgrade: websocket\r\n") {
                accepted.send(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     x-frame-options: SAMEORIGIN\r\nx-powered-by: x\r\nvary: Origin\r\n\r\n",
                );
                accepted.wait_for_fin();
                return;
            }
            accepted.send(
                "HTTP/1.1 200 OK\r\nserver: uvicorn\r\nx-frame-options: SAMEORIGIN\r\n\
                 x-frame-options: ALLOW\r\nx-powered-by: x\r\nvary: Origin\r\ncontent-length: 2\r\n\r\nok",
            );
        }
    });
    let dead = ClosedPort::reserve();
    let routes = format!(
        "  - {{ match: {{ path: /dead }}, upstream: dead, {RESPONSE} }}\n  \
         - {{ match: {{ path: /moved }}, redirect: {{ to: /elsewhere }}, {RESPONSE} }}\n  \
         - {{ match: {{ path: /fixed }}, respond: {{ body: x }}, {RESPONSE} }}\n  \
         - {{ match: {{ path: /denied }}, upstream: u, deny: [127.0.0.1], {RESPONSE} }}\n  \
         - {{ match: {{ path: /small }}, upstream: u, limits: {{ body: 1B }}, {RESPONSE} }}\n  \
         - {{ match: {{ path: /limited }}, upstream: u, rate_limit: {{ requests: 1, per: 60s, key: route }}, {RESPONSE} }}\n  \
         - {{ match: {{ path: /app }}, upstream: u, {RESPONSE} }}\n"
    );
    let text = Front { listeners: &["http2: true"], routes: &routes, ..Front::default() }
        .config(stub.address())
        .replace(
            "upstreams: { u:",
            &format!(
                "upstreams: {{ dead: {{ servers: [{{ address: \"{}\" }}] }}, u:",
                dead.address()
            ),
        );
    let edge = crate::support::edge::Edge::start(&text);
    let app: &[&str] = &["Origin"];
    for (path, status, own) in [
        ("/app", 200, app),
        ("/moved", 308, &[]),
        ("/fixed", 200, &[]),
        ("/dead", 502, &[]),
        ("/denied", 403, &[]),
        ("/limited", 200, app),
        ("/limited", 429, &[]),
    ] {
        let response = edge.connect().get(path);
        assert_eq!(response.status, status, "{path}: {response:?}");
        expect_changed(path, &response, own);
    }
    let response = edge.connect().post("/small", "too much");
    assert_eq!(response.status, 413, "{response:?}");
    expect_changed("/small", &response, &[]);
    assert_eq!(answered(&edge.connect().get("/nowhere"), "x-frame-options"), [""; 0], "no route");

    let mut client = edge.connect();
    client.send(
        "GET /app HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let (status, headers) = client.head().expect("an answer");
    assert_eq!(status, 101, "{headers:?}");
    let response = Response { status, headers, body: Vec::new(), complete: true };
    expect_changed("a WebSocket", &response, app);

    let script = "tell({path: c.answer(c.open('GET', path))['headers'] for path in ('/app', '/fixed', '/dead')})";
    let answers = http2::run(edge.address(), script);
    for (path, own) in [("/app", app), ("/fixed", &[]), ("/dead", &[])] {
        let lines = answers[path].as_array().expect("headers").iter();
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        let headers = lines.map(|line| (text(&line[0]), text(&line[1]))).collect();
        let response = Response { status: 0, headers, body: Vec::new(), complete: true };
        expect_changed(&format!("{path} over HTTP/2"), &response, own);
    }
}
