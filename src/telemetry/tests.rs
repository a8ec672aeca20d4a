//! One exchange, one line, one count: the promises of the module as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use serde_json::Value;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);
const GUIDE_NAME: &str = "docs/guides/operations.md";
const GUIDE: &str = include_str!("../../docs/guides/operations.md");

/// An output that keeps everything for the test to read.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("log lines are UTF-8")
    }
}

fn telemetry(access: AccessLog) -> (Telemetry, Kept) {
    let kept = Kept::default();
    let telemetry = Telemetry::new(access, Box::new(kept.clone())).expect("telemetry starts");
    (telemetry, kept)
}

/// A request refused before anything was known of it but its first line.
fn refused() -> Exchange<'static> {
    Exchange {
        request_id: "0198-refused",
        method: "GET",
        http_version: "1.1",
        status: 400,
        scheme: "http",
        host: "",
        path: "/",
        query: None,
        request_body: 0,
        response_body: 120,
        client_ip: None,
        client_port: None,
        user_agent: None,
        traceparent: None,
        tls: None,
        started: UNIX_EPOCH + Duration::new(1_770_091_506, 7_000),
        duration: Duration::from_micros(80),
        route: None,
        upstream: None,
        worker: None,
        worker_pid: None,
        connection_reused: None,
        attempts: 0,
        retry_reason: None,
        rate_limit_dry_run: false,
        queue: Duration::ZERO,
        connect: None,
        ttfb: None,
        termination: "bad_request",
        response_aborted: false,
        error: None,
    }
}

/// The TLS of a client that gave neither a name nor a certificate.
fn anonymous() -> TlsLine<'static> {
    TlsLine {
        version: "1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        server_name: None,
        resumed: true,
        client: None,
    }
}

