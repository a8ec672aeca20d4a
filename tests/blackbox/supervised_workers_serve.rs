//! Workers that asgate starts serve: over a Unix socket or TCP, Uvicorn or any command; one that dies is started again
//! while the others go on; what they print is in the log; and none outlives the edge.

use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use serde_json::json;

use crate::support::edge::{Edge, is_gone, signal};
use crate::support::uvicorn::{python, sample_app, supervised};
use crate::support::wait_for;

/// An edge before one upstream `u`, given as YAML.
fn edge(upstream: &str) -> Edge {
    Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {upstream} }}\nroutes: [{{ upstream: u }}]\n"
    ))
}

/// The words a process was started with.
fn command_line(pid: u32) -> Vec<String> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("a command line");
    line.split_terminator('\0').map(str::to_owned).collect()
}

/// The word after `option` in the command line of `pid`.
fn option(pid: u32, option: &str) -> Option<String> {
    let words = command_line(pid);
    let at = words.iter().position(|word| word == option)?;
    words.get(at + 1).cloned()
}

/// The pids of the workers that answered `count` requests.
fn who_answers(edge: &Edge, count: usize) -> BTreeSet<u32> {
    let answers = (0..count).map(|number| {
        let response = edge.connect().get("/");
        assert_eq!(response.status, 200, "request {number}: {response:?}");
        response.json()["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid")
    });
    answers.collect()
}

#[test]
fn the_default_transport_is_a_private_unix_socket() {
    let edge = edge(&supervised(&sample_app(), "workers: 2"));
    let workers: BTreeSet<_> = edge.children().into_iter().collect();
    assert_eq!(workers.len(), 2, "two workers: {workers:?}");
    assert_eq!(who_answers(&edge, 6), workers, "both answer");
    for &pid in &workers {
        let path = option(pid, "--uds").expect("a Unix socket");
        let socket = std::fs::metadata(&path).expect("the socket");
        assert!(socket.file_type().is_socket(), "{path} is a socket");
        let directory = Path::new(&path).parent().expect("a directory");
        let mode = directory.metadata().expect("the directory").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is nobody else's: {mode:o}", directory.display());
    }
    for line in edge.wait_for_log(6) {
        let pid = line["edge.worker_pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        assert!(pid.is_some_and(|pid| workers.contains(&pid)), "edge.worker_pid: {line:#}");
        assert_eq!(line["edge.upstream"], "u", "{line:#}");
        assert_eq!(line["edge.attempts"], 1, "{line:#}");
    }
}

#[test]
fn transport_tcp_is_a_port_on_loopback() {
    let edge = edge(&supervised(&sample_app(), "workers: 2, transport: tcp"));
    let workers: BTreeSet<_> = edge.children().into_iter().collect();
    assert_eq!(who_answers(&edge, 6), workers, "both answer");
    let ports: BTreeSet<_> = workers.iter().filter_map(|&pid| option(pid, "--port")).collect();
    assert_eq!(ports.len(), 2, "a port for each: {ports:?}");
    for &pid in &workers {
        assert_eq!(option(pid, "--uds"), None, "no Unix socket");
        let host = option(pid, "--host");
        assert_eq!(host.as_deref(), Some("127.0.0.1"), "on loopback only");
    }
}

/// The app's view of the client must not depend on the transport: a Unix socket has no peer address of its own.
#[test]
fn an_app_sees_the_client_over_either_transport() {
    for transport in ["auto", "tcp"] {
        let edge = edge(&supervised(&sample_app(), &format!("transport: {transport}")));
        let mut client = edge.connect();
        let seen = client.get("/echo").json();
        assert_eq!(seen["client"][0], "127.0.0.1", "{transport}: {seen:#}");
        assert_eq!(seen["url"], "http://test.example/echo", "{transport}: {seen:#}");
    }
}

#[test]
fn a_command_gets_its_socket() {
    let command = json!([python(), "-m", "uvicorn", "app:app", "--uds", "{socket}"]);
    let edge = edge(&format!(
        "{{ app: {{ command: {command}, directory: {}, workers: 2 }} }}",
        json!(sample_app())
    ));
    let workers: BTreeSet<_> = edge.children().into_iter().collect();
    assert_eq!(who_answers(&edge, 6), workers, "both answer");
    for &pid in &workers {
        let path = option(pid, "--uds").expect("a Unix socket");
        assert!(!path.contains('{'), "{path} is filled in");
    }
}

/// Any server that speaks HTTP/1.1, here Python's own, told its port and its number.
const ANY_SERVER: &str = r#"
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"worker": sys.argv[2], "pid": os.getpid(), "of_test": os.environ.get("OF_TEST")})
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[test]
fn a_command_gets_its_port_its_number_and_its_environment() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("server.py"), ANY_SERVER).expect("a script");
    let command = json!([python(), "server.py", "{port}", "number {worker}"]);
    let edge = edge(&format!(
        "{{ app: {{ command: {command}, directory: {}, workers: 2, env: {{ OF_TEST: \"as set\" }} }} }}",
        json!(directory.path())
    ));
    let answers: Vec<_> = (0..4).map(|_| edge.connect().get("/").json()).collect();
    let numbers: BTreeSet<_> = answers.iter().map(|answer| answer["worker"].to_string()).collect();
    let expected = ["\"number 1\"", "\"number 2\""].map(str::to_owned);
    assert_eq!(numbers, BTreeSet::from(expected), "`{{worker}}` counts from 1");
    assert!(answers.iter().all(|answer| answer["of_test"] == "as set"), "{answers:?}");
}

