//! Every client gets from the edge what the sample app gives it directly: curl, httpx, `websockets`, over HTTP/1.1 and HTTP/2.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::edge::Edge;
use crate::support::uvicorn::{Uvicorn, run_python};

/// A request for each thing the sample app does: method, target, body, status.
const REQUESTS: [(&str, &str, &str, u16); 34] = [
    ("GET", "/", "", 200),
    ("HEAD", "/", "", 405),
    ("GET", "/healthz", "", 200),
    ("GET", "/items/7?q=a%20b%26c", "", 200),
    ("GET", "/items/seven", "", 422),
    ("GET", "/slow?seconds=0.05", "", 200),
    ("GET", "/slow?seconds=-1", "", 422),
    ("GET", "/events?count=3&interval=0.01", "", 200),
    ("POST", "/upload", "hello", 200),
    ("PUT", "/upload", "", 200),
    ("PUT", "/upload", "h\u{e9}llo", 200),
    ("GET", "/upload", "", 405),
    ("GET", "/download?size=0", "", 200),
    ("GET", "/download?size=100000", "", 200),
    ("GET", "/download?size=100000&chunked=true", "", 200),
    ("GET", "/echo?a=1&a=2", "", 200),
    ("HEAD", "/echo", "", 200),
    ("POST", "/echo/a/b", "body", 200),
    ("PATCH", "/echo", "{}", 200),
    ("DELETE", "/echo", "", 200),
    ("DELETE", "/echo", "with a body", 200),
    ("OPTIONS", "/echo", "", 200),
    ("GET", "/status/200", "", 200),
    ("GET", "/status/204", "", 204),
    ("GET", "/status/304", "", 304),
    // Without a body: curl gives an upload up when it is refused before all of it is sent, which is its own race.
    ("POST", "/status/404", "", 404),
    ("HEAD", "/status/500", "", 500),
    ("GET", "/status/503", "", 503),
    ("GET", "/status/599", "", 599),
    ("GET", "/boom", "", 500),
    ("POST", "/early", "", 202),
    ("GET", "/docs", "", 200),
    ("GET", "/openapi.json", "", 200),
    ("GET", "/nothing", "", 404),
];

/// What a client got: status, the headers that are the app's to set, the body.
type Answer = (u16, BTreeMap<String, String>, String);

/// The headers that say how a message travels, and those the edge adds.
const TRAVEL: [&str; 6] =
    ["date", "connection", "transfer-encoding", "keep-alive", "x-request-id", "content-length"];

fn headers_of_the_app(lines: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    lines
        .map(|(name, value)| (name.to_lowercase(), value))
        .filter(|(name, _)| !TRAVEL.contains(&name.as_str()))
        .collect()
}

/// A body without what differs by the way it took: addresses, headers and versions in the echo.
fn comparable(body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(mut echo) if echo.get("raw_path").is_some() => {
            for differs in ["headers", "client", "server", "http_version", "url"] {
                echo[differs] = json!(null);
            }
            echo.to_string()
        }
        _ => body.to_owned(),
    }
}

/// All requests with one curl each.
fn with_curl(address: SocketAddr, version: &str) -> Vec<Answer> {
    let ask = |(method, target, body, _): &(&str, &str, &str, u16)| {
        let mut curl = curl(address, target);
        curl.args([version, "--include"]);
        match *method {
            "HEAD" => curl.arg("--head"),
            method => curl.args(["--request", method]),
        };
        if !body.is_empty() {
            curl.args(["--data-binary", body, "--header", "Content-Type: text/plain"]);
        }
        let output = curl.output().expect("curl runs");
        assert!(output.status.success(), "{method} {target} with curl {version}: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let lines = lines.filter_map(|line| line.split_once(": "));
        let headers = headers_of_the_app(lines.map(|(name, value)| (name.into(), value.into())));
        (status.expect("a status"), headers, comparable(body))
    };
    REQUESTS.iter().map(ask).collect()
}

fn curl(address: SocketAddr, target: &str) -> Command {
    let mut curl = Command::new("curl");
    let patience = ["--silent", "--show-error", "--max-time", "20"];
    curl.args(patience).arg(format!("http://{address}{target}")).stdin(Stdio::null());
    curl
}

/// Over what connections a client makes its requests.
#[derive(Clone, Copy)]
enum Over {
    One,
    OneEach,
}

/// All requests with httpx.
fn with_httpx(address: SocketAddr, version: &str, connections: Over) -> Vec<Answer> {
    let script = "
import json, sys, httpx
address, version, requests = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
limits = httpx.Limits(max_keepalive_connections=int(sys.argv[4]))
answers = []
with httpx.Client(http1=version == '1.1', http2=version == '2', timeout=20, limits=limits) as client:
    for method, target, body, status in requests:
        content = body.encode() or None
        headers = {'content-type': 'text/plain'} if content else {}
        response = client.request(method, f'http://{address}{target}', content=content, headers=headers)
        assert response.http_version == f'HTTP/{version}', response.http_version
        body = response.content.decode('utf-8', 'replace')
        answers.append([response.status_code, response.headers.multi_items(), body])
print(json.dumps(answers))
";
    let requests = json!(&REQUESTS[..]).to_string();
    let kept = match connections {
        Over::One => "1",
        Over::OneEach => "0",
    };
    let output = run_python(script, &[&address.to_string(), version, &requests, kept]);
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let answer = |answer: &Value| {
        let lines = answer[1].as_array().expect("headers").iter();
        let headers = headers_of_the_app(lines.map(|line| (text(&line[0]), text(&line[1]))));
        let status = answer[0].as_u64().and_then(|status| u16::try_from(status).ok());
        (status.expect("a status"), headers, comparable(&text(&answer[2])))
    };
    answers.iter().map(answer).collect()
}

fn curl_is_here() -> bool {
    let version = Command::new("curl").arg("--version").output();
    let here =
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("HTTP2"));
    if !here {
        eprintln!("no curl with HTTP/2 here: tried without it");
    }
    here
}

