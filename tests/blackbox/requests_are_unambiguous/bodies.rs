//! Bodies that nobody reads, because asgate answers by itself: they are still no requests.

use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::uvicorn::free_address;

/// Looks like a request, and is what is uploaded.
const BODY: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

/// An edge that answers by itself under every path but `/next`.
fn edge(stub: &Stub) -> Edge {
    Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\n\
         upstreams:\n  u: {{ servers: [{{ address: \"{}\" }}] }}\n  dead: {{ servers: [{{ address: \"{}\" }}] }}\n\
         routes:\n  - {{ match: {{ path: =/next }}, upstream: u }}\n  \
         - {{ match: {{ path: /smuggled }}, upstream: u }}\n  \
         - {{ match: {{ path: =/fixed }}, respond: {{ body: fixed }} }}\n  \
         - {{ match: {{ path: =/moved }}, redirect: {{ to: /elsewhere }} }}\n  \
         - {{ match: {{ path: =/dead }}, upstream: dead }}\n",
        stub.address(),
        free_address()
    ))
}

const ANSWERS: [(&str, u16); 4] =
    [("/fixed", 200), ("/moved", 308), ("/nowhere", 404), ("/dead", 502)];

#[test]
fn a_body_that_nobody_reads_is_not_the_next_request() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    let framed = [
        format!("Content-Length: {}\r\n\r\n{BODY}", BODY.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
    ];
    for (path, status) in ANSWERS {
        for framed in &framed {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n");
            // All at once, and the body only when the answer is there.
            for split in [None, framed.find("GET")] {
                let what = format!("{head}{framed}, split at {split:?}");
                let mut client = edge.connect();
                let (now, later) = framed.split_at(split.unwrap_or(framed.len()));
                client.send(format!("{head}{now}"));
                let mut response = None;
                if split.is_some() && !client.is_quiet_for(std::time::Duration::from_millis(50)) {
                    response = client.try_response_to("POST");
                }
                client.try_send(format!("{later}{NEXT}"));
                let response = response.unwrap_or_else(|| client.response_to("POST"));
                assert_eq!(response.status, status, "{what}: {response:?}");
                // The next request is served, or the connection is closed: nothing else was a request.
                match client.try_response_to("GET") {
                    Some(next) => {
                        assert_eq!((next.status, next.text().as_str()), (200, "ok"), "{what}")
                    }
                    None => assert_eq!(
                        response.header("connection"),
                        Some("close"),
                        "{what}: it says so"
                    ),
                }
            }
        }
    }
    let received = stub.received_in_all();
    assert!(!received.contains("/smuggled"), "a body was taken for a request: {received}");
    let smuggled = edge.access_log().iter().any(|line| line["url.path"] == "/smuggled");
    assert!(!smuggled, "a body was logged as a request: {:#?}", edge.access_log());
    assert_eq!(
        edge.connect().get("/smuggled").status,
        200,
        "as a request it would have been served"
    );
}

#[test]
fn head_is_answered_without_a_body() {
    let stub = Stub::ok();
    let edge = edge(&stub);
    let mut client = edge.connect();
    for (path, status) in ANSWERS {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.response_to("HEAD");
        assert_eq!(response.status, status, "{path}: {response:?}");
        let next = client.get("/next");
        assert_eq!((next.status, next.text().as_str()), (200, "ok"), "after HEAD {path}");
    }
}
