//! An answer that does not wait for the body of its request.

use crate::support::pool::Pool;
use crate::support::stub::Stub;

/// An app may answer before it reads, and this worker does not even wait for the head. A body that came with the head is
/// no less there for that: its client need not lose the connection.
#[test]
fn an_early_answer_to_a_small_body_costs_no_connection() {
    let stub = Stub::start(|mut accepted| {
        accepted.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        accepted.wait_for_fin();
    });
    let edge = Pool::with("connections: { reuse: never }").before(&[stub.address()]);
    let mut client = edge.connect();
    for round in 0..200 {
        let response = client.post("/", "body");
        assert_eq!(response.text(), "ok", "round {round}");
        assert_ne!(response.header("connection"), Some("close"), "round {round}");
    }
}
