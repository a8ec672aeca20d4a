//! Uvicorn refuses whatever comes when so many connections are open, idle ones and those of checks included. An edge that
//! starts it with such a limit stays below, and lets requests wait instead.

use std::net::SocketAddr;
use std::thread::spawn;

use crate::support::client::Client;
use crate::support::pool::{self, retries_counted, wait_until_idle};
use crate::support::status::wait_until_settled;
use crate::support::uvicorn::{Uvicorn, test_app};
use crate::support::workers::{edge, uvicorn_app};

const CLIENTS: usize = 40;
const REQUESTS: usize = 25;

/// What a crowd gets, which asks with new connections as well as with old ones.
fn statuses(address: SocketAddr) -> Vec<u16> {
    let clients: Vec<_> = (0..CLIENTS).map(|number| spawn(move || ask(number, address))).collect();
    clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect()
}

fn ask(number: usize, address: SocketAddr) -> Vec<u16> {
    let mut client = Client::connect(address);
    let mut statuses = Vec::new();
    for request in 0..REQUESTS {
        let method = if request.is_multiple_of(2) { "GET" } else { "POST" };
        let seconds = 0.005 * ((number + request) % 3) as f32;
        client.send(format!(
            "{method} /slow?seconds={seconds} HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n"
        ));
        let Some(response) = client.try_response_to(method) else {
            client = Client::connect(address);
            continue;
        };
        statuses.push(response.status);
        if response.header("connection") == Some("close") || request % 10 == number % 10 {
            client = Client::connect(address);
        }
    }
    statuses
}

#[test]
fn nobody_is_refused_by_a_worker_with_a_limit() {
    let settings = [
        r#"args: ["--limit-concurrency", "5"]"#,
        r#"args: ["--limit-concurrency=5"]"#,
        r#"env: { UVICORN_LIMIT_CONCURRENCY: "5" }"#,
    ];
    for setting in settings {
        let app = uvicorn_app(&format!("workers: 2, {setting}"));
        let edge = edge(&app, "health: { path: /health, interval: 100ms }, slow_start: off");
        wait_until_settled(&edge);
        let statuses = statuses(edge.address());
        assert_eq!(statuses, [200; CLIENTS * REQUESTS], "{setting}: all are served");
        wait_until_idle(&edge);
        assert_eq!(
            retries_counted(&edge, "refused_503").to_string(),
            "0",
            "{setting}: not in secret"
        );
        let lines = edge.lines_of("app");
        let exceeded = lines.iter().find(|line| line.to_string().contains("Exceeded concurrency"));
        assert!(exceeded.is_none(), "{setting}: a worker refused something: {exceeded:?}");
        let upstream = pool::upstream(&edge);
        for worker in upstream["workers"].as_array().expect("workers") {
            assert_eq!(worker["slots"], 3, "{setting}: one connection for checks: {worker:#}");
            let idle = worker["connections"]["idle"].as_u64().expect("connections");
            assert!(idle <= 4, "{setting}: idle ones count: {worker:#}");
            assert_eq!(
                worker["restarts"].as_object().map_or(0, serde_json::Map::len),
                0,
                "{worker:#}"
            );
        }
    }
}

#[test]
fn fewer_slots_that_are_configured_stay_fewer() {
    for (slots, expected) in [(2, 2), (100, 6)] {
        let app = uvicorn_app(r#"workers: 1, args: ["--limit-concurrency", "8"]"#);
        let edge = edge(&app, &format!("max_requests_per_worker: {slots}"));
        wait_until_settled(&edge);
        assert_eq!(pool::worker(&edge, "1")["slots"], expected, "max_requests_per_worker: {slots}");
    }
}

#[test]
fn without_an_edge_the_crowd_is_refused() {
    let uvicorn =
        Uvicorn::serving_app("worker_app:app", &test_app(), &["--limit-concurrency", "5"]);
    let statuses = statuses(uvicorn.address());
    assert!(statuses.contains(&503), "the control: the limit is real: {statuses:?}");
}
