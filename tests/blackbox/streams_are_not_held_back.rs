//! What comes in pieces goes on in pieces, both ways: no part waits for the next one.
//!
//! The streams are in lock-step. The app sends its next part when the test says so, and the test says so when it has
//! the part before; a part that is held back anywhere stops the test. No clock is involved, but where one is said to be.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::uvicorn::{Uvicorn, run_python, supervised, test_app};

/// Far longer than a part takes that nobody holds back.
const QUIET: Duration = Duration::from_millis(150);

/// Follows a stream of the test app part by part.
const STREAM: &str = r#"
import sys, httpx
address, version, kind = sys.argv[1:]
key, steps = f"{kind}-{version}", 5
base = f"http://{address}"
options = dict(http1=version == "1.1", http2=version == "2", timeout=60)
with httpx.Client(**options) as client, httpx.Client(timeout=60) as other:
    with client.stream("GET", f"{base}/steps/{kind}/{key}") as response:
        assert response.status_code == 200, response
        assert response.http_version == f"HTTP/{version}", response.http_version
        assert ("content-length" in response.headers) == (kind == "length"), response.headers
        end = b"\n\n" if kind == "sse" else b"\n"
        parts, rest = [], b""
        for data in response.iter_raw():
            rest += data
            # Whole parts, and only one at a time: the next is sent only after this.
            assert rest.count(end) == 1 and rest.endswith(end), rest
            parts.append(rest)
            rest = b""
            if len(parts) < steps:
                assert other.post(f"{base}/next/{key}").status_code == 204
        assert len(parts) == steps, parts
        assert all(str(number).encode() in part for number, part in enumerate(parts)), parts
"#;

#[test]
fn server_sent_events_and_ndjson_arrive_one_by_one() {
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    for kind in ["sse", "ndjson", "length"] {
        for version in ["1.1", "2"] {
            run_python(STREAM, &[&edge.address().to_string(), version, kind]);
        }
    }
}

#[test]
fn server_sent_events_arrive_one_by_one_from_supervised_workers() {
    let upstream = supervised(&test_app(), "");
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\", http2: true }}]\nupstreams: {{ u: {upstream} }}\n\
         routes: [{{ upstream: u }}]\n"
    ));
    for version in ["1.1", "2"] {
        run_python(STREAM, &[&edge.address().to_string(), version, "sse"]);
    }
}

