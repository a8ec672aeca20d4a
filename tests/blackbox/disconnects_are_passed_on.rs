//! Whoever leaves, the other side learns it: a client that goes ends its request at the worker, with FIN and soon; a
//! worker that breaks off never looks like a whole response; and who stops reading stops who sends.

mod back_pressure;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::frames::{DATA, Frames};
use crate::support::stub::{Accepted, Stub};
use crate::support::{PATIENCE, wait_for};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// "Soon", on a busy machine.
const SOON: Duration = Duration::from_secs(10);
/// For how long a socket takes nothing until its sender counts as held up.
const HELD_UP: Duration = Duration::from_millis(500);
/// A body that is much more than all sockets on its way hold.
const BIG: usize = 64 << 20;

/// How a side leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leave {
    Fin,
    Reset,
}

impl Leave {
    fn by(self, stream: TcpStream) {
        if self == Self::Reset {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
        }
        drop(stream);
    }
}

/// One way to be in the middle of a request.
struct Phase {
    name: &'static str,
    request: &'static str,
    /// The last bytes of the request that the worker waits for before it does its part.
    seen: &'static str,
    /// What the worker says then.
    answer: &'static str,
    /// What the client has got when it leaves.
    got: &'static str,
    status: u16,
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const PHASES: [Phase; 6] = [
    Phase {
        name: "before the head",
        request: "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        seen: "\r\n\r\n",
        answer: "",
        got: "",
        status: 499,
    },
    Phase {
        name: "before the head, with a body",
        request: "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 4\r\n\r\nbody",
        seen: "body",
        answer: "",
        got: "",
        status: 499,
    },
    Phase {
        name: "in the request body",
        request: "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 9\r\n\r\nhalf",
        seen: "half",
        answer: "",
        got: "",
        status: 499,
    },
    Phase {
        name: "in a chunked request body",
        request: "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        seen: "half\r\n",
        answer: "",
        got: "",
        status: 499,
    },
    Phase {
        name: "in the response body",
        request: "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        seen: "\r\n\r\n",
        answer: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nevent\r\n",
        got: "event",
        status: 200,
    },
    Phase {
        name: "in a WebSocket",
        request: UPGRADE,
        seen: "\r\n\r\n",
        answer: "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello",
        got: "hello",
        status: 101,
    },
];

/// When and how a worker connection was ended: `true` by FIN.
type Ended = (Instant, bool);

fn tell_end(mut accepted: Accepted, tell: &Sender<Ended>) {
    let fin = accepted.wait_for_fin();
    // The test may be over.
    let _ = tell.send((Instant::now(), fin));
}

fn expect_fin(ended: &Receiver<Ended>, left: Instant, what: &str) {
    let (when, fin) = ended.recv_timeout(PATIENCE).expect("the worker's connection ends");
    assert!(fin, "{what}: the worker gets FIN, not a reset");
    let after = when.saturating_duration_since(left);
    assert!(after < SOON, "{what}: the worker learns it after {after:?}");
}

/// Sends `total` bytes, a response head before them when asked for, until nobody takes more for [`HELD_UP`]. Returns
/// how many were taken.
fn send_until_held_up(stream: &mut TcpStream, total: usize, head: bool) -> usize {
    send_until_held_up_for(HELD_UP, stream, total, head)
}

/// As [`send_until_held_up`], until nobody takes more for so long.
fn send_until_held_up_for(
    pause: Duration,
    stream: &mut TcpStream,
    total: usize,
    head: bool,
) -> usize {
    stream.set_write_timeout(Some(pause)).expect("a write timeout");
    if head {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a head");
    }
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < total {
        let next = piece.len().min(total - sent);
        match stream.write(&piece[..next]) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("the edge closed: {error}"),
        }
    }
    sent
}