#[test]
fn a_full_exchange_is_written_with_every_key() {
    let (telemetry, kept) = telemetry(AccessLog::Ecs);
    let route = telemetry.metrics().route("api");
    let client = ClientCertificate { subject: "CN=ann,O=Example\\, Inc.", fingerprint: "0f9a" };
    let tls = TlsLine { server_name: Some("api.example.com"), client: Some(client), ..anonymous() };
    telemetry.finish(&Exchange {
        request_id: "0198-full",
        method: "POST",
        http_version: "2",
        status: 502,
        scheme: "https",
        host: "api.example.com",
        path: "/items",
        query: Some("a=1&b=%22"),
        request_body: 1_234,
        response_body: 56_789,
        client_ip: Some([203, 0, 113, 7].into()),
        client_port: Some(50_123),
        user_agent: Some(b"agent \"7\"\xff"),
        traceparent: Some(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        tls: Some(&tls),
        duration: Duration::from_millis(1_500),
        route: Some(&route),
        upstream: Some("backend"),
        worker: Some("2"),
        worker_pid: Some(4_711),
        connection_reused: Some(true),
        attempts: 2,
        retry_reason: Some("stale"),
        rate_limit_dry_run: true,
        queue: Duration::from_nanos(900),
        connect: Some(Duration::from_micros(40)),
        ttfb: Some(Duration::from_millis(3)),
        termination: "upstream_closed",
        response_aborted: true,
        error: Some("closed\nearly"),
        ..refused()
    });
    assert!(telemetry.close(PATIENCE), "the writer finishes");
    let expected = concat!(
        r#"{"@timestamp":"2026-02-03T04:05:06.000007Z","log.level":"warn","#,
        r#""ecs.version":"8.11.0","service.name":"asgate","event.dataset":"edge.access","#,
        r#""message":"POST /items 502","event.duration":1500000000,"#,
        r#""http.request.method":"POST","http.request.id":"0198-full","http.version":"2","#,
        r#""http.response.status_code":502,"http.request.body.bytes":1234,"#,
        r#""http.response.body.bytes":56789,"url.scheme":"https","#,
        r#""url.domain":"api.example.com","url.path":"/items","url.query":"a=1&b=%22","#,
        r#""client.ip":"203.0.113.7","client.port":50123,"#,
        r#""user_agent.original":"agent \"7\""#,
        "\u{fffd}\",",
        r#""tls.protocol.version":"1.3","tls.cipher":"TLS_AES_128_GCM_SHA256","#,
        r#""tls.client.server_name":"api.example.com","tls.resumed":true,"#,
        r#""tls.client.subject":"CN=ann,O=Example\\, Inc.","tls.client.hash.sha256":"0F9A","#,
        r#""trace.id":"4bf92f3577b34da6a3ce929d0e0e4736","#,
        r#""edge.route":"api","edge.upstream":"backend","edge.worker":"2","#,
        r#""edge.worker_pid":4711,"edge.connection_reused":true,"edge.attempts":2,"#,
        r#""edge.retry_reason":"stale","edge.rate_limit_dry_run":true,"edge.queue_ns":900,"#,
        r#""edge.connect_ns":40000,"edge.ttfb_ns":3000000,"edge.termination":"upstream_closed","#,
        r#""edge.response_aborted":true,"error.message":"closed\nearly"}"#,
        "\n",
    );
    assert_eq!(kept.text(), expected, "the whole line");
    let line = serde_json::from_str::<BTreeMap<String, Value>>(expected).expect("one JSON object");
    assert_eq!(documented(), line.into_keys().collect(), "the keys in {GUIDE_NAME}");
}

/// The keys that the table of the guide has: those between backticks in its first column.
fn documented() -> BTreeSet<String> {
    let (_, table) = GUIDE.split_once("\n| key |").expect("the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let names = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|names| names.split('`'));
    let names = names.filter(|name| name.contains(|c: char| c.is_ascii_lowercase()));
    names.map(str::to_owned).collect()
}

#[test]
fn what_is_not_known_is_left_out() {
    let (telemetry, kept) = telemetry(AccessLog::Ecs);
    telemetry.finish(&refused());
    assert!(telemetry.close(PATIENCE), "the writer finishes");
    let expected = concat!(
        r#"{"@timestamp":"2026-02-03T04:05:06.000007Z","log.level":"info","#,
        r#""ecs.version":"8.11.0","service.name":"asgate","event.dataset":"edge.access","#,
        r#""message":"GET / 400","event.duration":80000,"#,
        r#""http.request.method":"GET","http.request.id":"0198-refused","http.version":"1.1","#,
        r#""http.response.status_code":400,"http.request.body.bytes":0,"#,
        r#""http.response.body.bytes":120,"url.scheme":"http","url.path":"/","#,
        r#""edge.attempts":0,"edge.queue_ns":0,"edge.termination":"bad_request"}"#,
        "\n",
    );
    assert_eq!(kept.text(), expected, "the whole line");
}

#[test]
fn a_client_without_a_certificate_has_no_name_for_it() {
    let mut out = Vec::new();
    access::append_line(&mut out, &Exchange { tls: Some(&anonymous()), ..refused() });
    let line: Value = serde_json::from_slice(&out).expect("one JSON object");
    let told: Vec<_> = line.as_object().expect("an object").keys().collect();
    let told: Vec<_> = told.into_iter().filter(|key| key.starts_with("tls.")).collect();
    assert_eq!(told, ["tls.protocol.version", "tls.cipher", "tls.resumed"], "{line}");
}

#[test]
fn no_client_text_can_forge_a_second_line() {
    let hostile = "x\r\n{\"message\":\"forged\"}\u{2028}\u{85}\u{0}\"}\n";
    let client = ClientCertificate { subject: hostile, fingerprint: hostile };
    let tls = TlsLine { server_name: Some(hostile), client: Some(client), ..anonymous() };
    let (telemetry, kept) = telemetry(AccessLog::Ecs);
    telemetry.finish(&Exchange {
        request_id: hostile,
        method: hostile,
        host: hostile,
        path: hostile,
        query: Some(hostile),
        user_agent: Some(hostile.as_bytes()),
        traceparent: Some(hostile.as_bytes()),
        error: Some(hostile),
        tls: Some(&tls),
        ..refused()
    });
    assert!(telemetry.close(PATIENCE), "the writer finishes");
    let text = kept.text();
    let breaks = |c: char| c == '\u{2028}' || c == '\u{85}' || c == '\r' || c == '\n';
    assert_eq!(text.matches(breaks).count(), 1, "one line break, at the end: {text}");
    assert!(text.ends_with("}\n"), "a whole line: {text}");
    let line: Value = serde_json::from_str(&text).expect("one JSON object");
    let keys = [
        "http.request.method",
        "url.domain",
        "url.path",
        "url.query",
        "tls.client.server_name",
        "tls.client.subject",
        "error.message",
    ];
    for key in keys {
        assert_eq!(line[key], hostile, "{key} comes back as it was");
    }
    assert!(line.get("trace.id").is_none(), "a forged traceparent gives no trace id");
}

#[test]
fn only_failures_of_the_edge_are_warnings() {
    let table = [
        (200, TERMINATION_OK, false, "info"),
        (500, TERMINATION_OK, false, "info"),
        (404, "no_route", false, "info"),
        (499, "client_closed", false, "info"),
        (503, "queue_full", false, "warn"),
        (504, "upstream_timeout", false, "warn"),
        (200, "upstream_closed", true, "warn"),
    ];
    for (status, termination, response_aborted, level) in table {
        let mut out = Vec::new();
        let exchange = Exchange { status, termination, response_aborted, ..refused() };
        access::append_line(&mut out, &exchange);
        let line: Value = serde_json::from_slice(&out).expect("one JSON object");
        assert_eq!(line["log.level"], level, "{status} {termination}");
        let told = line.get("edge.response_aborted").is_some();
        assert_eq!(told, response_aborted, "edge.response_aborted of {status} {termination}");
    }
}

#[test]
fn a_request_is_counted_with_and_without_an_access_log() {
    for (access, lines) in [(AccessLog::Ecs, 1), (AccessLog::Off, 0)] {
        let (telemetry, kept) = telemetry(access);
        telemetry.finish(&refused());
        assert!(telemetry.close(PATIENCE), "the writer finishes");
        assert_eq!(kept.text().lines().count(), lines, "lines with {access:?}");
        let metrics = telemetry.metrics().render();
        let counted = "asgate_requests_total{code=\"400\",method=\"GET\",route=\"none\"} 1";
        assert!(metrics.contains(counted), "{access:?}: {metrics}");
    }
}

#[test]
fn worker_output_is_written_even_without_an_access_log() {
    let (telemetry, kept) = telemetry(AccessLog::Off);
    let origin = WorkerOrigin { upstream: "backend", worker: "0", generation: 1, pid: 7 };
    telemetry.worker_line(&origin, Stream::Stdout, b"hello");
    assert!(telemetry.close(PATIENCE), "the writer finishes");
    assert!(kept.text().contains(r#""message":"hello""#), "{}", kept.text());
    let line = serde_json::from_str::<BTreeMap<String, Value>>(&kept.text()).expect("JSON");
    for key in line.keys() {
        assert!(GUIDE.contains(&format!("`{key}`")), "{key} in {GUIDE_NAME}");
    }
}