#[test]
fn a_worker_that_dies_is_started_again_and_the_others_go_on() {
    for transport in ["auto", "tcp"] {
        let edge = edge(&supervised(&sample_app(), &format!("workers: 2, transport: {transport}")));
        let before = who_answers(&edge, 6);
        let victim = *before.iter().next().expect("a worker");
        signal(victim, "KILL");
        // From the moment of its death on, noticed or not, and until it is back. (A request that comes to it while it
        // dies may be told 502: whether it was acted on nobody can know.)
        wait_for("its death", || is_gone(victim).then_some(()));
        let mut served = 6;
        wait_for("a new worker to answer", || {
            served += 4;
            let now = who_answers(&edge, 4);
            (now.len() == 2 && !now.contains(&victim)).then_some(())
        });
        let workers: BTreeSet<_> =
            edge.children().into_iter().filter(|&pid| !is_gone(pid)).collect();
        assert_eq!(who_answers(&edge, 6), workers, "{transport}: two workers again");
        assert!(!workers.contains(&victim), "{transport}: one of them is new");
        for line in edge.wait_for_log(served + 6) {
            assert_eq!(line["edge.termination"], "ok", "{transport}: {line:#}");
        }
        let metrics = edge.metrics();
        let restarts =
            metrics.lines().find(|line| line.starts_with("asgate_worker_restarts_total{"));
        let restarts = restarts.unwrap_or_else(|| panic!("no restarts in:\n{metrics}"));
        assert!(restarts.contains("upstream=\"u\"") && restarts.ends_with(" 1"), "{restarts}");
        let up = |line: &&str| line.starts_with("asgate_worker_up{") && line.ends_with(" 1");
        assert_eq!(metrics.lines().filter(up).count(), 2, "both are up:\n{metrics}");
    }
}

/// Only a request that was on it, and that must not reach the app twice, is lost; its client is told.
#[test]
fn a_request_on_a_worker_that_dies_is_502() {
    let edge = edge(&supervised(&sample_app(), "workers: 2"));
    let mut client = edge.connect();
    client.send("POST /upload HTTP/1.1\r\nHost: test.example\r\nContent-Length: 10\r\n\r\nhalf");
    wait_for("a connection to the worker that has it", || {
        let in_use = |line: &str| {
            line.starts_with("asgate_upstream_connections{state=\"active\"") && line.ends_with(" 1")
        };
        edge.metrics().lines().any(in_use).then_some(())
    });
    // Both, as only one of them has it: the client is told either way.
    for pid in edge.children() {
        signal(pid, "KILL");
    }
    let response = client.response();
    assert_eq!(response.status, 502, "{response:?}");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "upstream_closed", "{line:#}");
    assert_eq!(line["edge.attempts"], 1, "the worker had it: {line:#}");
    wait_for("a worker to be back", || {
        let response = edge.connect().get("/");
        match response.status {
            200 => Some(()),
            // Its death is not noticed yet: nobody listens.
            502 => None,
            503 => {
                let after = response.header("retry-after");
                assert!(after.is_some(), "{response:?}");
                None
            }
            _ => panic!("no worker is 502 or 503: {response:?}"),
        }
    });
}

#[test]
fn what_workers_print_is_wrapped_in_the_log() {
    let edge = edge(&supervised(&sample_app(), ""));
    let worker = edge.children()[0];
    assert_eq!(edge.connect().get("/boom").status, 500, "the app's own 500");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "ok", "the app answered: {line:#}");
    let raised = wait_for("the traceback in the log", || {
        let lines = edge.lines_of("app");
        let found = |line: &&serde_json::Value| {
            line["message"].as_str().is_some_and(|text| text.contains("RuntimeError: /boom"))
        };
        lines.iter().find(found).cloned()
    });
    assert_eq!(raised["edge.upstream"], "u", "{raised:#}");
    assert_eq!(raised["edge.worker_pid"], worker, "{raised:#}");
    assert_eq!(raised["service.name"], "asgate", "{raised:#}");
    for key in ["@timestamp", "log.level", "ecs.version", "edge.worker"] {
        assert!(raised[key].is_string(), "{key}: {raised:#}");
    }
    let traceback = edge
        .lines_of("app")
        .iter()
        .any(|line| line["message"].as_str().is_some_and(|text| text.starts_with("Traceback")));
    assert!(traceback, "each line of it is one of the log: {:#?}", edge.lines_of("app"));
    let marker = "Application startup complete";
    let started = edge
        .lines_of("app")
        .iter()
        .any(|line| line["message"].as_str().is_some_and(|text| text.contains(marker)));
    assert!(started, "from its first line on: {:#?}", edge.lines_of("app"));
}

#[test]
fn a_killed_edge_leaves_no_worker() {
    for transport in ["auto", "tcp"] {
        let mut edge =
            edge(&supervised(&sample_app(), &format!("workers: 2, transport: {transport}")));
        let workers = edge.children();
        assert_eq!(workers.len(), 2, "two workers: {workers:?}");
        assert!(workers.iter().all(|&pid| !is_gone(pid)), "the control: they are there");
        edge.signal("KILL");
        edge.wait();
        wait_for("the workers to be gone", || {
            workers.iter().all(|&pid| is_gone(pid)).then_some(())
        });
    }
}
