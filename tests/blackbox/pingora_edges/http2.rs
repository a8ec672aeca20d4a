//! Edges that an HTTP/2 client can meet.

use crate::support::edge::Edge;
use crate::support::http2;
use crate::support::stub::Stub;
use crate::support::uvicorn::Uvicorn;

/// Uploads without a length, each ended in another way.
const UPLOADS: &str = r#"
answers = []
for n in range(20):
    stream = c.open("POST", f"/upload?n={n}", end=False)
    if n % 4 == 0:            # an empty frame that ends the stream
        c.data(stream, b"hello"); c.data(stream, b"", end=True)
    elif n % 4 == 1:          # the last data ends the stream
        c.data(stream, b"hello", end=True)
    elif n % 4 == 2:          # empty frames everywhere
        c.data(stream, b""); c.data(stream, b"hello"); c.data(stream, b""); c.data(stream, b"", end=True)
    else:                     # trailers end the stream
        c.data(stream, b"hello"); c.engine.send_headers(stream, [("x-trailer", "y")], end_stream=True); c.flush()
    answer = c.answer(stream)
    answers.append([answer["status"], answer["body"]])
tell(answers)
"#;

#[test]
fn edge_02_an_http2_upload_without_a_length_ends_once() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let answers = http2::run(edge.address(), UPLOADS);
    assert_eq!(stub.accepted(), 1, "no request breaks the connection for the next: {answers}");
    let received = stub.received(0);
    assert_eq!(received.matches("POST /upload?n=").count(), 20, "{received}");
    assert_eq!(
        received.matches("\r\n5\r\nhello\r\n0\r\n\r\n").count(),
        20,
        "the body, once: {received}"
    );
    assert_eq!(received.matches("0\r\n\r\n").count(), 20, "one end for each: {received}");
    assert_eq!(received.matches("x-trailer").count(), 0, "trailers end here: {received}");
    for answer in answers.as_array().expect("answers") {
        assert_eq!(answer[0], 200, "{answers}");
    }
}

#[test]
fn edge_02_uvicorn_takes_one_http2_upload_after_the_other() {
    for parser in ["httptools", "h11"] {
        let uvicorn = Uvicorn::start(&["--http", parser]);
        let edge = Edge::before(&[uvicorn.address()], "");
        let answers = http2::run(edge.address(), UPLOADS);
        for answer in answers.as_array().expect("answers") {
            assert_eq!(answer[0], 200, "{parser}: {answers}");
            let body = answer[1].as_str().unwrap_or_default();
            assert!(body.contains("\"bytes\":5"), "{parser}: the app read it whole: {body}");
        }
    }
}

#[test]
fn edge_08_http2_requests_are_normalised_too() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let answers = http2::run(
        edge.address(),
        r#"
def answer(fields, end=True):
    global c
    stream = c.send(fields, end)
    found = c.answer(stream)
    if c.ended:
        c = Http2(int(sys.argv[1]))
    return [found["status"], found["body"], found["end"]]

def fields(path="/x", host="test.example", method="GET", more=()):
    named = [] if host is None else [(":authority", host)]
    return [(":method", method), (":scheme", "http"), (":path", path)] + named + list(more)

tell({
    "plain": answer(fields("/a?b")),
    "dots": answer(fields("/a/../b")),
    "host only": answer(fields(host=None, more=[("host", "test.example")])),
    "host and authority agree": answer(fields(more=[("host", "test.example")])),
    "te": answer(fields(more=[("te", "trailers")])),
    "forged": answer(fields(more=[("x-forwarded-for", "1.2.3.4"), ("x_forwarded_for", "1.2.3.4")])),
    "no authority": answer(fields(host=None)),
    "empty authority": answer(fields(host="")),
    "userinfo": answer(fields(host="u@test.example")),
    "host differs": answer(fields(more=[("host", "other.example")])),
    "two hosts": answer(fields(host=None, more=[("host", "a"), ("host", "b")])),
    "asterisk": answer(fields("*")),
    "nul": answer(fields("/%00")),
    "backslash": answer(fields("/a\\b")),
    "connection": answer(fields(more=[("connection", "close")])),
    "chunked": answer(fields(more=[("transfer-encoding", "chunked")])),
    "length too small": answer(fields(method="POST", more=[("content-length", "5")])),
    "two lengths": answer(fields(method="POST", more=[("content-length", "0"), ("content-length", "5")])),
    "space in a name": answer(fields(more=[("x y", "z")])),
    "line end in a value": answer(fields(more=[("x", "y\r\nz: 1")])),
    "upper case": answer(fields(more=[("X-Upper", "y")])),
    "connect": answer([(":method", "CONNECT"), (":authority", "a:80")]),
    "extended connect": answer([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                (":path", "/ws"), (":authority", "test.example")], end=False),
    "after all": answer(fields("/last")),
})
"#,
    );
    let of = |what: &str| (&answers[what][0], answers[what][1].as_str().unwrap_or_default());
    for (what, first) in [
        ("plain", "GET /a?b HTTP/1.1\r\n"),
        ("dots", "GET /b HTTP/1.1\r\n"),
        ("host only", "GET /x HTTP/1.1\r\n"),
        ("host and authority agree", "GET /x HTTP/1.1\r\n"),
        ("te", "GET /x HTTP/1.1\r\n"),
        ("forged", "GET /x HTTP/1.1\r\n"),
        ("after all", "GET /last HTTP/1.1\r\n"),
    ] {
        let (status, body) = of(what);
        assert_eq!(*status, 200, "{what}: {:?}", answers[what]);
        assert!(body.starts_with(first), "{what}: {body}");
        assert_eq!(
            body.matches("\r\nhost: test.example\r\n").count(),
            1,
            "{what}: one Host: {body}"
        );
        assert!(!body.contains("\r\nte:") && !body.contains("1.2.3.4"), "{what}: {body}");
    }
    for what in [
        "no authority",
        "empty authority",
        "userinfo",
        "host differs",
        "two hosts",
        "asterisk",
        "nul",
        "backslash",
        "connection",
        "chunked",
        "length too small",
        "two lengths",
        "space in a name",
        "line end in a value",
        "upper case",
        "connect",
        "extended connect",
    ] {
        let (status, body) = of(what);
        let refused = status.is_null() || *status == 400 || *status == 405;
        assert!(refused, "{what} is refused, or its stream reset: {:?}", answers[what]);
        assert!(
            !body.starts_with("GET") && !body.starts_with("POST"),
            "{what}: not by the worker: {body}"
        );
    }
    assert!(!edge.stderr_text().contains("panicked"), "{}", edge.stderr_text());
}

