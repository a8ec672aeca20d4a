//! As many open files as the system lets asgate have, and never all of them for clients.

use serde_json::json;

use super::told;
use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::programs;
use crate::support::status::wait_until_settled;
use crate::support::stub::Stub;
use crate::support::uvicorn::{python, test_app};
use crate::support::wait_for;

const WARNING: &str = "for want of open files";

/// Soft and hard limit of open files of a process.
fn open_files(pid: u32) -> (u64, u64) {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("its limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut numbers = line.into_iter().flat_map(str::split_whitespace).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok);
    next().zip(next()).unwrap_or_else(|| panic!("no open files in {limits}"))
}

/// Programs that use select(2) can have no more than a low soft limit; an app may, and must not be given another.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn asgate_takes_what_it_may_have_and_its_workers_what_they_would_have_had() {
    if programs::find("prlimit").is_none() {
        return;
    }
    let config = format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {{ app: {{ asgi: \"worker_app:app\", directory: {}, python: {}, \
         workers: 1 }} }} }}\nroutes: [{{ upstream: u }}]\n",
        json!(test_app()),
        json!(python())
    );
    let edge = Edge::start_through(&["prlimit", "--nofile=256:4096"], &config);
    let upstream = wait_until_settled(&edge);
    assert_eq!(open_files(edge.pid()), (4096, 4096), "asgate");
    for pid in upstream.pids() {
        assert_eq!(open_files(pid), (256, 4096), "its worker");
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "uses prlimit")]
fn clients_cannot_take_all_open_files() {
    const CLIENTS: usize = 400;
    /// Three of four of 256.
    const ALLOWED: usize = 192;
    if programs::find("prlimit").is_none() {
        return;
    }
    let stub = Stub::ok();
    let config = Front::default().config(stub.address());
    let edge = Edge::start_through(&["prlimit", "--nofile=256:256"], &config);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| edge.connect()).collect();
    let refused =
        r#"asgate_connections_refused_total{listener="127.0.0.1:0",reason="max_connections"}"#;
    edge.wait_for_metric(refused, (CLIENTS - ALLOWED) as f64);
    for client in clients.iter_mut().skip(ALLOWED) {
        assert_eq!(client.rest(), b"", "one too many");
    }
    for client in clients.iter_mut().take(ALLOWED) {
        assert_eq!(client.get("/").status, 200, "those who are in are served");
    }
    assert_eq!(edge.ask_admin("GET", "/status").status, 200, "operators get in");
    let warnings = told(&edge, WARNING);
    assert_eq!(warnings.len(), 1, "{}", edge.stderr_text());
    assert!(warnings[0].contains("limit=256 wanted=10000 allowed=192"), "{warnings:?}");
    assert_eq!(told(&edge, "Cannot accept"), [""; 0], "there was always a file left");
    drop(clients);
    wait_for("room for another one", || {
        let mut client = Client::connect(edge.address());
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.try_response_to("GET").filter(|response| response.status == 200)
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "uses prlimit")]
fn who_wants_what_is_to_be_had_is_not_warned() {
    if programs::find("prlimit").is_none() {
        return;
    }
    let stub = Stub::ok();
    let front = Front { listeners: &["max_connections: 192"], ..Front::default() };
    let edge = Edge::start_through(&["prlimit", "--nofile=256:256"], &front.config(stub.address()));
    assert_eq!(edge.connect().get("/").status, 200);
    assert_eq!(told(&edge, WARNING), [""; 0]);
}
