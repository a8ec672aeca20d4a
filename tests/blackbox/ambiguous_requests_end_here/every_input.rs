//! One input after the other.

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

use super::{Forwarded, id};

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    /// Answered with this status, and the connection is closed; the worker gets nothing.
    Refused(u16),
    /// The worker gets this.
    Forwarded(Forwarded),
    /// Answered with 400 when the worker has the beginning of it, which is never completed.
    BrokenOff,
}

use Fate::{BrokenOff, Refused};

type Row = (&'static str, &'static [u8], Fate);

const fn get(first: &'static str) -> Fate {
    Fate::Forwarded(Forwarded::get(first))
}

/// A GET of `/x` with these lines of the client at the worker.
const fn lines(own: &'static str) -> Fate {
    Fate::Forwarded(Forwarded { own, ..Forwarded::get("GET /x HTTP/1.1") })
}

const fn post(framing: &'static str, body: &'static str) -> Fate {
    Fate::Forwarded(Forwarded::post(framing, body))
}

const CHUNKED: &str = "transfer-encoding: chunked";
/// How the edge writes a body of two bytes.
const HI: &str = "2\r\nhi\r\n0\r\n\r\n";

const ROWS: &[Row] = &[
    ("no Host", b"GET /x HTTP/1.1\r\n\r\n", Refused(400)),
    ("an empty Host", b"GET /x HTTP/1.1\r\nHost:\r\n\r\n", Refused(400)),
    ("garbage in Host", b"GET /x HTTP/1.1\r\nHost: a b<>\r\n\r\n", Refused(400)),
    ("a path in Host", b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused(400)),
    ("two Hosts", b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refused(400)),
    ("the same Host twice", b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refused(400)),
    ("absolute form", b"GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", get("GET /x?y HTTP/1.1")),
    ("absolute form, other host", b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("absolute form, no Host", b"GET http://a/x HTTP/1.1\r\n\r\n", Refused(400)),
    ("authority form", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("asterisk form", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Refused(405)),
    ("TRACE", b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
    ("a method in lower case", b"get /x HTTP/1.1\r\nHost: a\r\n\r\n", get("get /x HTTP/1.1")),
    (
        "length and chunked",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "the same length twice",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        Refused(400),
    ),
    (
        "a list of lengths",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nhi",
        Refused(400),
    ),
    (
        "two lengths",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhix",
        Refused(400),
    ),
    (
        "a signed length",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nhi",
        Refused(400),
    ),
    (
        "another coding before chunked",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "chunked twice",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "xchunked",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "chunked on HTTP/1.0",
        b"POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        Refused(400),
    ),
    ("bare line feeds", b"GET /x HTTP/1.1\nHost: a\n\n", Refused(400)),
    ("obs-fold", b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", Refused(400)),
    ("space before the colon", b"GET /x HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", Refused(400)),
    ("NUL in a value", b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Refused(400)),
    ("CR in a value", b"GET /x HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Refused(400)),
    (
        "bytes that are not ASCII in a value",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\r\n\r\n",
        lines("host: a\r\nx: \u{e9}\u{ff}\r\n"),
    ),
    ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("a control in the target", b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("raw UTF-8 in the target", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", get("GET /%C3%A9 HTTP/1.1")),
    ("a fragment", b"GET /a#frag HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("dots and a backslash", b"GET /a/../b\\c HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("dots", b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", get("GET /b HTTP/1.1")),
    ("two slashes", b"GET //evil HTTP/1.1\r\nHost: a\r\n\r\n", get("GET //evil HTTP/1.1")),
    ("an encoded NUL", b"GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("encoded dots", b"GET /a/%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n", get("GET /b HTTP/1.1")),
    ("encoded dots above the root", b"GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    (
        "HTTP/1.0 without Host",
        b"GET /x HTTP/1.0\r\n\r\n",
        Fate::Forwarded(Forwarded {
            own: "host: WORKER\r\n",
            host: None,
            ..Forwarded::get("GET /x HTTP/1.1")
        }),
    ),
    ("HTTP/0.9", b"GET /x\r\n\r\n", Refused(400)),
    ("HTTP/1.2", b"GET /x HTTP/1.2\r\nHost: a\r\n\r\n", Refused(400)),
    ("an empty line before", b"\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", get("GET /x HTTP/1.1")),
    (
        "Connection names X-Forwarded-For",
        b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For\r\n\r\n",
        Refused(400),
    ),
    (
        "Connection names another header",
        b"GET /x HTTP/1.1\r\nHost: a\r\nHop: 1\r\nKeep: 1\r\nConnection: hop\r\n\r\n",
        lines("host: a\r\nkeep: 1\r\n"),
    ),
    (
        "a forged address in underscores",
        b"GET /x HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n",
        lines("host: a\r\n"),
    ),
    (
        "a body by length",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 02\r\n\r\nhi",
        post("content-length: 2", "hi"),
    ),
    (
        "extensions of chunks",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0;c\r\n\r\n",
        post(CHUNKED, HI),
    ),
    (
        "trailers",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
        post(CHUNKED, HI),
    ),
    (
        "bare line feeds in chunks",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nhi\n0\n\n",
        BrokenOff,
    ),
    (
        "0x before the size of a chunk",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n",
        BrokenOff,
    ),
];

#[test]
fn each_input_has_its_fate() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let (mut wrong, mut apart) = (Vec::new(), 0);
    for (what, request, fate) in ROWS {
        let met = if let BrokenOff = fate {
            // A worker of its own: what it got of the broken request must not be taken for another's.
            apart += 1;
            let stub = Stub::echoing();
            meets(&Edge::before(&[stub.address()], ""), &stub, request, *fate)
        } else {
            meets(&edge, &stub, request, *fate)
        };
        if let Err(problem) = met {
            wrong.push(format!("{what}: {problem}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // Whatever it was, it is in the log, once.
    edge.wait_for_log(ROWS.len() - apart);
}

/// `Err` says what is wrong with the answer to a request or with what the worker got of it.
fn meets(edge: &Edge, stub: &Stub, request: &[u8], fate: Fate) -> Result<(), String> {
    let before = stub.received_in_all().len();
    let mut client = edge.connect();
    client.send(request);
    let response = client.try_response_to("GET").ok_or("closed without an answer")?;
    match fate {
        Refused(status) => {
            refused(&mut client, &response, status)?;
            let got = stub.received_in_all();
            if got.len() == before {
                Ok(())
            } else {
                Err(format!("the worker got {:?}", &got[before..]))
            }
        }
        BrokenOff => {
            refused(&mut client, &response, 400)?;
            let got = stub.received_in_all()[before..].to_owned();
            if got.contains("0\r\n\r\n") { Err(format!("as if whole: {got:?}")) } else { Ok(()) }
        }
        Fate::Forwarded(expected) => {
            if response.status != 200 {
                return Err(format!("{response:?}"));
            }
            let expected = expected.bytes(edge.address(), id(&response), stub.address());
            if response.body == expected {
                return Ok(());
            }
            let [got, expected] =
                [&response.body, &expected].map(|it| it.escape_ascii().to_string());
            Err(format!("the worker got\n    {got}\n  instead of\n    {expected}"))
        }
    }
}

fn refused(
    client: &mut Client,
    response: &crate::support::client::Response,
    status: u16,
) -> Result<(), String> {
    if response.status != status || response.header("connection") != Some("close") {
        return Err(format!("not {status} with close: {response:?}"));
    }
    let rest = client.rest();
    if rest.is_empty() { Ok(()) } else { Err(format!("and then {}", rest.escape_ascii())) }
}

/// Inputs whose size is what is wrong with them.
#[test]
fn each_size_has_its_limit() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    for (what, request, status) in [
        (
            "a target of 70 KiB",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)),
            414,
        ),
        ("256 fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(255)), 431),
        ("257 fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(256)), 431),
        (
            "a header of 900 KB",
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(900_000)),
            431,
        ),
    ] {
        let mut client = edge.connect();
        client.try_send(request);
        assert_eq!(client.response().status, status, "{what}");
    }
    assert_eq!(stub.accepted(), 0, "the worker never hears of it");
}
