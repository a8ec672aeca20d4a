//! What becomes of requests that are under way on a worker when it is replaced.

use std::time::{Duration, Instant};

use crate::support::held::wait_until_gone;
use crate::support::status::{Upstream, wait_for_upstream, wait_until_settled};
use crate::support::uvicorn::run_python;
use crate::support::workers::{edge, operate, said, uvicorn_app};

/// Reads whole events until there are none, and tells when each came.
fn events(
    edge: &crate::support::edge::Edge,
    count: u32,
    interval: f32,
) -> crate::support::client::Client {
    let mut client = edge.connect();
    let target = format!("/events?count={count}&interval={interval}");
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test.example\r\n\r\n"));
    assert_eq!(client.head().expect("a head").0, 200, "the stream begins");
    assert!(client.chunk().is_some(), "the first event");
    client
}

#[test]
fn a_stream_runs_to_its_end() {
    let edge = edge(&uvicorn_app("workers: 1, stop_timeout: 60s"), "slow_start: off");
    let old = wait_until_settled(&edge).pids()[0];
    // Longer than the start of a worker takes on a busy machine.
    let mut client = events(&edge, 50, 0.2);
    std::thread::scope(|scope| {
        let roll = scope.spawn(|| operate(&edge, &["restart", "u"]));
        let moved = wait_for_upstream(&edge, "the new generation beside the old one", |upstream| {
            upstream.workers[0].leaving == [old] && upstream.in_rotation() == 1
        });
        assert_ne!(moved.pids(), [old], "requests go to the new one: {moved:#?}");
        let mut rest = Vec::new();
        while let Some(data) = client.chunk().filter(|data| !data.is_empty()) {
            rest.extend(data);
        }
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(rest.contains("id: 49\n"), "the last event: {rest}");
        assert_eq!(
            rest.matches(&format!("data: {old}\n")).count(),
            49,
            "all from the old one: {rest}"
        );
        let output = roll.join().expect("a status");
        assert!(output.status.success(), "{}", said(&output));
    });
    wait_until_gone("the old worker", &[old]);
    assert_eq!(edge.only_log_line()["edge.termination"], "ok", "{:#}", edge.only_log_line());
}

/// The control for the one above: longer than `stop_timeout` nobody is waited for, and the client learns that the stream
/// is not whole.
#[test]
fn a_stream_longer_than_stop_timeout_is_cut_and_not_ended() {
    let edge = edge(&uvicorn_app("workers: 1, stop_timeout: 1s"), "slow_start: off");
    let old = wait_until_settled(&edge).pids()[0];
    let mut client = events(&edge, 1000, 0.1);
    let begun = Instant::now();
    let output = operate(&edge, &["restart", "u"]);
    assert!(output.status.success(), "{}", said(&output));
    let last = loop {
        match client.chunk() {
            Some(data) if !data.is_empty() => {}
            end => break end,
        }
    };
    assert_eq!(last, None, "broken off, not ended as if whole");
    assert!(
        begun.elapsed() > Duration::from_millis(900),
        "not before its time: {:?}",
        begun.elapsed()
    );
    assert!(begun.elapsed() < Duration::from_secs(30), "and not long after: {:?}", begun.elapsed());
    wait_until_gone("the old worker", &[old]);
    let line = edge.only_log_line();
    assert_eq!(line["edge.response_aborted"], true, "{line:#}");
}

/// A WebSocket tells its client to come again: 1012, "service restart" (RFC 6455 section 7.4, IANA registry).
#[test]
fn a_websocket_is_closed_with_1012() {
    let edge = edge(&uvicorn_app("workers: 1, stop_timeout: 15s"), "slow_start: off");
    let old = wait_until_settled(&edge).pids()[0];
    let script = r#"
import subprocess, sys
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed
address, *restart = sys.argv[1:]
with connect(f"ws://{address}/ws", compression=None) as ws:
    ws.send("before")
    assert ws.recv() == "before"
    subprocess.run(restart, check=True, stdout=sys.stderr)
    try:
        ws.recv(timeout=60)
    except ConnectionClosed as closed:
        print(closed.rcvd.code if closed.rcvd else "abnormal")
with connect(f"ws://{address}/ws", compression=None) as ws:
    ws.send("after")
    print(ws.recv())
"#;
    let (address, admin) = (edge.address().to_string(), edge.admin().to_string());
    let restart = [&address, env!("CARGO_BIN_EXE_asgate"), "restart", "u", "--admin", &admin];
    let output = run_python(script, &restart);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1012\nafter\n", "as the client saw it");
    wait_until_gone("the old worker", &[old]);
    assert_eq!(Upstream::of(&edge).restarts_for("restart"), 1, "rolled once");
}
