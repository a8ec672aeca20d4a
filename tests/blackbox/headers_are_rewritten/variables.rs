//! What `{client_ip}` and its like stand for, on both ways, over each kind of connection.

use crate::support::certificates::{Attribute, Authority, Purpose, Wanted};
use crate::support::client::Client;
use crate::support::front::Front;
use crate::support::http2;
use crate::support::sources::client_from;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, Tunnel};

use super::values;

const VARIABLES: [&str; 15] = [
    "client_ip",
    "client_port",
    "request_id",
    "host",
    "method",
    "path",
    "query",
    "scheme",
    "port",
    "route",
    "tls_version",
    "tls_cipher",
    "tls_server_name",
    "client_cert_subject",
    "client_cert_fingerprint",
];

/// A route that tells all of them, to the worker and to the client. The brackets show what is empty.
fn route() -> String {
    let header = |name: &str| format!("X-V-{}: \"[{{{name}}}]\"", name.replace('_', "-"));
    let all = VARIABLES.map(header).join(", ");
    let braces = "X-Braces: \"{{host}} and }}{{\", X-Two: \"{method}{scheme}-{route}\"";
    format!(
        "  - {{ name: all, upstream: u, headers: {{ request: {{ set: {{ {all}, {braces} }} }}, \
         response: {{ add: {{ {all}, {braces} }} }} }} }}"
    )
}

/// What stands in the brackets, at the worker and at the client, which must be the same.
fn told<'a>(answer: &'a str, name: &str) -> &'a str {
    let header = format!("x-v-{}", name.replace('_', "-"));
    // The answer and the request that it echoes.
    let found = values(answer, &header);
    assert_eq!(found.len(), 2, "{header} on both ways: {answer}");
    assert_eq!(found[0], found[1], "{header} on both ways: {answer}");
    let inner = found[0].strip_prefix('[').and_then(|value| value.strip_suffix(']'));
    inner.unwrap_or_else(|| panic!("{header} in brackets: {answer}"))
}

/// An HTTP/1.1 response as text, with header names in lower case.
fn text_of(client: &mut Client, head: &str) -> String {
    client.send(head);
    let response = client.response();
    assert_eq!(response.status, 200, "{response:?}");
    let lines = response.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    lines.collect::<String>() + "\r\n" + &response.text()
}

fn expect(answer: &str, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(told(answer, name), *value, "{{{name}}}: {answer}");
    }
    let braces = values(answer, "x-braces");
    assert_eq!(braces, ["{host} and }{"; 2], "{answer}");
    // The id that the client is told, and the worker.
    let id = told(answer, "request_id");
    assert_eq!(values(answer, "x-request-id"), [id, id], "{answer}");
}

const NO_TLS: [(&str, &str); 5] = [
    ("tls_version", ""),
    ("tls_cipher", ""),
    ("tls_server_name", ""),
    ("client_cert_subject", ""),
    ("client_cert_fingerprint", ""),
];

#[test]
fn without_tls() {
    let stub = Stub::echoing();
    let edge = Front { routes: &route(), ..Front::default() }.before(stub.address());
    let mut client = client_from(6, edge.address());
    let (own, port) =
        (client.local_address().port().to_string(), edge.address().port().to_string());
    let head = "POST /a/%7Eb%20c?d=%20&e=\u{e9} HTTP/1.1\r\nHost: Site.Test\r\n";
    for body in
        ["Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"]
    {
        let answer = text_of(&mut client, &format!("{}{body}", head.replace('\u{e9}', "%E9")));
        expect(&answer, &NO_TLS);
        expect(
            &answer,
            &[
                ("client_ip", "127.0.0.6"),
                ("client_port", &own),
                ("method", "POST"),
                // As the route was found by it.
                ("path", "/a/~b%20c"),
                ("query", "d=%20&e=%E9"),
                ("scheme", "http"),
                ("port", &port),
                ("route", "all"),
            ],
        );
        assert!(told(&answer, "host").eq_ignore_ascii_case("site.test"), "{answer}");
        assert_eq!(values(&answer, "x-two"), ["POSThttp-all"; 2], "{answer}");
    }
    let answer = text_of(&mut client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(&answer, &[("path", "/"), ("query", "")]);
}

/// The client is the one that a trusted proxy names.
#[test]
fn behind_a_proxy() {
    let stub = Stub::echoing();
    let routes = route();
    let edge = Front { routes: &routes, file: "trusted_proxies: [127.0.0.1]", ..Front::default() }
        .before(stub.address());
    let answer = text_of(
        &mut edge.connect(),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2001:db8::7\r\nX-Forwarded-Proto: https\r\n\r\n",
    );
    expect(&answer, &NO_TLS);
    expect(&answer, &[("client_ip", "2001:db8::7"), ("scheme", "https")]);
}

#[test]
fn over_tls() {
    let stub = Stub::echoing();
    let (authority, members) = (Authority::create(), Authority::create());
    let subject = [(Attribute::Organization, "Example, Inc."), (Attribute::CommonName, "alice")];
    let alice = members.issue(
        "alice",
        Wanted { subject: &subject, purpose: Purpose::Client, ..Wanted::default() },
    );
    let item = authority.sign("site", &["site.test"]).item();
    let ca = members.certificate().display().to_string();
    let listener = format!("tls: {{ certificates: [{item}], client_auth: {{ ca: {ca:?} }} }}");
    let edge = Front { listeners: &[&listener], routes: &route(), ..Front::default() }
        .before(stub.address());
    let fingerprint = alice.fingerprint();
    let port = edge.address().port().to_string();
    for (alpn, versions, version) in [
        ("http/1.1", [&rustls::version::TLS13], "1.3"),
        ("http/1.1", [&rustls::version::TLS12], "1.2"),
        ("h2", [&rustls::version::TLS13], "1.3"),
        ("h2", [&rustls::version::TLS12], "1.2"),
    ] {
        let offer = Offer { identity: Some(&alice), alpn: &[alpn], versions: &versions };
        let tls = Tls::trusting(&authority, offer);
        let session = tls.handshake(edge.address(), "site.test").expect("a handshake");
        assert_eq!((session.alpn(), session.version()), (Some(alpn), version), "the control");
        let tunnel = Tunnel::to(edge.address(), &tls, "site.test");
        let answer = if alpn == "h2" {
            let script = "answer = c.answer(c.open('GET', '/x?y', host='site.test'))\n\
                tell(''.join(f'{name}: {value}\\r\\n' for name, value in answer['headers']) + '\\r\\n' + answer['body'])";
            http2::run(tunnel.address(), script).as_str().expect("text").to_owned()
        } else {
            let head = "GET /x?y HTTP/1.1\r\nHost: site.test\r\n\r\n";
            text_of(&mut Client::connect(tunnel.address()), head)
        };
        expect(
            &answer,
            &[
                ("client_ip", "127.0.0.1"),
                ("host", "site.test"),
                ("method", "GET"),
                ("path", "/x"),
                ("query", "y"),
                ("scheme", "https"),
                ("port", &port),
                ("route", "all"),
                ("tls_version", version),
                ("tls_server_name", "site.test"),
                ("client_cert_subject", "CN=alice,O=Example\\, Inc."),
                ("client_cert_fingerprint", &fingerprint),
            ],
        );
        assert!(told(&answer, "tls_cipher").starts_with("TLS_"), "as IANA has it: {answer}");
    }
}
