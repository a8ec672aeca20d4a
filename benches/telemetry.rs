//! What telemetry costs a request: the access line alone, beside `serde_json` on the same
//! values (the reason why the line is written by hand), and the whole of `finish`.

#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asgate::telemetry::{
    AccessLog, Exchange, RouteMetrics, TERMINATION_OK, Telemetry, TlsLine, access,
};
use criterion::{Criterion, criterion_group, criterion_main};
use serde::Serialize;

const TLS: TlsLine<'_> = TlsLine {
    version: "1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    server_name: Some("api.example.com"),
    resumed: true,
    client: None,
};

fn exchange(route: &RouteMetrics) -> Exchange<'_> {
    Exchange {
        request_id: "0198c5b2-7f3e-7cc1-9d52-3f1d2b8e4a60",
        method: "GET",
        http_version: "1.1",
        status: 200,
        scheme: "https",
        host: "api.example.com",
        path: "/api/v1/items/4711",
        query: Some("expand=owner&limit=50"),
        request_body: 0,
        response_body: 1_532,
        client_ip: Some([203, 0, 113, 7].into()),
        client_port: Some(50_123),
        user_agent: Some(b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        traceparent: Some(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        tls: Some(&TLS),
        started: UNIX_EPOCH + Duration::new(1_770_091_506, 123_456_000),
        duration: Duration::from_nanos(1_234_567),
        route: Some(route),
        upstream: Some("backend"),
        worker: Some("2"),
        worker_pid: Some(4_711),
        connection_reused: Some(true),
        attempts: 1,
        retry_reason: None,
        rate_limit_dry_run: false,
        queue: Duration::from_nanos(900),
        connect: None,
        ttfb: Some(Duration::from_nanos(1_100_123)),
        termination: TERMINATION_OK,
        response_aborted: false,
        error: None,
    }
}

/// The same line as a derived serializer writes it. Time stamp and trace id are given, which
/// is in its favour.
#[derive(Serialize)]
struct Derived<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: &'a str,
    #[serde(rename = "log.level")]
    level: &'a str,
    #[serde(rename = "ecs.version")]
    ecs_version: &'a str,
    #[serde(rename = "service.name")]
    service: &'a str,
    #[serde(rename = "event.dataset")]
    dataset: &'a str,
    message: &'a str,
    #[serde(rename = "event.duration")]
    duration: u64,
    #[serde(rename = "http.request.method")]
    method: &'a str,
    #[serde(rename = "http.request.id")]
    request_id: &'a str,
    #[serde(rename = "http.version")]
    http_version: &'a str,
    #[serde(rename = "http.response.status_code")]
    status: u16,
    #[serde(rename = "http.request.body.bytes")]
    request_body: u64,
    #[serde(rename = "http.response.body.bytes")]
    response_body: u64,
    #[serde(rename = "url.scheme")]
    scheme: &'a str,
    #[serde(rename = "url.domain")]
    host: &'a str,
    #[serde(rename = "url.path")]
    path: &'a str,
    #[serde(rename = "url.query", skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(rename = "client.ip", skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
    #[serde(rename = "client.port", skip_serializing_if = "Option::is_none")]
    client_port: Option<u16>,
    #[serde(rename = "user_agent.original", skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(rename = "tls.protocol.version", skip_serializing_if = "Option::is_none")]
    tls_version: Option<&'a str>,
    #[serde(rename = "tls.cipher", skip_serializing_if = "Option::is_none")]
    tls_cipher: Option<&'a str>,
    #[serde(rename = "tls.client.server_name", skip_serializing_if = "Option::is_none")]
    tls_server_name: Option<&'a str>,
    #[serde(rename = "tls.resumed", skip_serializing_if = "Option::is_none")]
    tls_resumed: Option<bool>,
    #[serde(rename = "trace.id", skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(rename = "edge.route", skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(rename = "edge.upstream", skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(rename = "edge.worker", skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    #[serde(rename = "edge.worker_pid", skip_serializing_if = "Option::is_none")]
    worker_pid: Option<u32>,
    #[serde(rename = "edge.connection_reused", skip_serializing_if = "Option::is_none")]
    connection_reused: Option<bool>,
    #[serde(rename = "edge.attempts")]
    attempts: u32,
    #[serde(rename = "edge.queue_ns")]
    queue: u64,
    #[serde(rename = "edge.ttfb_ns", skip_serializing_if = "Option::is_none")]
    ttfb: Option<u64>,
    #[serde(rename = "edge.termination")]
    termination: &'a str,
}

