//! A stop loses nothing: who is being served is served to the end, nobody new is let in, and the process leaves as soon
//! as nothing is in flight; it waits no longer than it was told to, and leaves nothing behind.

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Client;
use crate::support::edge::{Edge, is_gone};
use crate::support::frames::{DATA, END, Frames, GOAWAY, HEADERS};
use crate::support::stub::{Accepted, Stub};
use crate::support::uvicorn::{python, sample_app, supervised};
use crate::support::workers::is_read;
use crate::support::{PATIENCE, wait_for};

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// "At once", on a busy machine, and much less than any `shutdown_timeout` here that is to be beaten.
const AT_ONCE: Duration = Duration::from_secs(10);

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A worker that answers `/held` and ends `/stream` when the test says so, and everything else at once.
fn worker() -> (Stub, Sender<()>) {
    let (proceed, wait) = channel();
    let wait = Mutex::new(wait);
    (Stub::start(move |accepted| serve(accepted, &wait)), proceed)
}

fn serve(mut accepted: Accepted, wait: &Mutex<Receiver<()>>) {
    // At the end of the test there is no word any more, and nobody to answer.
    let word = || {
        let _ = wait.lock().expect("a lock").recv_timeout(PATIENCE);
    };
    while let Some(request) = accepted.request() {
        match request.split(' ').nth(1) {
            Some("/held") => {
                word();
                accepted.send(OK);
            }
            Some("/stream") => {
                accepted
                    .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nevent\r\n");
                word();
                accepted.send("4\r\nlast\r\n0\r\n\r\n");
            }
            Some("/ws") => {
                accepted.send(SWITCHING);
                while let Some(byte) = accepted.bytes(1) {
                    accepted.send(byte);
                }
                return;
            }
            _ => {
                accepted.send(OK);
            }
        }
    }
}

fn edge(stub: &Stub, shutdown_timeout: &str) -> Edge {
    edge_with(stub, shutdown_timeout, "http2: true")
}

fn edge_with(stub: &Stub, shutdown_timeout: &str, listener: &str) -> Edge {
    Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\", {listener} }}]\n\
         upstreams: {{ u: {{ servers: [{{ address: \"{}\" }}] }} }}\n\
         routes: [{{ upstream: u }}]\nshutdown_timeout: {shutdown_timeout}\n",
        stub.address()
    ))
}

fn ask(edge: &Edge, path: &str) -> Client {
    let mut client = edge.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: test.example\r\n\r\n"));
    client
}

/// Waits until a request for `path` is at the worker.
fn wait_until_held(stub: &Stub, path: &str) {
    let line = format!("GET {path} ");
    wait_for("the request at the worker", || {
        (0..stub.accepted()).any(|number| stub.received(number).contains(&line)).then_some(())
    });
}

fn wait_until_it_refuses(edge: &Edge) {
    let address = edge.address();
    wait_for("the listener to be closed", || TcpStream::connect(address).is_err().then_some(()));
}

/// Waits for a successful end of the process; how long that took.
fn wait_for_exit(edge: &mut Edge) -> Duration {
    let begun = Instant::now();
    let status = edge.wait();
    assert_eq!(status.code(), Some(0), "exit code 0 after a stop:\n{}", edge.stderr_text());
    begun.elapsed()
}

#[test]
fn what_is_in_flight_is_finished_and_nothing_new_is_taken() {
    for (signal, listener) in [("TERM", "http2: false"), ("INT", "http2: true")] {
        let (stub, proceed) = worker();
        let mut edge = edge_with(&stub, "60s", listener);
        let (mut untouched, mut idle) = (edge.connect(), edge.connect());
        assert_eq!(
            idle.get("/").status,
            200,
            "a first request on the connection that is idle then"
        );
        let (mut held, mut stream) = (ask(&edge, "/held"), ask(&edge, "/stream"));
        assert_eq!(stream.head().expect("a head").0, 200, "a stream");
        assert_eq!(stream.chunk().expect("a chunk"), b"event", "its first event");
        wait_until_held(&stub, "/held");

        edge.signal(signal);
        wait_until_it_refuses(&edge);
        for (what, client) in [("used before", &mut idle), ("never used", &mut untouched)] {
            let (time, rest) = client.time_to_end();
            assert!(rest.is_empty(), "{signal}: {what}: {}", rest.escape_ascii());
            assert!(time < AT_ONCE, "{signal}: an idle connection, {what}, took {time:?}");
        }
        for client in [&mut held, &mut stream] {
            let quiet = client.is_quiet_for(Duration::from_millis(300));
            assert!(quiet, "{signal}: what is in flight is left alone");
        }
        proceed.send(()).expect("the worker listens");
        proceed.send(()).expect("the worker listens");
        let response = held.response();
        assert_eq!((response.status, response.complete), (200, true), "{signal}: {response:?}");
        assert_eq!(response.header("connection"), Some("close"), "{signal}: it is told");
        assert!(held.rest().is_empty(), "{signal}: and the connection is closed");
        assert_eq!(stream.chunk().expect("a chunk"), b"last", "{signal}: its last event");
        assert_eq!(stream.chunk().expect("the last chunk"), b"", "{signal}: its end");
        let time = wait_for_exit(&mut edge);
        assert!(time < AT_ONCE, "{signal}: it left {time:?} after the last request, not 60s");
        for line in edge.wait_for_log(3) {
            assert_eq!(line["edge.termination"], "ok", "{signal}: {line:#}");
        }
    }
}

