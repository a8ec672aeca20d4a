//! The access log: what one finished exchange says, and the line it becomes.
//!
//! Key names are the project's contract (ECS and OpenTelemetry names, flat; our own under
//! `edge.`). A value that is not known is left out, never written as null. Reads no clock and
//! writes to no file: see `writer.rs` for where lines go.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::json::{Level, Line, key};
use super::metrics::RouteMetrics;
use super::trace;

/// The termination word of an exchange that ended the way the application meant it to.
pub const TERMINATION_OK: &str = "ok";

/// Everything that one finished request has to say, borrowed from whoever handled it. A request
/// refused before it could be parsed has one too, with what is known.
pub struct Exchange<'a> {
    /// The id sent to the worker and the client as `X-Request-Id`.
    pub request_id: &'a str,
    /// As the client sent it.
    pub method: &'a str,
    /// `1.0`, `1.1` or `2`.
    pub http_version: &'a str,
    /// As answered to the client; 499 when the client left before there was an answer.
    pub status: u16,
    /// `http` or `https`, as the client used it.
    pub scheme: &'a str,
    /// Without the port; empty when the client named none.
    pub host: &'a str,
    /// As the client sent it, before any rewrite.
    pub path: &'a str,
    /// Without the question mark.
    pub query: Option<&'a str>,
    /// Bytes of the request body that arrived.
    pub request_body: u64,
    /// Bytes of the response body that were sent.
    pub response_body: u64,
    pub client_ip: Option<IpAddr>,
    pub client_port: Option<u16>,
    pub user_agent: Option<&'a [u8]>,
    /// The header as it came; it gives `trace.id` when it is valid.
    pub traceparent: Option<&'a [u8]>,
    /// What the client's connection is encrypted with; nothing on a plain one.
    pub tls: Option<&'a TlsLine<'a>>,
    /// When the first byte of the request arrived: the `@timestamp` of the line.
    pub started: SystemTime,
    /// From `started` until the last byte of the response was sent, or was given up.
    pub duration: Duration,
    /// The route that was chosen: its name in the line, its counters in the metrics.
    pub route: Option<&'a RouteMetrics>,
    pub upstream: Option<&'a str>,
    pub worker: Option<&'a str>,
    pub worker_pid: Option<u32>,
    /// Whether the worker connection had carried another request before.
    pub connection_reused: Option<bool>,
    /// How often the request was sent to a worker, or was tried to be.
    pub attempts: u32,
    /// Why the last retry was made. One of a fixed set of words.
    pub retry_reason: Option<&'static str>,
    /// Whether the rate limit of the route would have refused it, were it not on trial.
    pub rate_limit_dry_run: bool,
    /// Time spent waiting for a free worker.
    pub queue: Duration,
    /// Time to connect to the worker; nothing when a connection was reused.
    pub connect: Option<Duration>,
    /// From the request sent to the worker until the first byte of its answer.
    pub ttfb: Option<Duration>,
    /// How the exchange ended: [`TERMINATION_OK`] or the word of a cause. One of a fixed set, as
    /// it is the label of a metric.
    pub termination: &'static str,
    /// Whether the response broke off after its header had been sent.
    pub response_aborted: bool,
    /// What went wrong, for whoever reads the log.
    pub error: Option<&'a str>,
}

/// The TLS of the client's connection.
pub struct TlsLine<'a> {
    /// `1.2` or `1.3`.
    pub version: &'a str,
    /// The name of the cipher suite in IANA's registry.
    pub cipher: &'a str,
    /// The name that the client asked for (SNI), if any.
    pub server_name: Option<&'a str>,
    /// Whether the keys are those of an earlier connection.
    pub resumed: bool,
    /// Who the client is, if its certificate was asked for.
    pub client: Option<ClientCertificate<'a>>,
}

/// The certificate that a client has proven to be its own.
pub struct ClientCertificate<'a> {
    /// The distinguished name as RFC 4514 writes it.
    pub subject: &'a str,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: &'a str,
}

