//! The admin API tells how the edge is doing, does what operators ask, and does neither for web pages.

mod steering;
mod unix_socket;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::client::{Client, Response};
use crate::support::edge::{Edge, config, signal};
use crate::support::pool::wait_until_idle;
use crate::support::stub::Stub;
use crate::support::uvicorn::{sample_app, supervised};
use crate::support::wait_for;

/// Sends this request head (without the empty line) to the admin API.
fn ask(address: SocketAddr, head: &str) -> Response {
    let mut client = Client::connect(address);
    client.send(format!("{head}\r\n\r\n"));
    client.response_to(head.split(' ').next().unwrap_or_default())
}

/// The keys of an object, in their order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn assert_problem(response: &Response, status: u16, detail: &[&str]) {
    assert_eq!(response.status, status, "{response:?}");
    let media_type = response.header("content-type");
    assert_eq!(media_type, Some("application/problem+json"), "{response:?}");
    let problem = response.json();
    assert_eq!(keys(&problem), ["type", "title", "status", "detail", "request_id"], "{problem:#}");
    assert_eq!(problem["status"], status, "{problem:#}");
    assert_eq!(problem["request_id"].as_str(), response.header("x-request-id"), "{problem:#}");
    let said = problem["detail"].as_str().unwrap_or_default();
    for word in detail {
        assert!(said.contains(word), "{word:?} in {said:?}");
    }
}

#[test]
fn status_tells_of_fixed_workers() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    assert_eq!(client.get("/").status, 200, "the worker answers");
    let worker = stub.address().to_string();
    wait_until_idle(&edge);
    let status = edge.status();
    let top = ["version", "pid", "uptime_seconds", "state", "listeners", "upstreams"];
    assert_eq!(keys(&status), top, "{status:#}");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"), "{status:#}");
    assert_eq!(status["pid"], edge.pid(), "{status:#}");
    assert_eq!(status["state"], "ready", "{status:#}");
    assert!(status["uptime_seconds"].as_f64().is_some_and(|time| time > 0.0), "{status:#}");
    let listener = json!({
        "address": edge.address().to_string(),
        "connections": 1,
        "max_connections": 10_000,
        "refused": {},
        "tls": null,
    });
    assert_eq!(status["listeners"], json!([listener]), "{status:#}");
    let upstream = &status["upstreams"][0];
    let of_upstream =
        ["name", "state", "reason", "requests_in_flight", "queue", "retries", "notes", "workers"];
    assert_eq!(keys(upstream), of_upstream, "{upstream:#}");
    assert_eq!(keys(&upstream["queue"]), ["length", "size"], "{upstream:#}");
    assert_eq!((&upstream["retries"], &upstream["notes"]), (&json!({}), &json!([])), "none");
    assert_eq!((&upstream["name"], &upstream["state"]), (&json!("u"), &json!("ready")));
    let seen = &upstream["workers"][0];
    let of_worker = [
        "name",
        "kind",
        "state",
        "reason",
        "in_rotation",
        "generation",
        "pid",
        "address",
        "requests_in_flight",
        "slots",
        "weight",
        "connections",
        "connects",
        "reused_ratio",
        "requests_total",
        "ejections",
        "last_check",
        "memory_bytes",
        "uptime_seconds",
        "restarts",
        "last_end",
        "leaving",
        "last_output",
    ];
    assert_eq!(keys(seen), of_worker, "{seen:#}");
    let expected = [
        ("name", json!(worker)),
        ("kind", json!("fixed")),
        ("state", json!("ready")),
        ("reason", Value::Null),
        ("in_rotation", json!(true)),
        ("generation", json!(0)),
        ("pid", Value::Null),
        ("address", json!(worker)),
        ("requests_in_flight", json!(0)),
        ("connections", json!({ "idle": 1, "active": 0 })),
        ("requests_total", json!(1)),
        ("ejections", json!(0)),
        ("last_check", Value::Null),
        ("memory_bytes", Value::Null),
        ("uptime_seconds", Value::Null),
        ("restarts", json!({})),
        ("last_end", Value::Null),
        ("leaving", json!([])),
        ("last_output", json!([])),
    ];
    for (key, value) in expected {
        assert_eq!(seen[key], value, "{key} in {seen:#}");
    }
}