#[test]
fn an_edge_with_nothing_in_flight_leaves_at_once() {
    for listener in ["http2: false", "http2: true"] {
        let (stub, _proceed) = worker();
        let mut edge = edge_with(&stub, "60s", listener);
        let _idle = edge.connect();
        assert_eq!(edge.connect().get("/").status, 200, "{listener}: it has served");
        edge.signal("TERM");
        let time = wait_for_exit(&mut edge);
        assert!(time < AT_ONCE, "{listener}: it took {time:?}");
        assert_eq!(edge.only_log_line()["edge.termination"], "ok", "{listener}: no line is lost");
    }
}

/// A request of which some bytes have come is not idle.
#[test]
fn a_request_that_has_begun_is_served() {
    let (stub, _proceed) = worker();
    let mut edge = edge(&stub, "60s");
    let mut client = edge.connect();
    assert_eq!(client.get("/").status, 200, "a first request");
    client.send("GET /begun HTTP/1.1\r\nHo");
    wait_for("its beginning to be read", || is_read(&client).then_some(()));
    edge.signal("TERM");
    wait_until_it_refuses(&edge);
    client.send("st: test.example\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 200, "served: {response:?}");
    assert_eq!(response.header("connection"), Some("close"), "and the last: {response:?}");
    assert!(wait_for_exit(&mut edge) < AT_ONCE, "it leaves then");
}

#[test]
fn what_takes_longer_than_shutdown_timeout_is_cut_and_logged() {
    let (stub, _proceed) = worker();
    let mut edge = edge(&stub, "3s");
    let mut stream = ask(&edge, "/stream");
    assert_eq!(stream.head().expect("a head").0, 200, "a stream");
    assert_eq!(stream.chunk().expect("a chunk"), b"event", "its first event");
    let _held = ask(&edge, "/held");
    wait_until_held(&stub, "/held");
    let begun = Instant::now();
    edge.signal("TERM");
    wait_for_exit(&mut edge);
    let (time, least) = (begun.elapsed(), Duration::from_secs(3));
    assert!(time >= least && time < least + AT_ONCE, "{time:?}, not {least:?}");
    assert_eq!(stream.chunk(), None, "the stream is cut, not ended");
    for line in edge.wait_for_log(2) {
        assert_eq!(line["edge.termination"], "stopping", "{line:#}");
        let cut = line["url.path"] == "/stream";
        let status = if cut { 200 } else { 503 };
        assert_eq!(line["http.response.status_code"], status, "{line:#}");
        let aborted = line["edge.response_aborted"] == true;
        assert_eq!(aborted, cut, "aborted where the head was out: {line:#}");
    }
}

/// As the outcome table has it: `stopping` is 503 with Retry-After for whoever has no answer yet.
#[test]
fn a_client_whose_request_is_cut_before_its_answer_is_told() {
    let (stub, _proceed) = worker();
    let mut edge = edge(&stub, "500ms");
    let mut held = ask(&edge, "/held");
    wait_until_held(&stub, "/held");
    edge.signal("TERM");
    let response = held.try_response_to("GET").expect("an answer, not an empty reply");
    assert_eq!(response.status, 503, "{response:?}");
    assert!(response.header("retry-after").is_some(), "{response:?}");
    wait_for_exit(&mut edge);
}

#[test]
fn a_second_signal_ends_the_patience() {
    for second in ["TERM", "INT"] {
        let (stub, _proceed) = worker();
        let mut edge = edge(&stub, "60s");
        let _held = ask(&edge, "/held");
        wait_until_held(&stub, "/held");
        edge.signal("TERM");
        wait_until_it_refuses(&edge);
        edge.signal(second);
        let time = wait_for_exit(&mut edge);
        assert!(time < AT_ONCE, "{second}: it took {time:?}");
        let line = edge.only_log_line();
        assert_eq!(line["edge.termination"], "stopping", "{second}: {line:#}");
    }
}

#[test]
fn a_websocket_goes_on_until_its_end() {
    let (stub, _proceed) = worker();
    let mut edge = edge(&stub, "60s");
    let mut client = edge.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().expect("a head").0, 101, "upgraded");
    edge.signal("TERM");
    wait_until_it_refuses(&edge);
    for _ in 0..3 {
        client.send("x");
        assert_eq!(client.bytes(1), b"x", "the echo goes on");
    }
    drop(client);
    let time = wait_for_exit(&mut edge);
    assert!(time < AT_ONCE, "it left {time:?} after the WebSocket");
}

