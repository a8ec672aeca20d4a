//! Streams, WebSockets and uploads over TLS: as without it.

use crate::support::certificates::Authority;
use crate::support::http2;
use crate::support::stub::Stub;
use crate::support::tls::{Offer, Tls, Tunnel};
use crate::support::uvicorn::{Uvicorn, run_python, test_app};

use super::{SITE, site};

/// What each script begins with.
const PRELUDE: &str = r#"
import asyncio, hashlib, os, ssl, sys
import httpx, websockets
from websockets.asyncio.client import connect
address, ca = sys.argv[1:3]
trust = ssl.create_default_context(cafile=ca)

def client(version):
    return httpx.Client(http1=version == "1.1", http2=version == "2", verify=trust, timeout=30)
"#;

/// Runs a script with an edge before an app, for each version of the app's directory.
fn run(worker: &Uvicorn, script: &str) {
    let authority = Authority::create();
    let edge = site(&authority, worker.address(), "", "");
    let address = edge.address().to_string();
    let ca = authority.certificate().display().to_string();
    run_python(&format!("{PRELUDE}{script}"), &[&address, &ca]);
}

#[test]
fn events_arrive_one_by_one() {
    run(
        &Uvicorn::serving(&test_app(), &[]),
        r#"
for version in ("1.1", "2"):
    with client(version) as reading, client("1.1") as other:
        with reading.stream("GET", f"https://{address}/steps/sse/tls-{version}") as response:
            assert response.http_version == f"HTTP/{version}", response.http_version
            parts, rest = 0, b""
            for data in response.iter_raw():
                rest += data
                # Whole parts, and only one at a time: the next is sent only after this.
                assert rest.count(b"\n\n") == 1 and rest.endswith(b"\n\n"), rest
                parts, rest = parts + 1, b""
                if parts < 5:
                    assert other.post(f"https://{address}/next/tls-{version}").status_code == 204
            assert parts == 5, parts
"#,
    );
}

#[test]
fn websockets_pass() {
    run(
        &Uvicorn::serving(&test_app(), &[]),
        r#"
async def main():
    async with connect(f"wss://{address}/ws", ssl=trust, max_size=None) as socket:
        for message in ["hello", b"", "h\u00e9llo", os.urandom(1 << 20)] * 5:
            await socket.send(message)
            assert await socket.recv() == message
    async with connect(f"wss://{address}/ws/scope", ssl=trust) as socket:
        scope = __import__("json").loads(await socket.recv())
        assert scope["url"].startswith("wss://"), scope
        assert [value for name, value in scope["headers"] if name == "x-forwarded-proto"] == ["https"], scope

asyncio.run(asyncio.wait_for(main(), 30))
"#,
    );
}

/// 64 MiB each way, by length and in pieces.
#[test]
fn large_bodies_pass_both_ways() {
    run(
        &Uvicorn::start(&[]),
        r#"
size, piece = 64 << 20, bytes(range(256)) * 1024
expected = hashlib.sha256(piece * (size // len(piece))).hexdigest()
for version in ("1.1", "2"):
    with client(version) as sending:
        for headers in ({"content-length": str(size)}, {}):
            body = (piece for _ in range(size // len(piece)))
            seen = sending.put(f"https://{address}/upload", content=body, headers=headers).json()
            assert seen == {"bytes": size, "sha256": expected}, (version, headers, seen)
        digest, read = hashlib.sha256(), 0
        with sending.stream("GET", f"https://{address}/download?size={size}") as response:
            for data in response.iter_raw():
                digest.update(data)
                read += len(data)
        assert (read, digest.hexdigest()) == (size, expected), (version, read)
"#,
    );
}

/// Uploads over HTTP/2 without a length, whose last frame is empty (Pingora #935).
const UPLOADS: &str = r#"
answers = []
for n in range(12):
    stream = c.open("POST", f"/upload?n={n}", end=False)
    c.data(stream, b"hello")
    c.data(stream, b"", end=True)
    answer = c.answer(stream)
    answers.append([answer["status"], answer["body"]])
tell(answers)
"#;

#[test]
fn an_http2_upload_that_ends_in_an_empty_frame_ends_once() {
    let authority = Authority::create();
    let tls = Tls::trusting(&authority, Offer { alpn: &["h2"], ..Offer::default() });
    let stub = Stub::ok();
    let edge = site(&authority, stub.address(), "", "");
    let tunnel = Tunnel::to(edge.address(), &tls, SITE);
    let answers = http2::run(tunnel.address(), UPLOADS);
    let answers = answers.as_array().expect("answers");
    assert!(answers.iter().all(|answer| answer[0] == 200), "{answers:?}");
    let received = stub.received_in_all();
    assert_eq!(received.matches("\r\n5\r\nhello\r\n0\r\n\r\n").count(), 12, "{received}");
    assert_eq!(received.matches("0\r\n\r\n").count(), 12, "one terminator each: {received}");

    for parser in ["httptools", "h11"] {
        let uvicorn = Uvicorn::start(&["--http", parser]);
        let edge = site(&authority, uvicorn.address(), "", "");
        let tunnel = Tunnel::to(edge.address(), &tls, SITE);
        for answer in http2::run(tunnel.address(), UPLOADS).as_array().expect("answers") {
            assert_eq!(answer[0], 200, "{parser}: {answer}");
            let body = answer[1].as_str().unwrap_or_default();
            assert!(body.contains("\"bytes\":5"), "{parser}: read whole: {body}");
        }
        for line in edge.wait_for_log(12) {
            assert_eq!(line["tls.protocol.version"], "1.3", "{line}");
            assert_eq!(line["http.version"], "2", "{line}");
        }
    }
}