#[test]
fn status_tells_of_supervised_workers() {
    let edge = Edge::start(&supervising(&sample_app(), "workers: 2"));
    let status = edge.status();
    let workers = &status["upstreams"][0]["workers"];
    assert_eq!(workers.as_array().map(Vec::len), Some(2), "{status:#}");
    for (worker, name) in workers.as_array().into_iter().flatten().zip(["1", "2"]) {
        assert_eq!(worker["name"], name, "in their order: {worker:#}");
        assert_eq!(worker["kind"], "supervised", "{worker:#}");
        assert_eq!(worker["state"], "ready", "{worker:#}");
        assert_eq!(worker["generation"], 1, "{worker:#}");
        let pid = worker["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        assert!(pid.is_some_and(|pid| edge.children().contains(&pid)), "{worker:#}");
        assert!(worker["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{worker:#}");
        assert!(worker["uptime_seconds"].as_f64().is_some_and(|time| time > 0.0), "{worker:#}");
        let lines = worker["last_output"].as_array().expect("lines");
        assert!(!lines.is_empty(), "Uvicorn says that it runs: {worker:#}");
    }
}

/// The configuration of an edge with an admin API before one upstream `u` of supervised workers.
fn supervising(directory: &Path, extra: &str) -> String {
    let upstream = supervised(directory, extra);
    format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {upstream} }}\nroutes: [{{ upstream: u }}]\n"
    )
}

#[test]
fn metrics_and_health_are_for_machines() {
    let edge = Edge::before(&[Stub::ok().address()], "");
    let metrics = edge.ask_admin("GET", "/metrics");
    assert!(metrics.text().contains("asgate_worker_up{"), "{}", metrics.text());
    let media_type = metrics.header("content-type").unwrap_or_default();
    assert!(media_type.starts_with("text/plain; version=0.0.4"), "{media_type}");
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(edge.ask_admin("GET", path).status, 200, "{path}");
        let head = edge.ask_admin("HEAD", path);
        assert_eq!((head.status, head.text().as_str()), (200, ""), "HEAD {path}");
    }
    // As load balancers ask: HTTP/1.0 without a host.
    assert_eq!(ask(edge.admin(), "GET /health/live HTTP/1.0").status, 200, "HTTP/1.0");
}

#[test]
fn what_is_not_there_is_404_and_says_what_is() {
    let server = Stub::ok().address();
    let edge = Edge::before(&[server], "");
    let server = server.to_string();
    let cases: [(&str, &str, &[&str]); 7] = [
        ("GET", "/", &["/status", "/metrics", "/reload", "/stop"]),
        ("GET", "/statuses", &["/status"]),
        ("POST", "/upstreams/u", &["/restart"]),
        ("POST", "/upstreams/nobody/restart", &["nobody", "there is u"]),
        ("POST", "/upstreams/nobody/workers/1/drain", &["nobody", "there is u"]),
        ("POST", "/upstreams/u/workers/a%20b/drain", &["a b", &server]),
        ("POST", "/upstreams/u/workers/9/enable", &["9", &server]),
    ];
    for (method, path, words) in cases {
        assert_problem(&edge.ask_admin(method, path), 404, words);
    }
}