#[test]
fn http2_connections_get_goaway_and_finish_their_streams() {
    let (stub, proceed) = worker();
    let mut edge = edge(&stub, "60s");
    let (mut busy, mut idle) = (Frames::connect(edge.address()), Frames::connect(edge.address()));
    idle.get(1, "/");
    let answer = idle.until(DATA);
    assert!(answer.iter().any(|frame| frame.payload == b"ok"), "answered: {answer:#?}");
    busy.get(1, "/held");
    wait_until_held(&stub, "/held");

    edge.signal("TERM");
    for (what, client) in [("idle", &mut idle), ("busy", &mut busy)] {
        let frames = client.until(GOAWAY);
        let goaway = frames.last().expect("it is there");
        assert_eq!(goaway.payload[4..8], [0; 4], "{what}: GOAWAY without an error: {goaway:?}");
        let answered = frames.iter().any(|frame| matches!(frame.kind, HEADERS));
        assert!(!answered, "{what}: before anything else: {frames:#?}");
    }
    let rest: Vec<_> = std::iter::from_fn(|| idle.next()).filter(|f| f.kind != GOAWAY).collect();
    assert!(rest.is_empty(), "the idle connection ends: {rest:#?}");

    proceed.send(()).expect("the worker listens");
    let rest: Vec<_> = std::iter::from_fn(|| busy.next()).filter(|f| f.kind != GOAWAY).collect();
    let body: Vec<u8> = rest
        .iter()
        .filter(|frame| frame.kind == DATA)
        .flat_map(|frame| frame.payload.clone())
        .collect();
    assert_eq!(body, b"ok", "the stream goes on to its end: {rest:#?}");
    assert!(rest.iter().all(|frame| frame.stream == 1), "nothing else: {rest:#?}");
    let end = rest.last().is_some_and(|frame| frame.kind <= HEADERS && frame.flags & END != 0);
    assert!(end, "ended as whole: {rest:#?}");
    assert!(wait_for_exit(&mut edge) < AT_ONCE, "it leaves then");
    for line in edge.wait_for_log(2) {
        assert_eq!(line["edge.termination"], "ok", "{line:#}");
    }
}

/// The socket of a worker, as its command line has it.
fn socket_of(pid: u32) -> String {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("a command line");
    let mut words = line.split('\0');
    words.find(|word| *word == "--uds").expect("a Unix socket");
    words.next().expect("its path").to_owned()
}

#[test]
fn supervised_workers_are_stopped_after_the_last_request() {
    for cut in [false, true] {
        let patience = if cut { "500ms" } else { "60s" };
        let mut edge = Edge::start(&format!(
            "listeners: [{{ address: \"127.0.0.1:0\" }}]\nroutes: [{{ upstream: u }}]\n\
             upstreams: {{ u: {} }}\nshutdown_timeout: {patience}\n",
            supervised(&sample_app(), "workers: 2, stop_timeout: 1s")
        ));
        let workers = edge.children();
        assert_eq!(workers.len(), 2, "two workers: {workers:?}");
        let sockets: Vec<_> = workers.iter().map(|&pid| socket_of(pid)).collect();
        assert!(sockets.iter().all(|path| Path::new(path).exists()), "{sockets:?}");
        let mut client = ask(&edge, if cut { "/slow?seconds=60" } else { "/slow?seconds=1.5" });
        wait_for("it to be on its way", || is_read(&client).then_some(()));
        edge.signal("TERM");
        if !cut {
            let response = client.response();
            assert_eq!(response.json()["slept"], 1.5, "served to its end: {response:?}");
        }
        let time = wait_for_exit(&mut edge);
        assert!(time < Duration::from_secs(20), "cut: {cut}: it left after {time:?}");
        for pid in workers {
            assert!(is_gone(pid), "cut: {cut}: worker {pid} is left");
        }
        for path in sockets {
            let directory = Path::new(&path).parent().expect("a directory");
            assert!(!directory.exists(), "cut: {cut}: {path} is left");
        }
    }
}

#[test]
fn a_stop_before_the_workers_are_ready_leaves_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let command = json!([python(), "-c", "import time; time.sleep(60)", "{port}"]);
    let config = format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nroutes: [{{ upstream: u }}]\n\
         upstreams: {{ u: {{ app: {{ command: {command} }} }} }}\n"
    );
    std::fs::write(directory.path().join("asgate.yaml"), config).expect("a file");
    let mut edge = Edge::spawn(&["run"], directory.path());
    let workers = wait_for("a worker", || Some(edge.children()).filter(|pids| !pids.is_empty()));
    edge.signal("TERM");
    let begun = Instant::now();
    edge.wait();
    assert!(begun.elapsed() < Duration::from_secs(20), "it left after {:?}", begun.elapsed());
    for pid in workers {
        assert!(is_gone(pid), "worker {pid} is left");
    }
}

/// The control of the exit code: an edge that is killed has none.
#[test]
fn a_killed_edge_has_no_exit_code() {
    let (stub, _proceed) = worker();
    let mut edge = edge(&stub, "60s");
    let mut held = ask(&edge, "/held");
    wait_until_held(&stub, "/held");
    edge.signal("KILL");
    assert_eq!(edge.wait().code(), None, "killed");
    let mut byte = [0];
    assert!(!matches!(held.stream.read(&mut byte), Ok(1..)), "and its requests are lost");
}