impl Exchange<'_> {
    /// `warn` where the edge had to answer for the application or could not finish its answer:
    /// what the application itself answers, 500 included, is its own business.
    fn level(&self) -> Level {
        let edge_failed = self.status >= 500 && self.termination != TERMINATION_OK;
        if edge_failed || self.response_aborted { Level::Warn } else { Level::Info }
    }
}

/// Appends the line of `exchange`, newline included.
pub fn append_line(out: &mut Vec<u8>, exchange: &Exchange<'_>) {
    let mut line = Line::begin(out, exchange.started, exchange.level(), "edge.access");
    append_http(&mut line, exchange);
    append_client(&mut line, exchange);
    append_edge(&mut line, exchange);
    line.end();
}

fn append_http(line: &mut Line<'_>, exchange: &Exchange<'_>) {
    let mut digits = itoa::Buffer::new();
    let status = digits.format(exchange.status);
    let method = exchange.method.as_bytes();
    let path = exchange.path.as_bytes();
    line.joined(key!("message"), &[method, b" ", path, b" ", status.as_bytes()]);
    line.nanos(key!("event.duration"), exchange.duration);
    line.text(key!("http.request.method"), exchange.method);
    line.text(key!("http.request.id"), exchange.request_id);
    line.text(key!("http.version"), exchange.http_version);
    line.number(key!("http.response.status_code"), u64::from(exchange.status));
    line.number(key!("http.request.body.bytes"), exchange.request_body);
    line.number(key!("http.response.body.bytes"), exchange.response_body);
    line.text(key!("url.scheme"), exchange.scheme);
    if !exchange.host.is_empty() {
        line.text(key!("url.domain"), exchange.host);
    }
    line.text(key!("url.path"), exchange.path);
    line.maybe_text(key!("url.query"), exchange.query);
}

fn append_client(line: &mut Line<'_>, exchange: &Exchange<'_>) {
    if let Some(address) = exchange.client_ip {
        line.address(key!("client.ip"), address);
    }
    line.maybe_number(key!("client.port"), exchange.client_port.map(u64::from));
    if let Some(user_agent) = exchange.user_agent {
        line.bytes(key!("user_agent.original"), user_agent);
    }
    if let Some(tls) = exchange.tls {
        append_tls(line, tls);
    }
    line.maybe_text(key!("trace.id"), exchange.traceparent.and_then(trace::trace_id));
}

/// The names are those of ECS, but for the version's, which is OpenTelemetry's.
fn append_tls(line: &mut Line<'_>, tls: &TlsLine<'_>) {
    line.text(key!("tls.protocol.version"), tls.version);
    line.text(key!("tls.cipher"), tls.cipher);
    line.maybe_text(key!("tls.client.server_name"), tls.server_name);
    line.flag(key!("tls.resumed"), tls.resumed);
    if let Some(client) = &tls.client {
        line.text(key!("tls.client.subject"), client.subject);
        line.hash(key!("tls.client.hash.sha256"), client.fingerprint);
    }
}

fn append_edge(line: &mut Line<'_>, exchange: &Exchange<'_>) {
    line.maybe_text(key!("edge.route"), exchange.route.map(RouteMetrics::name));
    line.maybe_text(key!("edge.upstream"), exchange.upstream);
    line.maybe_text(key!("edge.worker"), exchange.worker);
    line.maybe_number(key!("edge.worker_pid"), exchange.worker_pid.map(u64::from));
    if let Some(reused) = exchange.connection_reused {
        line.flag(key!("edge.connection_reused"), reused);
    }
    line.number(key!("edge.attempts"), u64::from(exchange.attempts));
    line.maybe_text(key!("edge.retry_reason"), exchange.retry_reason);
    if exchange.rate_limit_dry_run {
        line.flag(key!("edge.rate_limit_dry_run"), true);
    }
    line.nanos(key!("edge.queue_ns"), exchange.queue);
    line.maybe_nanos(key!("edge.connect_ns"), exchange.connect);
    line.maybe_nanos(key!("edge.ttfb_ns"), exchange.ttfb);
    line.text(key!("edge.termination"), exchange.termination);
    if exchange.response_aborted {
        line.flag(key!("edge.response_aborted"), true);
    }
    line.maybe_text(key!("error.message"), exchange.error);
}
