//! WebSockets pass as they are: messages, control frames, close codes, subprotocols, refusals. Nothing else is upgraded.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::closed_port::ClosedPort;
use crate::support::edge::Edge;
use crate::support::stub::Stub;
use crate::support::uvicorn::{Uvicorn, run_python, supervised, test_app};

/// A worker's word that it speaks WebSocket from now on.
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An edge before the test app: `/…` over TCP, `/sub/…` on the same app below a prefix that is stripped.
fn edge_before(worker: SocketAddr) -> Edge {
    let routes = "  - { match: { path: /sub }, upstream: u, rewrite: { strip_prefix: /sub } }\n  - upstream: u";
    Edge::before(&[worker], routes)
}

/// Runs a script body as a coroutine that knows `base` (`ws://…`), `http` (`http://…`) and the `websockets` library.
fn run(address: SocketAddr, body: &str) -> Value {
    let lines: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let script = format!(
        "import asyncio, hashlib, json, os, sys, httpx, websockets\n\
         from websockets.asyncio.client import connect\n\
         base, http = 'ws://' + sys.argv[1], 'http://' + sys.argv[1]\n\
         async def main():\n{lines}\n\
         result = asyncio.run(asyncio.wait_for(main(), 60))\n\
         print(json.dumps(result))\n"
    );
    let output = run_python(&script, &[&address.to_string()]);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Every kind of message there and back, with and without compression, and what they were sent through.
const EXCHANGE: &str = "
for compression in (None, 'deflate'):
    async with connect(base + PATH, compression=compression, max_size=None) as socket:
        for message in ('hello', '', 'h\u{e9}llo', b'', b'\\x00\\xff', 'x' * 125, 'x' * 126, b'y' * 65535, b'y' * 65536):
            await socket.send(message)
            assert await socket.recv() == message, message[:10]
        big = os.urandom(1 << 20)
        for _ in range(3):
            await socket.send(big)
            assert await socket.recv() == big
        await socket.send(iter(['in ', 'three ', 'fragments']))
        assert await socket.recv() == 'in three fragments'
        pong = await socket.ping(b'are you there')
        assert await asyncio.wait_for(pong, 5) >= 0
        # Many on the way at once, in order.
        numbers = [str(number) for number in range(500)]
        for number in numbers:
            await socket.send(number)
        assert [await socket.recv() for _ in numbers] == numbers
return True
";

#[test]
fn messages_of_every_kind_and_size_are_echoed() {
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = edge_before(uvicorn.address());
    for path in ["/ws", "/sub/ws"] {
        run(edge.address(), &EXCHANGE.replace("PATH", &format!("'{path}'")));
    }
    let lines = edge.wait_for_log(4);
    for line in &lines {
        assert_eq!(line["http.response.status_code"], 101, "{line}");
        assert_eq!(line["edge.termination"], "ok", "closed in order: {line}");
        let bytes = line["http.response.body.bytes"].as_u64();
        assert!(bytes.is_some_and(|bytes| bytes > 3 << 20), "its bytes are counted: {line}");
    }
}

#[test]
fn every_websocket_server_of_uvicorn_is_served_over_a_unix_socket_too() {
    for implementation in ["websockets-sansio", "wsproto"] {
        let uvicorn = Uvicorn::serving(&test_app(), &["--ws", implementation, "--http", "h11"]);
        let edge = edge_before(uvicorn.address());
        run(edge.address(), &EXCHANGE.replace("PATH", "'/ws'"));
    }
    let upstream = supervised(&test_app(), "");
    let edge = Edge::start(&format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]\nupstreams: {{ u: {upstream} }}\nroutes: [{{ upstream: u }}]\n"
    ));
    run(edge.address(), &EXCHANGE.replace("PATH", "'/ws'"));
}

#[test]
fn close_codes_pass_from_both_sides() {
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = edge_before(uvicorn.address());
    let from_the_app = "
seen = []
for code in (1000, 1001, 1008, 1011, 3000, 4999):
    async with connect(f'{base}/ws/close/{code}') as socket:
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd_then_sent, closed
            assert (closed.rcvd.code, closed.rcvd.reason) == (code, f'reason {code}'), closed
            seen.append(code)
return seen
";
    assert_eq!(run(edge.address(), from_the_app).to_string(), "[1000,1001,1008,1011,3000,4999]");
    let from_the_client = "
seen = []
async with httpx.AsyncClient() as client:
    for code, reason in ((1000, ''), (1001, 'going'), (3003, 'h\u{e9}'), (4000, 'x' * 123)):
        socket = await connect(f'{base}/ws')
        await socket.close(code, reason)
        assert socket.close_code == code, socket.close_code
        closed = (await client.get(http + '/closed')).json()
        assert closed == [code, reason], closed
        seen.append(code)
    # A client that is gone without a word is gone for the app as well.
    socket = await connect(f'{base}/ws')
    socket.transport.abort()
    closed = (await client.get(http + '/closed')).json()
    assert closed[0] in (1005, 1006), closed
return seen
";
    assert_eq!(run(edge.address(), from_the_client).to_string(), "[1000,1001,3003,4000]");
}

