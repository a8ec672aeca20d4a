//! Requests that are refused, and that nothing of them is left to anybody.

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::wait_for;

use super::SMUGGLED;

/// What it is, and the bytes in question.
type Row = (&'static str, &'static [u8]);

/// The line with `Host`, and what else.
const HOSTS: &[Row] = &[
    ("no Host", b"X: y"),
    ("an empty Host", b"Host:"),
    ("a blank Host", b"Host: \t "),
    ("garbage in Host", b"Host: a b<>"),
    ("a path in Host", b"Host: a/b"),
    ("userinfo in Host", b"Host: u@a"),
    ("a list in Host", b"Host: a, b"),
    ("a port that is none", b"Host: a:65536"),
    ("a signed port", b"Host: a:+80"),
    ("an unclosed IPv6 address", b"Host: [::1"),
    ("letters that are not ASCII in Host", b"Host: \xc3\xa9"),
    ("two Hosts", b"Host: a\r\nHost: b"),
    ("the same Host twice", b"Host: a\r\nhost: a"),
];

/// The target of a GET with `Host: a`.
const TARGETS: &[Row] = &[
    ("absolute form, other host", b"http://b/x"),
    ("absolute form, other port", b"http://a:81/x"),
    ("absolute form, userinfo", b"http://u@a/x"),
    ("absolute form, other scheme", b"ftp://a/x"),
    ("absolute form, no host", b"http:///x"),
    ("authority form", b"a:80"),
    ("asterisk form", b"*"),
    ("a relative path", b"x"),
    ("a space in the target", b"/a b"),
    ("a tab in the target", b"/a\tb"),
    ("a control in the target", b"/a\x01b"),
    ("NUL in the target", b"/a\0b"),
    ("DEL in the target", b"/a\x7fb"),
    ("a CR in the target", b"/a\rb"),
    ("a control in the query", b"/a?b\x01"),
    ("a fragment", b"/a#frag"),
    ("a fragment in the query", b"/a?b#frag"),
    ("a backslash", b"/a\\b"),
    ("dots and a backslash", b"/a/..\\b"),
    ("an encoded NUL", b"/a%00b"),
    ("half a triplet", b"/a%2"),
    ("a triplet that is none", b"/a%zz"),
    ("above the root", b"/../x"),
    ("above the root, encoded", b"/%2e%2e/x"),
    ("above the root, by an encoded slash", b"/..%2fx"),
];

