//! Answers that are passed on, and in which form.

use crate::support::client::Client;

use super::{After, before, check};

/// An answer, the request line to which it is given, and what the client gets of it.
struct Row {
    what: &'static str,
    method: &'static str,
    version: &'static str,
    answer: &'static [u8],
    after: After,
    status: u16,
    body: &'static str,
    with: &'static [(&'static str, &'static str)],
    without: &'static [&'static str],
}

const fn row(what: &'static str, answer: &'static [u8], body: &'static str) -> Row {
    Row {
        what,
        method: "GET",
        version: "HTTP/1.1",
        answer,
        after: After::Keep,
        status: 200,
        body,
        with: &[],
        without: &[],
    }
}

const RELAYED: &[Row] = &[
    Row {
        with: &[("content-length", "2"), ("server", "uvicorn"), ("connection", "keep-alive")],
        ..row("by length", b"HTTP/1.1 200 OK\r\nserver: uvicorn\r\ncontent-length: 2\r\n\r\nok", "ok")
    },
    Row {
        with: &[("content-length", "2")],
        ..row(
            "the same length twice",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        )
    },
    Row {
        with: &[("transfer-encoding", "chunked")],
        ..row(
            "in chunks, with extensions and trailers",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\no\r\n01\r\nk\r\n0\r\nx-trailer: y\r\n\r\n",
            "ok",
        )
    },
    Row {
        version: "HTTP/1.0",
        without: &["transfer-encoding", "content-length"],
        ..row(
            "in chunks, to HTTP/1.0",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "ok",
        )
    },
    Row {
        after: After::Close,
        with: &[("transfer-encoding", "chunked"), ("connection", "keep-alive")],
        ..row("until close", b"HTTP/1.1 200 OK\r\n\r\nok", "ok")
    },
    Row {
        after: After::Close,
        version: "HTTP/1.0",
        without: &["transfer-encoding", "content-length"],
        ..row("until close, to HTTP/1.0", b"HTTP/1.1 200 OK\r\n\r\nok", "ok")
    },
    Row {
        after: After::Close,
        with: &[("content-length", "2"), ("connection", "keep-alive")],
        ..row("HTTP/1.0 from the worker", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok")
    },
    Row {
        after: After::Close,
        with: &[("connection", "keep-alive")],
        ..row(
            "the worker closes",
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        )
    },
    Row {
        with: &[("x-stays", "1")],
        ..row(
            "hop-by-hop headers",
            b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\nproxy-connection: x\r\ntrailer: x\r\nupgrade: h2c\r\n\
              x-hop: 1\r\nx-stays: 1\r\nconnection: keep-alive, x-hop\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        )
    },
    row(
        "a request id and a date of the worker's own",
        b"HTTP/1.1 200 OK\r\nx-request-id: forged\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 2\r\n\r\nok",
        "ok",
    ),
    Row { with: &[("x", "\u{fffd}")], ..row("bytes that are not ASCII", b"HTTP/1.1 200 OK\r\nx: \xe9\r\ncontent-length: 0\r\n\r\n", "") },
    Row {
        status: 204,
        without: &["content-length", "transfer-encoding"],
        ..row("204 with a length of 0", b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", "")
    },
    Row {
        status: 204,
        without: &["content-length", "transfer-encoding"],
        ..row("204 with a body", b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok", "")
    },
    Row {
        status: 204,
        without: &["content-length", "transfer-encoding"],
        ..row("204 in chunks", b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "")
    },
    Row {
        status: 304,
        with: &[("content-length", "9"), ("etag", "\"x\"")],
        ..row("304 with a length", b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\ncontent-length: 9\r\n\r\n", "")
    },
    Row {
        method: "HEAD",
        with: &[("content-length", "9")],
        ..row("HEAD with a length", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "")
    },
    Row {
        method: "HEAD",
        ..row("HEAD in chunks", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "")
    },
    Row {
        status: 599,
        ..row("an unknown status", b"HTTP/1.1 599 Whatever\r\ncontent-length: 2\r\n\r\nok", "ok")
    },
    row("no reason phrase", b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", "ok"),
    row("an empty body", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
];

#[test]
fn answers_are_passed_on_in_one_form() {
    let (_stub, edge) = before(|number| RELAYED.get(number).map(|row| (row.answer, row.after)));
    let mut wrong = Vec::new();
    for (number, row) in RELAYED.iter().enumerate() {
        let mut client = edge.connect();
        if let Err(problem) = relayed(&mut client, number, row) {
            wrong.push(format!("{}: {problem}", row.what));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    for line in edge.access_log() {
        assert_eq!(line["edge.termination"], "ok", "the app's answer is the app's: {line}");
    }
}

fn relayed(client: &mut Client, number: usize, row: &Row) -> Result<(), String> {
    client.send(format!("{} /{number} {}\r\nHost: a\r\n\r\n", row.method, row.version));
    let response = client.try_response_to(row.method).ok_or("closed without an answer")?;
    if (response.status, response.text().as_str(), response.complete)
        != (row.status, row.body, true)
    {
        return Err(format!("{response:?}"));
    }
    check(row.what, &response);
    let id = response.header("x-request-id").unwrap_or_default();
    if id == "forged" {
        return Err("the worker's request id".to_owned());
    }
    for (name, value) in row.with {
        if response.header(name).is_none_or(|found| !found.eq_ignore_ascii_case(value)) {
            return Err(format!("not {name}: {value} in {:?}", response.headers));
        }
    }
    if let Some(name) = row.without.iter().find(|name| response.header(name).is_some()) {
        return Err(format!("{name} in {:?}", response.headers));
    }
    if row.version == "HTTP/1.0" {
        let rest = client.rest();
        return rest.is_empty().then_some(()).ok_or(format!("and then {}", rest.escape_ascii()));
    }
    // The connection is where the client thinks it is.
    let next = client.get("/control").text();
    (next == "control").then_some(()).ok_or(format!("and then {next:?}"))
}

#[test]
fn informational_responses_are_passed_on_to_http_1_1() {
    const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nkeep-alive: x\r\n\r\n\
        HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let (_stub, edge) = before(|_| Some((HINTS, After::Keep)));
    let mut client = edge.connect();
    client.send("GET /0 HTTP/1.1\r\nHost: a\r\n\r\n");
    let hints = client.response();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a.css>")), "{hints:?}");
    assert_eq!(hints.header("keep-alive"), None, "hop by hop: {hints:?}");
    assert_eq!(client.response().status, 102, "the second one");
    let last = client.response();
    assert_eq!((last.status, last.text().as_str()), (200, "ok"), "{last:?}");
    assert_eq!(last.header("connection"), Some("keep-alive"), "{last:?}");

    let mut client = edge.connect();
    client.send("GET /0 HTTP/1.0\r\nHost: a\r\n\r\n");
    let only = client.response();
    assert_eq!((only.status, only.text().as_str()), (200, "ok"), "HTTP/1.0 has no 1xx: {only:?}");
    assert_eq!(
        edge.wait_for_log(2)[0]["http.response.status_code"],
        200,
        "logged is the final status"
    );
}
