//! The one form in which a request reaches the worker.

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// What the worker must have got of a request: its first line, lines that are there once, names that are not there.
struct Forwarded {
    what: &'static str,
    request: &'static [u8],
    first: &'static str,
    with: &'static [&'static [u8]],
    without: &'static [&'static str],
}

/// A request whose target alone is of interest.
const fn target(what: &'static str, request: &'static [u8], first: &'static str) -> Forwarded {
    Forwarded { what, request, first, with: &[b"host: a"], without: &[] }
}

const FORWARDED: &[Forwarded] = &[
    target("nothing special", b"GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y HTTP/1.1"),
    Forwarded {
        with: &[b"host: [::1]:8080"],
        ..target("an IPv6 Host", b"GET /x HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET /x HTTP/1.1")
    },
    target("absolute form", b"GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y HTTP/1.1"),
    target("absolute form, no path", b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1"),
    target("absolute form, capitals", b"GET HTTP://A/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1"),
    target("a method in lower case", b"get /x HTTP/1.1\r\nHost: a\r\n\r\n", "get /x HTTP/1.1"),
    target("raw UTF-8", b"GET /\xc3\xa9?\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%C3%A9?%C3%A9 HTTP/1.1"),
    target("dot segments", b"GET /a/../b/./c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b/c HTTP/1.1"),
    target("encoded dots", b"GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1"),
    target("an encoded slash", b"GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a/b HTTP/1.1"),
    target("two slashes", b"GET //evil.example/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET //evil.example/x HTTP/1.1"),
    target("an encoded letter", b"GET /%61%2d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a- HTTP/1.1"),
    target("encoded twice", b"GET /%252e%252e/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%252e%252e/x HTTP/1.1"),
    target("anything in a query", b"GET /x?../%00%zz\\ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?../%00%zz\\ HTTP/1.1"),
    target("empty lines before it", b"\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1"),
    Forwarded {
        with: &[b"x: \xe9\xff"],
        ..target("bytes that are not ASCII", b"GET /x HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\r\n\r\n", "GET /x HTTP/1.1")
    },
    Forwarded {
        with: &[b"keep: 1"],
        without: &["hop", "connection"],
        ..target(
            "a nominated header",
            b"GET /x HTTP/1.1\r\nHost: a\r\nHop: 1\r\nKeep: 1\r\nConnection: keep-alive, hop\r\n\r\n",
            "GET /x HTTP/1.1",
        )
    },
    Forwarded {
        without: &["a0", "j9", "connection"],
        ..target(
            "ten nominations",
            b"GET /x HTTP/1.1\r\nHost: a\r\nA0: 1\r\nJ9: 1\r\nConnection: a0,b1,c2,d3,e4,f5,g6,h7,i8,j9\r\n\r\n",
            "GET /x HTTP/1.1",
        )
    },
    Forwarded {
        without: &["te", "keep-alive", "proxy-connection", "trailer", "upgrade", "connection"],
        ..target(
            "hop-by-hop headers",
            b"GET /x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\n\
              Trailer: x\r\nUpgrade: x\r\n\r\n",
            "GET /x HTTP/1.1",
        )
    },
    Forwarded {
        without: &["upgrade", "http2-settings", "connection"],
        ..target(
            "an upgrade to h2c",
            b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
              HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            "GET /x HTTP/1.1",
        )
    },
    Forwarded {
        with: &[b"x-forwarded-for: 127.0.0.1"],
        without: &["x_forwarded_for", "x_real_ip"],
        ..target(
            "forged in underscores",
            b"GET /x HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\nX_Real_IP: 1.2.3.4\r\n\r\n",
            "GET /x HTTP/1.1",
        )
    },
    Forwarded {
        with: &[b"host: a", b"content-length: 2"],
        without: &["transfer-encoding"],
        ..target(
            "a body by length",
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nhi",
            "POST /x HTTP/1.1",
        )
    },
    Forwarded {
        with: &[b"host: a", b"transfer-encoding: chunked"],
        without: &["content-length"],
        ..target(
            "a body in chunks",
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "POST /x HTTP/1.1",
        )
    },
    Forwarded {
        with: &[b"host: a", b"content-length: 2"],
        ..target(
            "a body on HTTP/1.0",
            b"POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            "POST /x HTTP/1.1",
        )
    },
];

#[test]
fn what_is_served_reaches_the_worker_in_one_form() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let mut wrong = Vec::new();
    for case in FORWARDED {
        if let Err(problem) = forwarded(&mut edge.connect(), case) {
            wrong.push(format!("{}: {problem}", case.what));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Sends the request to a worker that echoes it; `Err` says what is wrong with what it got.
fn forwarded(client: &mut Client, case: &Forwarded) -> Result<(), String> {
    client.send(case.request);
    let response = client.try_response_to("GET").ok_or("closed without an answer")?;
    let got = response.text();
    if response.status != 200 {
        return Err(format!("{} {got}", response.status));
    }
    let (first, lines) = lines(&response.body);
    if first != case.first.as_bytes() {
        return Err(format!("{:?} instead of {:?}", first.escape_ascii(), case.first));
    }
    for line in case.with {
        if lines.iter().filter(|found| *found == line).count() != 1 {
            return Err(format!("not once {:?} in {got}", line.escape_ascii()));
        }
    }
    if let Some(name) = case.without.iter().find(|name| values(&lines, name) > 0) {
        return Err(format!("{name} in {got}"));
    }
    let once = ["host", "x-forwarded-for", "x-forwarded-proto", "x-request-id"];
    if let Some(name) = once.into_iter().find(|name| values(&lines, name) != 1) {
        return Err(format!("not one {name} in {got}"));
    }
    match values(&lines, "content-length") + values(&lines, "transfer-encoding") {
        0 | 1 => Ok(()),
        _ => Err(format!("framed twice in {got}")),
    }
}

/// The request line and the header lines of a request, without their ends.
fn lines(request: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let mut lines = request[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    (lines.next().expect("a request line"), lines.collect())
}

/// How many lines have this header, whatever the case of its letters.
fn values(lines: &[&[u8]], name: &str) -> usize {
    let has = |line: &&&[u8]| {
        let (found, rest) = line.split_at_checked(name.len()).unwrap_or_default();
        found.eq_ignore_ascii_case(name.as_bytes()) && rest.starts_with(b":")
    };
    lines.iter().filter(has).count()
}

#[test]
fn http_1_0_without_host_gives_the_worker_one_that_is_valid() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send("GET /x HTTP/1.0\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 200, "{response:?}");
    let (first, lines) = lines(&response.body);
    assert_eq!(first, b"GET /x HTTP/1.1", "the worker gets HTTP/1.1");
    assert_eq!(values(&lines, "host"), 1, "which needs a Host: {}", response.text());
    assert!(!lines.contains(&&b"host:"[..]), "that is not empty: {}", response.text());
    assert_eq!(client.rest(), b"", "the connection ends after an HTTP/1.0 response");
}

#[test]
fn http_1_0_keeps_its_connection_when_it_asks_for_it() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for _ in 0..2 {
        client.send("GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{response:?}");
        let said = response.header("connection").unwrap_or_default();
        assert!(said.eq_ignore_ascii_case("keep-alive"), "or the client would not know: {said:?}");
    }
}
