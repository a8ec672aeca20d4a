//! The admin API on a Unix socket: for one user, whatever the `Host`.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::support::edge::Edge;
use crate::support::uvicorn::python;
use crate::support::wait_for;

fn config(socket: &Path) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"unix:{}\" }}\n\
         routes: [{{ respond: {{ body: hello }} }}]\n",
        socket.display()
    )
}

/// The whole answer to this request head.
fn ask(socket: &Path, head: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("connected");
    let head = format!("{head}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn only_the_owner_can_connect() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("admin.sock");
    // What a killed edge leaves: nobody listens on it.
    drop(UnixListener::bind(&socket).expect("a stale socket"));
    let mut edge = Edge::start(&config(&socket));
    let mode = socket.metadata().expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "mode {mode:o}");
    for host in ["localhost", "asgate", "evil.example"] {
        let answer = ask(&socket, &format!("GET /status HTTP/1.1\r\nHost: {host}"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{host}: {answer}");
    }
    let page = "POST /stop HTTP/1.1\r\nHost: asgate\r\nOrigin: https://evil.example";
    let answer = ask(&socket, page);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let answer = ask(&socket, "POST /stop HTTP/1.1\r\nHost: asgate");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(edge.wait().success(), "it stopped");
    wait_for("the file to be gone", || (!socket.exists()).then_some(()));
}

#[test]
fn a_socket_in_use_is_not_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("admin.sock");
    let _listening = UnixListener::bind(&socket).expect("a socket");
    let file = directory.path().join("asgate.yaml");
    std::fs::write(&file, config(&socket)).expect("a file");
    let mut edge = Edge::spawn(&["run"], directory.path());
    assert_eq!(edge.wait().code(), Some(1), "{}", edge.stderr_text());
    wait_for("the reason", || edge.stderr_text().contains("in use").then_some(()));
    assert!(UnixStream::connect(&socket).is_ok(), "the other's socket is left alone");
}

/// An app that takes its time, or never comes up, can be watched and stopped.
#[test]
fn an_edge_that_starts_answers_already() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("admin.sock");
    let command = serde_json::json!([python(), "-c", "import time; time.sleep(600)", "{socket}"]);
    let config = format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"unix:{}\" }}\n\
         upstreams: {{ u: {{ app: {{ command: {command} }} }} }}\nroutes: [{{ upstream: u }}]\n",
        socket.display()
    );
    std::fs::write(directory.path().join("asgate.yaml"), config).expect("a file");
    let mut edge = Edge::spawn(&["run"], directory.path());
    wait_for("the admin socket", || UnixStream::connect(&socket).ok());
    let live = ask(&socket, "GET /health/live HTTP/1.1\r\nHost: asgate");
    assert!(live.starts_with("HTTP/1.1 200 "), "{live}");
    let ready = ask(&socket, "GET /health/ready HTTP/1.1\r\nHost: asgate");
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("starting\n"), "{ready}");
    wait_for("its worker to be seen", || {
        let status = ask(&socket, "GET /status HTTP/1.1\r\nHost: asgate");
        (status.contains("\"starting\"") && status.contains("\"down\"")).then_some(())
    });
    let stopped = ask(&socket, "POST /stop HTTP/1.1\r\nHost: asgate");
    assert!(stopped.starts_with("HTTP/1.1 202 "), "{stopped}");
    assert!(edge.wait().success(), "{}", edge.stderr_text());
}