#[test]
fn the_sample_apps_events_are_spread_over_the_time_they_were_sent_in() {
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    let mut client = edge.connect();
    client.send("GET /events?count=2&interval=4 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let (status, headers) = client.head().expect("a head");
    assert_eq!(status, 200, "{headers:?}");
    assert!(headers.contains(&("content-type".into(), "text/event-stream; charset=utf-8".into())));
    assert!(headers.contains(&("cache-control".into(), "no-cache".into())), "{headers:?}");
    let first = client.chunk().expect("an event");
    assert!(client.is_quiet_for(QUIET), "the next one is not sent yet");
    let mut events = String::from_utf8(first).expect("text");
    assert_eq!(events, "id: 0\ndata: event 0\n\n", "the first one by itself");
    while let Some(event) = client.chunk().filter(|event| !event.is_empty()) {
        events += &String::from_utf8_lossy(&event);
    }
    let expected: String = (0..2).map(|n| format!("id: {n}\ndata: event {n}\n\n")).collect();
    assert_eq!(events, expected, "all of them");
}

/// How a worker may frame a body.
struct Framing {
    name: &'static str,
    header: &'static str,
    part: fn(&str) -> String,
    end: &'static str,
}

const FRAMINGS: [Framing; 3] = [
    Framing {
        name: "chunked",
        header: "transfer-encoding: chunked",
        part: |part| format!("{:x}\r\n{part}\r\n", part.len()),
        end: "0\r\n\r\n",
    },
    Framing { name: "content-length", header: "content-length: 30", part: str::to_owned, end: "" },
    Framing { name: "close", header: "connection: close", part: str::to_owned, end: "" },
];

/// A worker that sends `part-N\n`, ten bytes each, whenever it is sent a byte on `step`.
fn stepper(step: SocketAddr) -> Stub {
    Stub::start(move |mut accepted| {
        let Some(head) = accepted.request_head() else {
            return;
        };
        let asked_for = |framing: &&Framing| head.starts_with(&format!("GET /{} ", framing.name));
        let Some(framing) = FRAMINGS.iter().find(asked_for) else {
            return;
        };
        let mut step = Client::connect(step);
        accepted.send(format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", framing.header));
        for number in 0..3 {
            step.bytes(1);
            accepted.send((framing.part)(&format!("part-{number:04}\n")));
        }
        step.bytes(1);
        accepted.send(framing.end);
        accepted.close();
    })
}

#[test]
fn every_framing_goes_on_piece_by_piece_down_to_the_head() {
    let steps = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let worker = stepper(steps.local_addr().expect("its address"));
    let edge = Edge::before(&[worker.address()], "");
    for Framing { name, .. } in FRAMINGS {
        let mut client = edge.connect();
        client.send(format!("GET /{name} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let (mut step, _) = steps.accept().expect("the worker");
        // The head alone, before there is a body.
        let (status, headers) = client.head().expect("a head");
        assert_eq!(status, 200, "{name}: {headers:?}");
        let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        assert_eq!(chunked, name != "content-length", "{name}: {headers:?}");
        for number in 0..3 {
            assert!(client.is_quiet_for(QUIET), "{name}: a part that was not sent yet");
            step.write_all(b"x").expect("a step");
            let expected = format!("part-{number:04}\n");
            let part = if chunked { client.chunk().expect("a part") } else { client.bytes(10) };
            assert_eq!(String::from_utf8_lossy(&part), expected, "{name}: exactly this part");
        }
        step.write_all(b"x").expect("a step");
        if chunked {
            assert_eq!(client.chunk().as_deref(), Some(&b""[..]), "{name}: the end");
        }
        assert_eq!(client.get("/no").status, 502, "the client's connection goes on after {name}");
    }
}

#[test]
fn the_worker_has_the_first_bytes_of_an_upload_before_the_client_sends_the_last() {
    let script = r#"
import sys, time, httpx
address, version, framing = sys.argv[1:]
key, base, steps, size = f"{framing}-{version}", f"http://{sys.argv[1]}", 5, 1000
options = dict(http1=version == "1.1", http2=version == "2", timeout=60)

def body():
    with httpx.Client(timeout=60) as other:
        for number in range(steps):
            until = time.monotonic() + 60
            while (received := other.get(f"{base}/received/{key}").json()) != number * size:
                assert time.monotonic() < until, f"the app has {received} bytes of {number * size}"
            yield b"x" * size

headers = {"content-length": str(steps * size)} if framing == "length" else {}
with httpx.Client(**options) as client:
    response = client.put(f"{base}/receive/{key}", content=body(), headers=headers)
    assert response.http_version == f"HTTP/{version}", response.http_version
    assert response.json() == steps * size, response.text
"#;
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    for (version, framing) in
        [("1.1", "chunked"), ("1.1", "length"), ("2", "none"), ("2", "length")]
    {
        run_python(script, &[&edge.address().to_string(), version, framing]);
    }
}

#[test]
fn request_and_response_may_flow_at_the_same_time() {
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    let mut client = edge.connect();
    client.send("POST /duplex HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    // In lock-step: the answer to each part before the next is sent.
    for number in 0..20 {
        let part = format!("part {number}");
        client.send(format!("{:x}\r\n{part}\r\n", part.len()));
        if number == 0 {
            assert_eq!(client.head().map(|(status, _)| status), Some(200), "the head");
        }
        let echo = client.chunk().expect("an echo");
        assert_eq!(String::from_utf8_lossy(&echo), part, "the echo of part {number}");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk().as_deref(), Some(&b""[..]), "the end");
}

#[test]
fn more_than_all_buffers_hold_is_echoed_without_a_deadlock() {
    const PARTS: usize = 512;
    const SIZE: usize = 64 * 1024;
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    let mut client = edge.connect();
    client.send("POST /duplex HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut sender = client.stream.try_clone().expect("a second handle");
    let sending = std::thread::spawn(move || {
        for number in 0..PARTS {
            let fill = u8::try_from(number % 251).expect("a byte");
            let mut part = format!("{SIZE:x}\r\n").into_bytes();
            part.extend(std::iter::repeat_n(fill, SIZE));
            part.extend(b"\r\n");
            sender.write_all(&part).expect("sent");
        }
        sender.write_all(b"0\r\n\r\n").expect("sent");
    });
    assert_eq!(client.head().map(|(status, _)| status), Some(200), "the head");
    let mut received = 0;
    while let Some(chunk) = client.chunk().filter(|chunk| !chunk.is_empty()) {
        for byte in chunk {
            let expected = (received / SIZE) % 251;
            assert_eq!(usize::from(byte), expected, "byte {received} of the echo");
            received += 1;
        }
    }
    sending.join().expect("all was sent");
    assert_eq!(received, PARTS * SIZE, "all of it came back");
}