#[test]
fn subprotocols_and_headers_of_the_handshake_pass() {
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = edge_before(uvicorn.address());
    let script = "
headers = {'X-Ordinary': 'kept', 'Cookie': 'a=b', 'Authorization': 'Bearer t'}
async with connect(base + '/sub/ws/scope?q=1', subprotocols=['a.v1', 'b.v2'], additional_headers=headers,
                   origin='https://page.example') as socket:
    seen = json.loads(await socket.recv())
async with connect(base + '/ws', subprotocols=['a.v1', 'b.v2']) as socket:
    seen['chosen'] = socket.subprotocol
    seen['response'] = {name.lower(): value for name, value in socket.response.headers.raw_items()}
return seen
";
    let seen = run(edge.address(), script);
    assert_eq!(seen["path"], "/ws/scope", "the prefix is stripped: {seen:#}");
    assert_eq!(seen["url"], format!("ws://{}/ws/scope?q=1", edge.address()), "{seen:#}");
    assert_eq!(seen["subprotocols"].to_string(), r#"["a.v1","b.v2"]"#, "{seen:#}");
    assert_eq!(seen["chosen"], "b.v2", "the app's choice: {seen:#}");
    assert_eq!(seen["response"]["x-from-the-app"], "yes", "the app's header: {seen:#}");
    assert!(seen["response"]["x-request-id"].is_string(), "the edge's header: {seen:#}");
    let headers = seen["headers"].to_string();
    for line in [
        r#"["x-ordinary","kept"]"#,
        r#"["cookie","a=b"]"#,
        r#"["authorization","Bearer t"]"#,
        r#"["origin","https://page.example"]"#,
        r#"["sec-websocket-version","13"]"#,
        r#"["x-forwarded-for","127.0.0.1"]"#,
    ] {
        assert!(headers.contains(line), "{line} reaches the app: {headers}");
    }
}

#[test]
fn a_refused_upgrade_is_a_response_like_any_other() {
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = edge_before(uvicorn.address());
    for (number, (path, status, header, body)) in [
        ("/ws/reject", 403, None, ""),
        ("/ws/deny", 401, Some(("www-authenticate", "Basic")), "who are you?"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = edge.connect();
        client.send(handshake(path));
        let response = client.response();
        assert_eq!(response.status, status, "{path}: {response:?}");
        assert!(response.complete, "{path}: {response:?}");
        assert!(response.text().starts_with(body), "{path}: {}", response.text());
        if let Some((name, value)) = header {
            assert_eq!(response.header(name), Some(value), "{path}: {response:?}");
        }
        assert!(response.header("upgrade").is_none(), "{path}: {response:?}");
        let line = edge.wait_for_log(number + 1).remove(number);
        assert_eq!(line["http.response.status_code"], status, "{path}: {line}");
        assert_eq!(line["edge.termination"], "ok", "the app's answer, {path}: {line}");
    }
}

#[test]
fn a_hundred_at_once_are_kept_apart_and_leave_nothing_behind() {
    let uvicorn = Uvicorn::serving(&test_app(), &[]);
    let edge = edge_before(uvicorn.address());
    let script = "
async def one(number):
    async with connect(base + '/ws', compression=None, open_timeout=60) as socket:
        for turn in range(10):
            message = f'{number}:{turn}:' + 'x' * number * 10
            await socket.send(message)
            assert await socket.recv() == message
    return number
return sum(await asyncio.gather(*(one(number) for number in range(100))))
";
    assert_eq!(run(edge.address(), script), 4950, "the sum of all numbers");
    edge.wait_for_log(100);
    edge.wait_for_metric(r#"asgate_requests_in_flight{upstream="u"}"#, 0.0);
    let listener = r#"asgate_listener_connections{listener="127.0.0.1:0"}"#;
    assert!(edge.metrics().contains(listener), "that is its name");
    edge.wait_for_metric(listener, 0.0);
}

#[test]
fn bytes_directly_behind_the_handshake_arrive() {
    for (name, parts) in [
        ("in one write", vec![format!("{SWITCHING}\u{1}first bytes")]),
        ("in two", vec![SWITCHING.to_owned(), "\u{1}first bytes".to_owned()]),
        (
            "cut in the head",
            vec![SWITCHING[..40].to_owned(), format!("{}\u{1}first bytes", &SWITCHING[40..])],
        ),
    ] {
        let worker = Stub::start(move |mut accepted| {
            let Some(_) = accepted.request_head() else {
                return;
            };
            for part in &parts {
                accepted.send(part);
            }
            // What the client sent with its request, then an echo of what comes later.
            let Some(early) = accepted.bytes(5) else {
                return;
            };
            accepted.send(early);
            let Some(late) = accepted.bytes(4) else {
                return;
            };
            accepted.send(late);
            accepted.wait_for_fin();
        });
        let edge = edge_before(worker.address());
        let mut client = edge.connect();
        client.send(format!("{}early", handshake("/any")));
        assert_eq!(client.head().map(|(status, _)| status), Some(101), "{name}");
        assert_eq!(client.bytes(12), b"\x01first bytes", "{name}: what the worker said at once");
        assert_eq!(client.bytes(5), b"early", "{name}: what the client said at once");
        client.send("late");
        assert_eq!(client.bytes(4), b"late", "{name}: what it said then");
        client.finish();
        assert_eq!(client.rest(), b"", "{name}: ended by FIN");
    }
}

/// Who has heard a Close frame answers with one (RFC 6455 §5.5.1): a worker that ends the connection without it is gone,
/// and so it is for a client, which reads 1006.
#[test]
fn a_worker_closes_with_a_close_frame_or_is_gone() {
    let asked: &[u8] = b"\x88\x82mask\x6e\x89";
    let message: &[u8] = b"\x81\x02hi";
    let close: &[u8] = b"\x88\x02\x03\xe8";
    for (name, is_asked, says, expected) in [
        ("that it was asked for", true, close, "ok"),
        ("of its own accord", false, close, "ok"),
        ("after a message", false, &[message, close].concat(), "ok"),
        ("before it answers a ping", true, &[close, b"\x8a\x04ping"].concat(), "ok"),
        ("without an answer", true, b"".as_slice(), "upstream_closed"),
        ("with something else", true, message, "upstream_closed"),
        ("out of the blue", false, message, "upstream_closed"),
        ("and goes on", true, &[close, message].concat(), "upstream_closed"),
    ] {
        let said = says.to_vec();
        let worker = Stub::start(move |mut accepted| {
            let Some(_) = accepted.request_head() else {
                return;
            };
            accepted.send(SWITCHING);
            if is_asked && accepted.bytes(asked.len()).is_none() {
                return;
            }
            accepted.send(&said);
        });
        let edge = edge_before(worker.address());
        let mut client = edge.connect();
        client.send(handshake("/ws"));
        assert_eq!(client.head().map(|(status, _)| status), Some(101), "{name}");
        if is_asked {
            client.send(asked);
        }
        assert_eq!(client.rest(), says, "{name}: what the worker said");
        drop(client);
        let line = edge.only_log_line();
        assert_eq!(line["edge.termination"], expected, "{name}");
        let broke_off = expected != "ok";
        assert_eq!(line["edge.response_aborted"] == true, broke_off, "{name}: {line}");
    }
}

#[test]
fn only_websockets_are_upgraded() {
    let worker = Stub::echoing();
    let edge = edge_before(worker.address());
    let mut client = edge.connect();
    for (name, lines, upgraded) in [
        (
            "h2c",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            false,
        ),
        ("another", "Connection: Upgrade\r\nUpgrade: something\r\n", false),
        ("TLS", "Connection: upgrade\r\nUpgrade: TLS/1.2\r\n", false),
        (
            "without the connection's word",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            false,
        ),
        (
            "a WebSocket",
            "Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
            true,
        ),
    ] {
        client.send(format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n", name.len()));
        let response = client.response();
        assert_eq!(response.status, 200, "{name} is answered as any request: {response:?}");
        let head = response.text().to_lowercase();
        assert_eq!(
            head.contains("\r\nupgrade:"),
            upgraded,
            "Upgrade at the worker, {name}: {head}"
        );
        let connection = head.contains("\r\nconnection: upgrade\r\n");
        assert_eq!(connection, upgraded, "Connection at the worker, {name}: {head}");
        assert!(!head.contains("http2-settings"), "no HTTP2-Settings, {name}: {head}");
    }
}

#[test]
fn a_client_can_tell_a_refusal() {
    let worker = Stub::answering(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n");
    let edge = edge_before(worker.address());
    let refused = "
try:
    await connect(base + '/ws')
except websockets.InvalidStatus as error:
    return error.response.status_code
";
    assert_eq!(run(edge.address(), refused), 426, "the client can tell a refusal");
}

fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

#[test]
fn an_upgrade_to_a_worker_that_is_gone_is_answered_with_502() {
    let nobody = ClosedPort::reserve();
    let edge = edge_before(nobody.address());
    let mut client = Client::connect(edge.address());
    client.send(handshake("/ws"));
    assert_eq!(client.response().status, 502, "nobody is there to upgrade");
    assert_eq!(
        edge.only_log_line()["edge.termination"],
        "upstream_connect",
        "and the log says why"
    );
}