impl<'a> Derived<'a> {
    fn of(exchange: &Exchange<'a>) -> Self {
        Self {
            timestamp: "2026-02-03T04:05:06.123456Z",
            level: "info",
            ecs_version: "8.11.0",
            service: "asgate",
            dataset: "edge.access",
            message: "GET /api/v1/items/4711 200",
            duration: exchange.duration.as_nanos() as u64,
            method: exchange.method,
            request_id: exchange.request_id,
            http_version: exchange.http_version,
            status: exchange.status,
            request_body: exchange.request_body,
            response_body: exchange.response_body,
            scheme: exchange.scheme,
            host: exchange.host,
            path: exchange.path,
            query: exchange.query,
            client_ip: exchange.client_ip,
            client_port: exchange.client_port,
            user_agent: exchange.user_agent.and_then(|bytes| std::str::from_utf8(bytes).ok()),
            tls_version: exchange.tls.map(|tls| tls.version),
            tls_cipher: exchange.tls.map(|tls| tls.cipher),
            tls_server_name: exchange.tls.and_then(|tls| tls.server_name),
            tls_resumed: exchange.tls.map(|tls| tls.resumed),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            route: exchange.route.map(RouteMetrics::name),
            upstream: exchange.upstream,
            worker: exchange.worker,
            worker_pid: exchange.worker_pid,
            connection_reused: exchange.connection_reused,
            attempts: exchange.attempts,
            queue: exchange.queue.as_nanos() as u64,
            ttfb: exchange.ttfb.map(|ttfb| ttfb.as_nanos() as u64),
            termination: exchange.termination,
        }
    }
}

fn telemetry(access: AccessLog) -> Telemetry {
    Telemetry::new(access, Box::new(io::sink())).expect("telemetry starts")
}

fn access_line(criterion: &mut Criterion) {
    let telemetry = telemetry(AccessLog::Off);
    let route = telemetry.metrics().route("api");
    let plain = exchange(&route);
    let escaped = Exchange { path: "/grüße/\"quoted\"", ..exchange(&route) };
    let mut line = Vec::with_capacity(4096);

    access::append_line(&mut line, &plain);
    line.pop();
    let derived = serde_json::to_vec(&Derived::of(&plain)).expect("it serializes");
    assert_eq!(line, derived, "both write the same line");

    let mut group = criterion.benchmark_group("access_line");
    group.bench_function("by_hand", |bencher| {
        bencher.iter(|| {
            line.clear();
            access::append_line(&mut line, black_box(&plain));
        });
    });
    group.bench_function("by_hand_with_escapes", |bencher| {
        bencher.iter(|| {
            line.clear();
            access::append_line(&mut line, black_box(&escaped));
        });
    });
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| {
            line.clear();
            let derived = Derived::of(black_box(&plain));
            serde_json::to_writer(&mut line, &derived).expect("it serializes");
        });
    });
    group.finish();
}

fn finish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("finish");
    for (name, access) in [("metrics_only", AccessLog::Off), ("metrics_and_line", AccessLog::Ecs)] {
        let telemetry = telemetry(access);
        let route = telemetry.metrics().route("api");
        let exchange = Exchange { started: SystemTime::now(), ..exchange(&route) };
        group.bench_function(name, |bencher| {
            bencher.iter(|| telemetry.finish(black_box(&exchange)));
        });
    }
    group.finish();
}

criterion_group!(benches, access_line, finish);
criterion_main!(benches);
