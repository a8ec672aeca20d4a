//! The admin API on a Unix socket: for one user, whatever the `Host`.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::support::edge::Edge;
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
