//! The same limits for HTTP/2.

use crate::support::edge::Edge;
use crate::support::http2;
use crate::support::stub::Stub;

use super::ROUTES;

#[test]
fn limits_hold_for_http2() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let answers = http2::run(
        edge.address(),
        r#"
def body(path, size, length=None, piece=250):
    headers = [("content-length", str(length))] if length is not None else []
    stream = c.open("POST", path, headers, end=False)
    sent = 0
    while sent < size and c.streams[stream]["end"] is None:
        c.data(stream, b"b" * min(piece, size - sent))
        sent += piece
    try:
        c.data(stream, b"", end=True)
    except h2.exceptions.ProtocolError:
        pass  # refused in the meantime
    return c.answer(stream)["status"]

def lines(count):
    return [("x", "y")] * count

answers = {
    "length 999": body("/body", 999, 999), "length 1000": body("/body", 1000, 1000), "length 1001": body("/body", 1001, 1001),
    "stream 999": body("/body", 999), "stream 1000": body("/body", 1000), "stream 1001": body("/body", 1001),
    "none 0": body("/none", 0), "none 1": body("/none", 1),
    "uri 100": c.answer(c.open("GET", "/uri/" + "x" * 95))["status"],
    "uri 101": c.answer(c.open("GET", "/uri/" + "x" * 96))["status"],
    "few lines": c.answer(c.open("GET", "/count", lines(8)))["status"],
    "many lines": c.answer(c.open("GET", "/count", lines(11)))["status"],
    "small header": c.answer(c.open("GET", "/header", [("x", "y" * 800)]))["status"],
    "large header": c.answer(c.open("GET", "/header", [("x", "y" * 1100)]))["status"],
}
tell(answers)
"#,
    );
    for (what, status) in [
        ("length 999", 200),
        ("length 1000", 200),
        ("length 1001", 413),
        ("stream 999", 200),
        ("stream 1000", 200),
        ("stream 1001", 413),
        ("none 0", 200),
        ("none 1", 413),
        ("uri 100", 200),
        ("uri 101", 414),
        ("few lines", 200),
        ("many lines", 431),
        ("small header", 200),
        ("large header", 431),
    ] {
        assert_eq!(answers[what], status, "{what}: {answers:#}");
    }
    edge.wait_for_log(14);
}
