//! A request that reaches a worker is answered as the worker answers it.

use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::uvicorn::Uvicorn;

#[test]
fn a_request_goes_to_the_worker_and_its_answer_comes_back() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    for _ in 0..3 {
        let response = client.get("/a?b=c");
        assert_eq!((response.status, response.text().as_str()), (200, "ok"), "the worker's answer");
    }
    assert_eq!(stub.accepted(), 1, "the worker's connection is used again");
    assert!(stub.received(0).starts_with("GET /a?b=c HTTP/1.1\r\n"), "{}", stub.received(0));
    let lines = edge.wait_for_log(3);
    assert_eq!(lines[0]["edge.termination"], "ok", "{lines:#?}");
    let series = r#"asgate_requests_total{code="200",method="GET",route="route-1"}"#;
    edge.wait_for_metric(series, 3.0);
    assert!(edge.stop().success(), "exit code 0 after a graceful stop");
}

#[test]
fn real_uvicorn_answers_with_either_parser() {
    for http in ["httptools", "h11"] {
        let uvicorn = Uvicorn::start(&["--http", http]);
        let edge = Edge::before(&[uvicorn.address()], "");
        let response = edge.connect().get("/items/3");
        assert_eq!(response.status, 200, "{http}: {response:?}");
        assert_eq!(response.json()["item_id"], 3, "{http}: {response:?}");
    }
}