#[test]
fn a_client_that_leaves_is_passed_on_to_the_worker_as_fin() {
    let (tell, ended) = channel();
    let phases = Arc::new(AtomicUsize::new(0));
    let current = Arc::clone(&phases);
    let stub = Stub::start(move |mut accepted| {
        let phase = &PHASES[current.load(Ordering::SeqCst)];
        accepted.until(phase.seen.as_bytes());
        accepted.send(phase.answer);
        tell_end(accepted, &tell);
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut count = 0;
    for (number, phase) in PHASES.iter().enumerate() {
        phases.store(number, Ordering::SeqCst);
        for leave in [Leave::Fin, Leave::Reset] {
            let what = format!("{} by {leave:?}", phase.name);
            let mut client = edge.connect();
            client.send(phase.request);
            stub.wait_until_received(count, phase.seen);
            read_until(&mut client.stream, phase.got);
            let left = Instant::now();
            leave.by(client.stream);
            expect_fin(&ended, left, &what);
            let line = edge.wait_for_log(count + 1).remove(count);
            assert_eq!(line["http.response.status_code"], phase.status, "{what}: {line:#}");
            if phase.status != 101 {
                assert_eq!(line["edge.termination"], "client_closed", "{what}: {line:#}");
            }
            let aborted = line["edge.response_aborted"] == true;
            assert_eq!(aborted, phase.status == 200, "{what}: {line:#}");
            count += 1;
        }
    }
    assert_eq!(stub.accepted(), count, "no worker connection is used twice");
    edge.wait_for_metric(r#"asgate_requests_in_flight{upstream="u"}"#, 0.0);
    for state in ["active", "idle"] {
        edge.wait_for_metric(&connections(state, stub.address()), 0.0);
    }
}

fn connections(state: &str, worker: SocketAddr) -> String {
    format!("asgate_upstream_connections{{state=\"{state}\",upstream=\"u\",worker=\"{worker}\"}}")
}

fn read_until(stream: &mut TcpStream, text: &str) {
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains(text) {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).expect("more of the response");
        assert!(read > 0, "the response ended before {text:?}");
        got.extend_from_slice(&buffer[..read]);
    }
}

/// The worker is in the middle of a response that nobody wants any more: it may still be sending when FIN comes.
#[test]
fn a_client_that_leaves_a_big_download_is_passed_on_as_fin() {
    for leave in [Leave::Fin, Leave::Reset] {
        let (tell, ended) = channel();
        let (tell_held_up, held_up) = channel();
        let stub = Stub::start(move |mut accepted| {
            accepted.request();
            let sent = send_until_held_up(&mut accepted.stream, BIG, true);
            tell_held_up.send(sent).expect("the test listens");
            tell_end(accepted, &tell);
        });
        let edge = Edge::before(&[stub.address()], "");
        let mut client = edge.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.head().expect("a head").0, 200, "a response");
        client.bytes(1 << 20);
        let sent = held_up.recv_timeout(PATIENCE).expect("the worker is held up");
        let left = Instant::now();
        leave.by(client.stream);
        expect_fin(&ended, left, &format!("{leave:?}, {sent} bytes sent"));
        let line = edge.only_log_line();
        assert_eq!(line["edge.termination"], "client_closed", "{leave:?}: {line:#}");
        assert_eq!(line["edge.response_aborted"], true, "{leave:?}: {line:#}");
    }
}

/// A connection attempt is not given up: an opened and dropped connection can cost a worker its listener.
#[test]
fn a_client_that_leaves_while_the_worker_is_connected_to_leaves_the_connection_for_others() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("listening");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("its address");
    let filler = TcpStream::connect(address).expect("the one place in the queue");
    let edge = Edge::before(&[address], "  - { upstream: u, timeouts: { connect: 30s } }");

    let mut client = edge.connect();
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
    edge.wait_for_metric(r#"asgate_requests_in_flight{upstream="u"}"#, 1.0);
    let left = Instant::now();
    drop(client);
    let line = edge.only_log_line();
    assert!(left.elapsed() < SOON, "noticed after {:?}", left.elapsed());
    assert_eq!(line["edge.termination"], "client_closed", "{line:#}");
    assert_eq!(line["http.response.status_code"], 499, "{line:#}");

    drop(filler);
    let stub = Stub::on(listener, |mut accepted| {
        while accepted.request().is_some() {
            accepted.send(OK);
        }
    });
    // The system's second attempt comes after a second: then the connection is kept, with nothing sent on it.
    edge.wait_for_metric(&connections("idle", address), 1.0);
    assert_eq!(edge.connect().get("/next").status, 200, "the next request");
    assert_eq!(stub.accepted(), 2, "the filler and the late connection, no third");
    let line = edge.wait_for_log(2).remove(1);
    assert_eq!(line["edge.connection_reused"], true, "{line:#}");
}

/// How a worker frames its response.
const FRAMINGS: [(&str, &str, &str); 3] = [
    ("length", "content-length: 8\r\n\r\nhalf", "half"),
    ("chunked", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", "4\r\nhalf\r\n0\r\n\r\n"),
    ("until close", "connection: close\r\n\r\nhalf", "half"),
];

/// How a worker ends its response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Whole,
    Fin,
    Reset,
}

/// What a client got, and whether it must take it for whole.
fn receive(client: &mut Client, version: &str) -> (String, bool) {
    let Some((status, headers)) = client.head() else {
        return (String::new(), false);
    };
    assert_eq!(status, 200, "the worker's head is passed on");
    let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    assert!(!(chunked && version == "1.0"), "HTTP/1.0 has no chunks: {headers:?}");
    let length = headers.iter().find(|(name, _)| name == "content-length");
    if chunked {
        let mut body = Vec::new();
        loop {
            match client.chunk() {
                Some(data) if data.is_empty() => return (text(body), true),
                Some(data) => body.extend(data),
                None => return (text(body), false),
            }
        }
    }
    let (body, fin) = client.rest_to_fin();
    // Without a length the end of the connection is the end of the body: only a reset says that it is cut.
    let whole = length.map_or(fin, |(_, length)| length.parse() == Ok(body.len()));
    (text(body), whole)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_worker_that_breaks_off_is_passed_on_as_broken_off() {
    for (framing, begin, rest) in FRAMINGS {
        for end in [End::Whole, End::Fin, End::Reset] {
            for version in ["1.1", "1.0"] {
                let what = format!("{framing}, {end:?}, HTTP/{version}");
                let (whole, line) = worker_ends(begin, rest, end, version);
                let by_close = framing == "until close" && end == End::Fin;
                let expected = end == End::Whole || by_close;
                assert_eq!(whole.1, expected, "{what}: whole? {whole:?}");
                assert!(whole.0.starts_with("half"), "{what}: what came is passed on: {whole:?}");
                let termination = if expected { "ok" } else { "upstream_closed" };
                assert_eq!(line["edge.termination"], termination, "{what}: {line:#}");
                let aborted = line["edge.response_aborted"] == true;
                assert_eq!(aborted, !expected, "{what}: {line:#}");
            }
        }
    }
}

fn worker_ends(
    begin: &'static str,
    rest: &'static str,
    end: End,
    version: &str,
) -> ((String, bool), serde_json::Value) {
    let (proceed, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let stub = Stub::start(move |mut accepted| {
        accepted.request();
        accepted.send(format!("HTTP/1.1 200 OK\r\n{begin}"));
        // The client has the first half: a reset would throw away what is still on its way.
        wait.lock().expect("a lock").recv_timeout(PATIENCE).expect("word of the test");
        if end == End::Whole {
            accepted.send(rest);
        }
        match end {
            End::Reset => accepted.reset(),
            End::Whole | End::Fin => accepted.close(),
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send(format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n"));
    let mut peeked = [0; 4096];
    wait_for("the first half at the client", || {
        let read = client.stream.peek(&mut peeked).expect("a response");
        String::from_utf8_lossy(&peeked[..read]).contains("half").then_some(())
    });
    proceed.send(()).expect("the worker listens");
    let got = receive(&mut client, version);
    (got, edge.only_log_line())
}

/// The end of one HTTP/2 stream is the end of one request, not of the connection.
#[test]
fn a_client_that_resets_its_http2_stream_is_passed_on_as_fin() {
    let (tell, ended) = channel();
    let stub = Stub::start(move |mut accepted| {
        while let Some(request) = accepted.request() {
            if request.starts_with("GET /left ") {
                return tell_end(accepted, &tell);
            }
            accepted.send(OK);
        }
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = Frames::connect(edge.address());
    client.get(1, "/left");
    stub.wait_until_received(0, "GET /left ");
    let left = Instant::now();
    client.reset(1);
    expect_fin(&ended, left, "RST_STREAM");
    let line = edge.only_log_line();
    assert_eq!(line["edge.termination"], "client_closed", "{line:#}");
    assert_eq!(line["http.response.status_code"], 499, "{line:#}");
    client.get(3, "/stays");
    let frames = client.until(DATA);
    assert!(frames.iter().any(|frame| frame.payload == b"ok"), "the next stream: {frames:#?}");
}

/// A WebSocket's last words arrive although one side has sent FIN already.
#[test]
fn the_end_of_one_direction_of_a_websocket_does_not_cut_the_other() {
    let stub = Stub::start(|mut accepted| {
        accepted.request();
        accepted.send(PHASES[5].answer);
        let fin = accepted.wait_for_fin();
        sleep(Duration::from_millis(300));
        accepted.send(if fin { "last words" } else { "a reset" });
        accepted.close();
    });
    let edge = Edge::before(&[stub.address()], "");
    let mut client = edge.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().expect("a head").0, 101, "upgraded");
    client.finish();
    assert_eq!(
        text(client.rest()),
        "hellolast words",
        "what the worker says after the client's FIN"
    );
}
