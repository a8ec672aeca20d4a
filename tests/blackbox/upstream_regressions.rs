//! What upstreams once did and must not do again: each test is one fault that was found, by what its users saw of it.

mod connecting;
mod failing;
mod private;
mod sticky;
mod waiting;

use crate::support::client::{Client, Response};
use crate::support::edge::Edge;
use crate::support::plain_worker::PlainWorker;

/// What every request has.
const HEAD: &str = "Host: test.example\r\n";

/// Sends a GET over a connection of its own, with these header lines, and waits for nothing.
fn send(edge: &Edge, target: &str, headers: &str) -> Client {
    let mut client = edge.connect();
    client.send(format!("GET {target} HTTP/1.1\r\n{HEAD}{headers}\r\n"));
    client
}

/// The header line with the affinity cookie that this response sets; empty when it sets none.
fn cookie_of(response: &Response) -> String {
    let pair = response.header("set-cookie").and_then(|line| line.split(';').next());
    pair.map(|pair| format!("Cookie: {pair}\r\n")).unwrap_or_default()
}

/// A first visit: the worker that answered it, the other one, and the header line that leads back to the first.
fn visit<'a>(
    edge: &Edge,
    team: &'a [PlainWorker; 2],
) -> (&'a PlainWorker, &'a PlainWorker, String) {
    let response = edge.connect().get("/");
    assert_eq!(response.status, 200, "{response:?}");
    let [one, two] = team;
    let (home, other) = if response.text() == one.name() { (one, two) } else { (two, one) };
    (home, other, cookie_of(&response))
}