#[test]
fn a_method_that_does_not_fit_is_405_and_says_which_does() {
    let edge = Edge::before(&[Stub::ok().address()], "");
    let cases = [
        ("POST", "/status", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("GET", "/stop", "POST"),
        ("GET", "/reload", "POST"),
        ("PUT", "/stop", "POST"),
        ("GET", "/upstreams/u/restart", "POST"),
    ];
    for (method, path, allow) in cases {
        let response = edge.ask_admin(method, path);
        assert_problem(&response, 405, &[allow]);
        assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
    }
    assert_eq!(edge.status()["state"], "ready", "nothing was stopped");
}

#[test]
fn fixed_workers_cannot_be_restarted() {
    let server = Stub::ok().address();
    let edge = Edge::before(&[server], "");
    let of_worker = format!("/upstreams/u/workers/{server}/restart");
    for path in ["/upstreams/u/restart", &of_worker] {
        assert_problem(&edge.ask_admin("POST", path), 409, &["fixed"]);
    }
}

#[test]
fn web_pages_cannot_drive_it() {
    let edge = Edge::before(&[Stub::ok().address()], "");
    let admin = edge.admin();
    let refused = [
        // DNS rebinding: a name of the attacker's that means 127.0.0.1 for a while.
        "GET /status HTTP/1.1\r\nHost: evil.example".to_owned(),
        format!("GET /status HTTP/1.1\r\nHost: evil.example:{}", admin.port()),
        "POST /stop HTTP/1.1\r\nHost: localhost.evil.example".to_owned(),
        // A form on any page may send this.
        format!("POST /stop HTTP/1.1\r\nHost: {admin}\r\nOrigin: https://evil.example"),
        format!("POST /stop HTTP/1.1\r\nHost: {admin}\r\nOrigin: null"),
        // Another port is another origin.
        format!("POST /stop HTTP/1.1\r\nHost: {admin}\r\nOrigin: http://127.0.0.1:1"),
        format!(
            "POST /upstreams/u/restart HTTP/1.1\r\nHost: {admin}\r\nOrigin: http://evil.example"
        ),
    ];
    for head in refused {
        assert_problem(&ask(admin, &head), 403, &[]);
    }
    assert_eq!(edge.status()["state"], "ready", "nothing was stopped");
    let allowed = [
        format!("GET /status HTTP/1.1\r\nHost: {admin}"),
        "GET /status HTTP/1.1\r\nHost: [::1]:9180".to_owned(),
        "GET /status HTTP/1.1\r\nHost: LOCALHOST".to_owned(),
        format!("POST /stop HTTP/1.1\r\nHost: {admin}\r\nOrigin: http://{admin}"),
    ];
    for head in allowed {
        let response = ask(admin, &head);
        assert!((200..300).contains(&response.status), "the control: {head}: {response:?}");
    }
}

#[test]
fn stop_finishes_what_is_in_flight_and_says_so_meanwhile() {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let stub = Stub::start(move |mut accepted| {
        while accepted.request().is_some() {
            accepted.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nla");
            released.lock().expect("a receiver").recv().expect("a word");
            accepted.send(b"te");
        }
    });
    let mut edge = Edge::start(&config(&[stub.address()], ""));
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: test.example\r\n\r\n");
    stub.wait_until_received(0, "GET /");
    let response = edge.ask_admin("POST", "/stop");
    assert_eq!(response.status, 202, "{response:?}");
    assert_eq!(response.json()["message"], "stopping", "{response:?}");
    assert_eq!(edge.ask_admin("POST", "/stop").status, 202, "again");
    assert_eq!(edge.status()["state"], "stopping", "the admin API goes last");
    assert_eq!(edge.status()["upstreams"][0]["requests_in_flight"], 1, "{:#}", edge.status());
    assert_eq!(edge.ask_admin("GET", "/health/live").status, 200, "it lives");
    assert_eq!(edge.ask_admin("GET", "/health/ready").status, 503, "and wants no more traffic");
    release.send(()).expect("the worker listens");
    assert_eq!(client.response().text(), "late", "what was in flight is finished");
    assert!(edge.wait().success(), "exit code 0");
}

#[test]
fn an_edge_without_a_ready_worker_is_not_ready() {
    let app = App::sound();
    let edge = Edge::start(&supervising(app.directory(), ""));
    assert_eq!(edge.ask_admin("GET", "/health/ready").status, 200, "the control");
    app.break_it();
    signal(edge.children()[0], "KILL");
    let answer = wait_for("the edge to be not ready", || {
        let answer = edge.ask_admin("GET", "/health/ready");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(answer.text(), "no ready worker: u\n", "which upstream");
    assert_eq!(edge.status()["state"], "degraded", "{:#}", edge.status());
    assert_eq!(edge.status()["upstreams"][0]["state"], "down", "{:#}", edge.status());
}
