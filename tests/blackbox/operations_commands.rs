//! `asgate status`, `reload`, `restart` and `stop` find the running instance, do what they say, and tell by their exit code.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::app::App;
use crate::support::edge::{Edge, config, is_gone, signal};
use crate::support::stub::Stub;
use crate::support::uvicorn::{free_address, sample_app, supervised};
use crate::support::wait_for;

fn asgate(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asgate"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

/// Runs a command that is to find this edge by `--admin`.
fn asgate_for(edge: &Edge, arguments: &[&str]) -> Output {
    let admin = edge.admin().to_string();
    asgate(&[arguments, &["--admin", &admin]].concat(), Path::new("/"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One line on stderr with these words, nothing on stdout, this exit code.
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let printed = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{printed}");
    assert_eq!(printed.lines().count(), 1, "one line: {printed:?}");
    assert_eq!(stdout(output), "", "errors go to stderr: {printed:?}");
    for word in words {
        assert!(printed.contains(word), "{word:?} in {printed:?}");
    }
}

/// The configuration of an edge with an admin API before two workers of `backend`.
fn supervising(directory: &Path) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ backend: {} }}\nroutes: [{{ upstream: backend }}]\n",
        supervised(directory, "workers: 2")
    )
}

#[test]
fn status_is_0_when_all_is_ready() {
    let stub = Stub::ok();
    let edge = Edge::before(&[stub.address()], "");
    let output = asgate_for(&edge, &["status"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = stdout(&output);
    let worker = stub.address().to_string();
    let line = printed.lines().find(|line| line.contains(&worker));
    let words: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
    assert_eq!(words.get(..3), Some(&["u", worker.as_str(), "ready"][..]), "{printed}");
    assert!(printed.contains(&format!("pid {}", edge.pid())), "{printed}");
    let output = asgate_for(&edge, &["status", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(status["pid"], edge.pid(), "{status:#}");
}

#[test]
fn status_is_1_when_a_worker_is_missing() {
    let app = App::sound();
    let edge = Edge::start(&supervising(app.directory()));
    assert_eq!(asgate_for(&edge, &["status"]).status.code(), Some(0), "the control");
    app.break_it();
    let first = edge.status()["upstreams"][0]["workers"][0]["pid"].as_u64().expect("a pid");
    signal(u32::try_from(first).expect("a pid"), "KILL");
    let output = wait_for("the status to change", || {
        let output = asgate_for(&edge, &["status"]);
        (output.status.code() == Some(1)).then_some(output)
    });
    let printed = stdout(&output);
    assert!(printed.contains("degraded"), "{printed}");
    assert!(stderr(&output).is_empty(), "it was asked and answered: {}", stderr(&output));
}

#[test]
fn status_is_3_when_nothing_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let nobody = free_address().to_string();
    let output = asgate(&["status", "--admin", &nobody], directory.path());
    assert_fails(&output, 3, &["not running", &nobody]);
    let output = asgate(&["status", "--admin", "unix:admin.sock"], directory.path());
    assert_fails(&output, 3, &["not running", "admin.sock"]);
    for command in [&["stop"][..], &["reload"], &["restart", "backend"]] {
        let output = asgate(&[command, &["--admin", &nobody]].concat(), directory.path());
        assert_fails(&output, 1, &["not running", &nobody]);
    }
}

#[test]
fn the_admin_api_is_found_by_the_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = "unix:admin.sock";
    let text = config(&[free_address()], "").replacen(
        "admin: { address: \"127.0.0.1:0\" }",
        &format!("admin: {{ address: \"{socket}\" }}"),
        1,
    );
    std::fs::write(directory.path().join("asgate.yaml"), text).expect("a file");
    let mut edge = Edge::spawn(&["run"], directory.path());
    edge.wait_until_it_listens();
    let named = directory.path().join("asgate.yaml");
    for arguments in [&["status"][..], &["status", "-c", &named.to_string_lossy()]] {
        let output = asgate(arguments, directory.path());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    }
    let output = asgate(&["stop"], directory.path());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(edge.wait().success(), "exit code 0");
}

#[test]
fn without_an_admin_api_the_commands_say_how_to_get_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let without = "listeners: [{ address: \"127.0.0.1:0\" }]\nroutes: [{ respond: { body: x } }]\n";
    let any_port = format!("{without}admin: {{ address: \"127.0.0.1:0\" }}\n");
    let cases = [
        ("none.yaml", "", "none.yaml"),
        ("without.yaml", without, "admin: {"),
        ("any.yaml", &any_port, "--admin"),
    ];
    for (name, text, word) in cases {
        if !text.is_empty() {
            std::fs::write(directory.path().join(name), text).expect("a file");
        }
        assert_fails(&asgate(&["status", "-c", name], directory.path()), 2, &[word]);
        assert_fails(&asgate(&["stop", "-c", name], directory.path()), 1, &[word]);
        let restart = ["restart", "u", "-c", name];
        assert_fails(&asgate(&restart, directory.path()), 1, &[word]);
    }
    let output = asgate(&["status", "--admin", "nowhere"], directory.path());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("ip:port"), "what is allowed: {}", stderr(&output));
}

