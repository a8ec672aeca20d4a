//! Edges with supervised workers that are treated badly, and the commands of those who run an edge.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;

use super::client::Client;
use super::edge::Edge;
use super::held::is_listened_at;
use super::status::Worker;
use super::uvicorn::{python, test_app};
use super::wait_for;

/// The keys of `app` for Uvicorn workers that serve `tests/app/worker_app.py`, and further ones (`workers: 2`).
pub fn uvicorn_app(keys: &str) -> String {
    let (python, directory) = (json!(python()), json!(test_app()));
    format!("asgi: \"worker_app:app\", directory: {directory}, python: {python}, {keys}")
}

/// The keys of `app` for `tests/app/tiny_server.py`, which works in `directory` and conducts itself as said there.
/// `reach` is `{port}` or `{socket}`.
pub fn tiny_app(reach: &str, directory: &Path, conduct: &str, keys: &str) -> String {
    let command = json!([python(), test_app().join("tiny_server.py"), reach, conduct]);
    format!("command: {command}, directory: {}, {keys}", json!(directory))
}

/// A configuration with one upstream `u` of workers by the keys of `app`; `keys` are further ones of the upstream.
pub fn config(app: &str, keys: &str) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nadmin: {{ address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ u: {{ app: {{ {app} }}, {keys} }} }}\nroutes: [{{ upstream: u }}]\n"
    )
}

/// A running edge with this upstream.
pub fn edge(app: &str, keys: &str) -> Edge {
    Edge::start(&config(app, keys))
}

/// Starts an edge that has `directory` for its temporary files, and waits for nothing.
pub fn spawn_in(directory: &Path, config: &str) -> Edge {
    let file = directory.join("asgate.yaml");
    std::fs::write(&file, config).expect("a configuration file");
    let temporary = directory.join("tmp");
    std::fs::create_dir_all(&temporary).expect("a directory");
    let variables = [("TMPDIR", &*temporary.to_string_lossy()), ("XDG_RUNTIME_DIR", "")];
    Edge::spawn_with(&variables, &["run", "-c", &file.to_string_lossy()], directory)
}

/// As [`spawn_in`], and waits until it listens.
pub fn start_in(directory: &Path, config: &str) -> Edge {
    let mut edge = spawn_in(directory, config);
    edge.wait_until_it_listens();
    edge
}

/// Runs a command of `asgate` on this edge, to its end: `["restart", "u"]`.
pub fn operate(edge: &Edge, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asgate"))
        .args(words)
        .args(["--admin", &edge.admin().to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

/// Replaces the workers of upstream `u`, or those that `more` says, and fails when that fails.
pub fn roll(edge: &Edge, more: &[&str]) {
    let output = operate(edge, &[&["restart", "u"], more].concat());
    assert!(output.status.success(), "asgate restart u {more:?}: {}", said(&output));
}

/// Exit status and output of a command.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// The value of `asgate_worker_restarts_total` for a reason.
pub fn restarts_counted(edge: &Edge, reason: &str) -> f64 {
    edge.metric(&format!("asgate_worker_restarts_total{{reason=\"{reason}\",upstream=\"u\"}}"))
}

/// Does to a worker on TCP what makes one with `fragile_loop` deaf: resets connections that it has not accepted,
/// because its loop is kept busy meanwhile.
pub fn make_deaf(worker: &Worker) {
    let address = worker.address.as_deref().and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| panic!("not a port: {worker:?}"));
    let mut busy = Client::connect(address);
    // It is accepted and blocks the loop before the next connection comes.
    assert_eq!(busy.get("/").status, 200, "it serves");
    wait_for("the connections to be reset while it is busy", || {
        busy.send("GET /block?seconds=0.5 HTTP/1.1\r\nHost: test.example\r\n\r\n");
        wait_for("the request to be taken", || is_read(&busy).then_some(()));
        for _ in 0..3 {
            let connection = TcpStream::connect(address).expect("the backlog takes it");
            let linger = SockRef::from(&connection).set_linger(Some(Duration::ZERO));
            linger.expect("its close is a reset");
        }
        let in_time = busy.is_quiet_for(Duration::from_millis(1));
        assert_eq!(busy.response().status, 200, "the blocking request is answered");
        // By the next answer its loop has met them. Some may have been in time although others were not.
        assert_eq!(busy.get("/").status, 200, "the connections that it has live on");
        (in_time || !is_listened_at(&address.to_string())).then_some(())
    });
}

/// Whether the other side, on this machine, has read all that `client` sent.
pub fn is_read(client: &Client) -> bool {
    let port = |address: SocketAddr| format!("{:04X}", address.port());
    let (own, peer) = (client.local_address(), client.stream.peer_addr().expect("its peer"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    // `sl local_address rem_address st tx_queue:rx_queue …`, here the row of the other side.
    table.lines().any(|row| {
        let fields: Vec<_> = row.split_whitespace().collect();
        fields.get(1).is_some_and(|address| address.ends_with(&port(peer)))
            && fields.get(2).is_some_and(|address| address.ends_with(&port(own)))
            && fields.get(4).is_some_and(|queues| queues.ends_with(":00000000"))
    })
}