/// Header lines of a POST with `Host: a`.
const HEADERS: &[Row] = &[
    ("length and chunked", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("chunked and length", b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("the same length twice", b"Content-Length: 2\r\nContent-Length: 2"),
    ("two lengths", b"Content-Length: 0\r\nContent-Length: 79"),
    ("a list of lengths", b"Content-Length: 2, 2"),
    ("a signed length", b"Content-Length: +2"),
    ("a negative length", b"Content-Length: -1"),
    ("a hexadecimal length", b"Content-Length: 0x2"),
    ("an empty length", b"Content-Length:"),
    ("a fractional length", b"Content-Length: 2.0"),
    ("a length in two words", b"Content-Length: 2 2"),
    ("a length beyond 64 bits", b"Content-Length: 18446744073709551618"),
    ("another coding before chunked", b"Transfer-Encoding: gzip, chunked"),
    ("another coding after chunked", b"Transfer-Encoding: chunked, gzip"),
    ("chunked twice in a list", b"Transfer-Encoding: chunked, chunked"),
    ("chunked on two lines", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("chunked, then identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ("xchunked", b"Transfer-Encoding: xchunked"),
    ("quoted chunked", b"Transfer-Encoding: \"chunked\""),
    ("chunked with a parameter", b"Transfer-Encoding: chunked;q=1"),
    ("chunked after a vertical tab", b"Transfer-Encoding: \x0bchunked"),
    ("an empty coding", b"Transfer-Encoding:"),
    ("space before the colon", b"Content-Length : 5"),
    ("a bare LF", b"X: y\nContent-Length: 5"),
    ("a bare CR in a value", b"X: a\rContent-Length: 5"),
    ("NUL in a value", b"X: a\0b"),
    ("a control in a value", b"X: a\x08b"),
    ("obs-fold by space", b"X: a\r\n b"),
    ("obs-fold by tab", b"X: a\r\n\tb"),
    ("a folded coding", b"Transfer-Encoding:\r\n chunked"),
    ("no colon", b"X"),
    ("no name", b": x"),
    ("a name that is no token", b"X(: x"),
    ("NUL in a name", b"X\0: x"),
    ("Connection names X-Forwarded-For", b"Connection: X-Forwarded-For"),
    ("Connection names Host", b"Connection: close, host"),
    ("Connection names Content-Length", b"Connection: content-length\r\nContent-Length: 2"),
    (
        "Connection names eleven headers",
        b"Connection: a, b, c, d, e, f\r\nConnection: g, h, i, j, k",
    ),
    ("Connection names no token", b"Connection: a b"),
];

/// Whole heads.
const HEADS: &[Row] = &[
    ("bare LFs", b"GET / HTTP/1.1\nHost: a\n\n"),
    ("a bare LF before it", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    ("a bare LF at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    ("white space before the first header", b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n"),
    ("absolute form without Host", b"GET http://a/x HTTP/1.1\r\n\r\n"),
    ("HTTP/0.9", b"GET /\r\n\r\n"),
    ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    ("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    ("HTTP/2.0 as text", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ("http in lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    ("two Hosts on HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    (
        "chunked on HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("two spaces", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a space at the end", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    ("a tab for a space", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a space before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a method that is no token", b"G{T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"),
];

/// Methods that a reverse proxy has no use for.
const METHODS: &[Row] = &[
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
    ("CONNECT with a path", b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
];

/// All rows as what it is, the whole request, and the status that refuses it.
fn requests() -> Vec<(&'static str, Vec<u8>, u16)> {
    let (get, host) =
        (b"GET / HTTP/1.1\r\n".as_slice(), b" HTTP/1.1\r\nHost: a\r\n\r\n".as_slice());
    let post = b"POST / HTTP/1.1\r\nHost: a\r\n".as_slice();
    let end = b"\r\n\r\n".as_slice();
    let mut all = Vec::new();
    let mut put = |rows: &[Row], before: &[u8], after: &[u8], status: u16| {
        for (what, bytes) in rows {
            all.push((*what, [before, bytes, after].concat(), status));
        }
    };
    put(HOSTS, get, end, 400);
    put(TARGETS, b"GET ", host, 400);
    put(HEADERS, post, end, 400);
    put(HEADS, b"", b"", 400);
    put(METHODS, b"", b"", 405);
    all
}

#[test]
fn ambiguous_requests_are_refused_and_end_their_connection() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let mut wrong = Vec::new();
    let mut ports = Vec::new();
    for (what, request, status) in requests() {
        let mut client = edge.connect();
        ports.push((what, status, client.local_address().port()));
        if let Err(problem) = refused(&mut client, &request, status) {
            wrong.push(format!("{what}: {problem}"));
        }
    }
    assert_eq!(stub.received_in_all(), "", "no byte of a refused request reaches the worker");
    let control = edge.connect().get("/control");
    assert_eq!(control.status, 200, "what is not ambiguous is served");
    assert_eq!(stub.accepted(), 1, "the worker was there all the time");
    // The lines of a log come in order: with that of the last request, those of all others are there.
    let lines = wait_for("the last line", || {
        let lines = edge.access_log();
        let last = lines.last()?["url.path"] == "/control";
        last.then_some(lines)
    });
    for (what, status, port) in ports {
        let logged: Vec<_> = lines
            .iter()
            .filter(|line| line["client.port"] == port)
            .map(|line| (&line["http.response.status_code"], &line["edge.termination"]))
            .collect();
        if logged != [(&status.into(), &"bad_request".into())] {
            wrong.push(format!("{what}: logged as {logged:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Sends the request and another one behind it; `Err` says what is wrong with the answer.
fn refused(client: &mut Client, request: &[u8], status: u16) -> Result<(), String> {
    client.try_send([request, SMUGGLED.as_bytes()].concat());
    let Some(response) = client.try_response_to("GET") else {
        return Err("closed without an answer".into());
    };
    let rest = client.rest();
    if response.status != status {
        return Err(format!("{} instead of {status}", response.status));
    }
    if response.header("connection") != Some("close") {
        return Err(format!("does not say that it closes: {:?}", response.headers));
    }
    if !rest.is_empty() {
        return Err(format!("went on: {}", rest.escape_ascii()));
    }
    Ok(())
}

#[test]
fn a_refused_method_says_which_are_allowed() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 405, "{response:?}");
    let allow = response.header("allow").unwrap_or_default();
    assert!(allow.contains("GET") && !allow.contains("TRACE"), "RFC 9110 §15.5.6: {response:?}");
}