#[test]
fn a_stranger_is_not_taken_for_asgate() {
    let stub = Stub::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let stranger = stub.address().to_string();
    let output = asgate(&["status", "--admin", &stranger], Path::new("/"));
    assert_fails(&output, 1, &["not the admin API"]);
    let output = asgate(&["stop", "--admin", &stranger], Path::new("/"));
    assert_fails(&output, 1, &["not the admin API"]);
    assert!(!stub.received_in_all().contains("POST"), "it is asked to do nothing");
}

#[test]
fn reload_says_that_nothing_changed_and_what_is_not_read_again() {
    let edge = Edge::before(&[Stub::ok().address()], "");
    let output = asgate_for(&edge, &["reload"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = stdout(&output);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.first(), Some(&"nothing changed"), "{printed}");
    assert!(lines[1..].concat().contains("configuration file is not read again"), "{printed}");
    let help = stdout(&asgate(&["reload", "--help"], Path::new("/")));
    assert!(help.contains("The configuration file is not read again"), "{help}");
}

#[test]
fn stop_returns_when_everything_has_ended() {
    let mut edge = Edge::start(&supervising(&sample_app()));
    let workers = edge.children();
    let mut client = edge.connect();
    client.send("GET /slow?seconds=1 HTTP/1.1\r\nHost: test.example\r\n\r\n");
    edge.wait_for_metric(r#"asgate_requests_in_flight{upstream="backend"}"#, 1.0);
    let pid = edge.pid();
    let output = asgate_for(&edge, &["stop"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains(&format!("pid {pid}")), "{}", stdout(&output));
    assert!(workers.iter().all(|&pid| is_gone(pid)), "the workers are gone");
    assert_eq!(client.response().status, 200, "the request in flight was finished");
    assert!(edge.wait().success(), "exit code 0");
}

#[test]
fn restart_waits_for_the_roll_and_says_what_it_did() {
    let edge = Edge::start(&supervising(&sample_app()));
    let before: Vec<_> = edge.children();
    let output = asgate_for(&edge, &["restart", "backend"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(printed.contains("backend") && printed.lines().count() == 1, "{printed:?}");
    wait_for("the old workers to go", || before.iter().all(|&pid| is_gone(pid)).then_some(()));
    let output = asgate_for(&edge, &["restart", "backend", "--worker", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn restart_says_what_exists() {
    let edge = Edge::start(&supervising(&sample_app()));
    assert_fails(&asgate_for(&edge, &["restart", "b/ä"]), 1, &["there is backend"]);
    let output = asgate_for(&edge, &["restart", "backend", "--worker", "7"]);
    assert_fails(&output, 1, &["7", "it has 1, 2"]);
    let fixed = Edge::before(&[Stub::ok().address()], "");
    assert_fails(&asgate_for(&fixed, &["restart", "u"]), 1, &["fixed"]);
}
