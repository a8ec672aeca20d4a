//! Whatever a worker answers, a client gets one response with one meaning, whole or visibly broken off, and nothing of it
//! leaks into the next one.

mod connections;
mod refused;
mod relayed;

use crate::support::client::Response;
use crate::support::edge::Edge;
use crate::support::stub::Stub;

/// A worker that answers `/3` with the fourth of `answers`, and then closes where `closes` says so, and an edge.
fn before(
    answers: impl Fn(usize) -> Option<(&'static [u8], After)> + Send + Sync + 'static,
) -> (Stub, Edge) {
    let stub = Stub::start(move |mut accepted| {
        while let Some(request) = accepted.request() {
            let number = request.split(['/', ' ', '?']).nth(2).and_then(|text| text.parse().ok());
            let Some((answer, after)) = number.and_then(&answers) else {
                accepted.send("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ncontrol");
                continue;
            };
            accepted.send(answer);
            match after {
                After::Keep => {}
                After::Close => return accepted.close(),
                After::Reset => return accepted.reset(),
            }
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    (stub, edge)
}

/// What the worker does with its connection after its answer.
#[derive(Clone, Copy)]
enum After {
    Keep,
    Close,
    Reset,
}

/// Checks what holds for every response, the edge's own included.
fn check(what: &str, response: &Response) {
    let count = |name: &str| response.headers.iter().filter(|(found, _)| found == name).count();
    for name in ["x-request-id", "date"] {
        assert_eq!(count(name), 1, "{what}: one {name}: {response:?}");
    }
    let framed = count("content-length") + count("transfer-encoding");
    assert!(framed <= 1, "{what}: framed once: {response:?}");
    assert!(count("server") <= 1, "{what}: one Server at most: {response:?}");
    let server = response.header("server").unwrap_or_default().to_lowercase();
    assert!(!server.contains("pingora"), "{what}: names the engine: {response:?}");
    for name in ["keep-alive", "proxy-connection", "te", "trailer", "upgrade", "x-hop"] {
        assert_eq!(count(name), 0, "{what}: {name} was for the edge: {response:?}");
    }
}