#[test]
fn curl_and_httpx_get_what_the_app_gives_directly() {
    let uvicorn = Uvicorn::start(&["--log-level", "critical"]);
    let edge = Edge::before(&[uvicorn.address()], "");
    // Uvicorn closes a connection after a request that made the app fail, without a word before; the edge knows that.
    let direct = with_httpx(uvicorn.address(), "1.1", Over::OneEach);
    for ((method, target, _, status), answer) in REQUESTS.iter().zip(&direct) {
        assert_eq!(answer.0, *status, "{method} {target} without the edge");
    }
    let mut ways = vec![
        ("httpx over HTTP/1.1", with_httpx(edge.address(), "1.1", Over::One)),
        ("httpx over HTTP/2", with_httpx(edge.address(), "2", Over::One)),
    ];
    if curl_is_here() {
        ways.push(("curl over HTTP/1.1", with_curl(edge.address(), "--http1.1")));
        ways.push(("curl over HTTP/2", with_curl(edge.address(), "--http2-prior-knowledge")));
    }
    for (way, answers) in &ways {
        for (request, (answer, expected)) in REQUESTS.iter().zip(answers.iter().zip(&direct)) {
            assert_eq!(answer, expected, "{} {} with {way}", request.0, request.1);
        }
    }
    let mut lines = edge.wait_for_log(ways.len() * REQUESTS.len());
    // A line is written when its exchange is over, so two connections may swap theirs; requests began one by one.
    lines.sort_by_key(|line| line["@timestamp"].to_string());
    for (line, (method, target, _, status)) in lines.iter().zip(REQUESTS.iter().cycle()) {
        assert_eq!(line["edge.termination"], "ok", "{method} {target}: {line}");
        assert_eq!(line["http.response.status_code"], *status, "{method} {target}: {line}");
    }
}

#[test]
fn a_response_that_breaks_off_is_broken_off_for_every_client() {
    let script = "
import sys, httpx
address, version = sys.argv[1:]
with httpx.Client(http1=version == '1.1', http2=version == '2', timeout=20) as client:
    try:
        response = client.get(f'http://{address}/abort')
    except httpx.RemoteProtocolError:
        sys.exit(0)
    sys.exit(f'taken for whole: {response} {response.content}')
";
    let uvicorn = Uvicorn::start(&["--log-level", "critical"]);
    let edge = Edge::before(&[uvicorn.address()], "");
    let mut requests = 0;
    for version in ["1.1", "2"] {
        run_python(script, &[&edge.address().to_string(), version]);
        requests += 1;
    }
    if curl_is_here() {
        // 18: a partial file; 92: an HTTP/2 stream that was not closed cleanly.
        for (version, code) in [("--http1.1", 18), ("--http2-prior-knowledge", 92)] {
            let output = curl(edge.address(), "/abort").arg(version).output().expect("curl runs");
            assert_eq!(output.status.code(), Some(code), "curl {version}: {output:?}");
            requests += 1;
        }
    }
    for line in edge.wait_for_log(requests) {
        assert_eq!(line["edge.termination"], "upstream_closed", "the log says why: {line}");
    }
}

#[test]
fn websockets_talks_to_the_sample_app() {
    let script = "
import asyncio, sys, websockets
async def main():
    async with websockets.connect(f'ws://{sys.argv[1]}/ws') as socket:
        for message in ('text', b'binary', 'x' * 100000):
            await socket.send(message)
            assert await socket.recv() == message
asyncio.run(main())
";
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    run_python(script, &[&edge.address().to_string()]);
    assert_eq!(edge.only_log_line()["http.response.status_code"], 101, "it went through the edge");
}

#[test]
fn curl_sends_large_bodies_after_100_continue() {
    if !curl_is_here() {
        return;
    }
    let uvicorn = Uvicorn::start(&[]);
    let edge = Edge::before(&[uvicorn.address()], "");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vec![b'x'; 3_000_000]).expect("written");
    for (version, expect) in [
        ("--http1.1", "Expect: 100-continue"),
        ("--http1.1", "Expect:"),
        ("--http2-prior-knowledge", "Expect:"),
    ] {
        let mut curl = curl(edge.address(), "/upload");
        let output = curl.arg(version).args(["--header", expect, "--upload-file"]).arg(file.path());
        let output = output.output().expect("curl runs");
        let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(seen["bytes"], 3_000_000, "{version} {expect}: {output:?}");
    }
}
