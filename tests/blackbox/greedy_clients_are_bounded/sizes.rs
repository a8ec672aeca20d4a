//! Limits of a request over HTTP/2, to the byte. Those of HTTP/1.1, by length and in chunks, are in
//! `limits_hold::at_the_limit`.

use crate::support::edge::Edge;
use crate::support::http2;
use crate::support::stub::Stub;

const ROUTES: &str = "  \
    - { match: { path: /header }, upstream: u, limits: { header: 1KiB } }\n  \
    - { match: { path: /count }, upstream: u, limits: { headers: 10 } }\n  \
    - { match: { path: /uri }, upstream: u, limits: { uri: 100B } }\n  \
    - { match: { path: /body }, upstream: u, limits: { body: 1000B } }\n  \
    - { upstream: u }";

/// Asks with a growing size, and tells the statuses around the place where they change.
const SCRIPT: &str = r#"
def body(path, size, length):
    headers = [("content-length", str(size))] if length else []
    stream = c.open("POST", path, headers, end=False)
    sent = 0
    while sent < size and c.streams[stream]["end"] is None:
        c.data(stream, b"b" * min(333, size - sent))
        sent += 333
    try:
        c.data(stream, b"", end=True)
    except h2.exceptions.ProtocolError:
        pass  # refused in the meantime
    return c.answer(stream)["status"]

def get(path, headers=()):
    return c.answer(c.open("GET", path, headers))["status"]

def last_served(ask, low, high):
    """The largest size that is served, if all up to it are and none above it is."""
    assert ask(low) == 200, (low, "is served")
    assert ask(high) != 200, (high, "is not served")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if ask(middle) == 200 else (low, middle)
    around = [ask(size) for size in (low - 1, low, low + 1)]
    return {"size": low, "around": around}

tell({
    "uri": last_served(lambda size: get("/uri/" + "x" * (size - 5)), 50, 200),
    "default uri": last_served(lambda size: get("/x/" + "x" * (size - 3)), 8000, 8300),
    "body": last_served(lambda size: body("/body", size, False), 900, 1100),
    "length": last_served(lambda size: body("/body", size, True), 900, 1100),
    "lines": last_served(lambda count: get("/count", [("x", "y")] * count), 5, 20),
    "default lines": last_served(lambda count: get("/x", [("x", "y")] * count), 90, 110),
    "header": last_served(lambda size: get("/header", [("x", "y" * size)]), 500, 1500),
})
"#;

#[test]
fn limits_are_met_to_the_byte() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], ROUTES);
    let answers = http2::run(edge.address(), SCRIPT);
    // Pseudo-header fields are the request line of HTTP/1.1; whether `:authority` is a line as `Host` is one is not said.
    for (what, sizes, refused) in [
        ("uri", 100..=100, 414),
        ("default uri", 8192..=8192, 414),
        ("body", 1000..=1000, 413),
        ("length", 1000..=1000, 413),
        ("lines", 9..=10, 431),
        ("default lines", 99..=100, 431),
        // The rest is what else there is in the header block.
        ("header", 900..=1023, 431),
    ] {
        let found = &answers[what];
        let size = found["size"].as_u64().expect("a size");
        assert!(sizes.contains(&size), "{what}: {size} is the most, not one of {sizes:?}");
        let around = serde_json::json!([200, 200, refused]);
        assert_eq!(found["around"], around, "{what}, around {size}");
    }
}