#[test]
fn edge_08_cookies_that_http2_split_are_one_line_again() {
    let stub = Stub::echoing();
    let edge = Edge::before(&[stub.address()], "");
    let body = http2::run(
        edge.address(),
        "cookies = [('cookie', 'a=1'), ('cookie', 'b=2'), ('x', 'y'), ('cookie', 'c=3')]\n\
         tell(c.answer(c.open('GET', '/', cookies))['body'])",
    );
    let body = body.as_str().unwrap_or_default();
    let one = "\r\ncookie: a=1; b=2; c=3\r\n";
    assert!(body.contains(one), "RFC 9113 §8.2.3: {body}");
    assert_eq!(body.matches("cookie").count(), 1, "in one line: {body}");
}

#[test]
fn edge_16_http2_connections_have_limits_and_their_uploads_deadlines() {
    let stub = Stub::ok();
    let routes = "  - { upstream: u, timeouts: { request_body: 300ms } }";
    let edge = Edge::before(&[stub.address()], routes);
    let answers = http2::run(
        edge.address(),
        r#"
stream = c.open("POST", "/", end=False)
c.data(stream, b"part")
begun = time.monotonic()
answer = c.answer(stream)
tell({"settings": c.settings, "status": answer["status"], "seconds": time.monotonic() - begun,
      "next": c.answer(c.open("GET", "/"))["status"]})
"#,
    );
    assert_eq!(answers["status"], 408, "an upload that stalls: {answers}");
    assert!(answers["seconds"].as_f64().is_some_and(|seconds| seconds < 5.0), "in time: {answers}");
    assert_eq!(answers["next"], 200, "its connection is not ended with it: {answers}");
    // SETTINGS_MAX_CONCURRENT_STREAMS and SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 §6.5.2): unlimited unless said.
    for (what, number, most) in [("streams", "3", 1000), ("header list", "6", 1 << 20)] {
        let limit = answers["settings"][number].as_u64();
        assert!(limit.is_some_and(|limit| limit <= most), "{what}: {answers}");
    }
    let lines = edge.wait_for_log(2);
    let line = lines.iter().find(|line| line["http.response.status_code"] == 408);
    assert_eq!(line.expect("its line")["edge.termination"], "client_timeout", "{lines:#?}");
}

#[test]
fn edge_16_streams_that_are_opened_and_reset_do_not_pile_up() {
    let stub = Stub::start(|mut accepted| {
        while accepted.request().is_some() {
            accepted.wait_for_fin();
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    // Rapid reset (CVE-2023-44487).
    let opened = http2::run(
        edge.address(),
        r#"
count = 0
try:
    while count < 2000 and not c.ended:
        stream = c.engine.get_next_available_stream_id()
        c.streams[stream] = {}
        c.engine.send_headers(stream, [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")], end_stream=True)
        c.engine.reset_stream(stream, error_code=8)
        c.flush()
        count += 1
except Exception:
    pass
c.socket.close()
tell(count)
"#,
    );
    assert!(opened.as_u64().is_some_and(|opened| opened > 0), "some were opened: {opened}");
    edge.wait_for_metric(r#"asgate_requests_in_flight{upstream="u"}"#, 0.0);
    assert!(!edge.stderr_text().contains("panicked"), "{}", edge.stderr_text());
    let answer = http2::run(edge.address(), "tell(c.answer(c.open('GET', '/%00'))['status'])");
    assert_eq!(answer, 400, "it still serves");
}
