//! What is told of the front door: connections refused, handshakes, certificates, misuse, rate limits.

use std::time::UNIX_EPOCH;

use super::*;

const HANDSHAKES: [(HandshakeResult, &str); 7] = [
    (HandshakeResult::Full, "full"),
    (HandshakeResult::Resumed, "resumed"),
    (HandshakeResult::Timeout, "timeout"),
    (HandshakeResult::Crowded, "crowded"),
    (HandshakeResult::NotTls, "not_tls"),
    (HandshakeResult::Failed, "failed"),
    (HandshakeResult::Left, "left"),
];
const REFUSALS: [(ConnectionRefusal, &str); 3] = [
    (ConnectionRefusal::MaxConnections, "max_connections"),
    (ConnectionRefusal::MaxConnectionsPerAddress, "max_connections_per_address"),
    (ConnectionRefusal::ProxyProtocol, "proxy_protocol"),
];

/// Lets everything happen that makes a series of a listener, or of a route's rate limit.
pub fn everything(listener: &ListenerMetrics, route: &RouteMetrics) {
    listener.expect_tls();
    listener.abused("rapid_reset");
    listener.certificate_expires("site.pem", UNIX_EPOCH);
    route.rate_limited(RateLimitMode::Refused);
}

#[test]
fn handshakes_of_a_tls_listener_are_told_by_result_from_the_start() {
    let metrics = metrics();
    let plain = metrics.listener("127.0.0.1:80");
    let listener = metrics.listener("127.0.0.1:443");
    listener.expect_tls();
    let check = |factor: u64| {
        for (times, (result, word)) in (1..).zip(HANDSHAKES) {
            let labels = format!(r#"listener="127.0.0.1:443",result="{word}""#);
            let line = format!("asgate_tls_handshakes_total{{{labels}}} {}", times * factor);
            assert_line(&metrics, &line);
            let told = listener.handshakes().find(|(each, _)| *each == result);
            assert_eq!(told, Some((result, times * factor)), "{word}, for the status");
            assert_eq!(result.as_str(), word, "the word in the status");
        }
    };
    check(0);
    for (times, (result, _)) in (1..).zip(HANDSHAKES) {
        (0..times).for_each(|_| listener.handshake(result));
    }
    check(1);
    assert_eq!(count_series(&metrics, "asgate_tls_handshakes_total"), 7, "none of a plain one");
    assert_eq!(plain.handshakes().count(), 0, "none of a plain one");
}

#[test]
fn refused_connections_are_told_by_reason_from_the_start() {
    let metrics = metrics();
    let listener = metrics.listener("here");
    let check = |factor: u64| {
        for (times, (reason, word)) in (1..).zip(REFUSALS) {
            let labels = format!(r#"listener="here",reason="{word}""#);
            let line = format!("asgate_connections_refused_total{{{labels}}} {}", times * factor);
            assert_line(&metrics, &line);
            let told = listener.refusals().find(|(each, _)| *each == reason);
            assert_eq!(told, Some((reason, times * factor)), "{word}, for the status");
            assert_eq!(reason.as_str(), word, "the word in the status");
        }
    };
    check(0);
    for (times, (reason, _)) in (1..).zip(REFUSALS) {
        (0..times).for_each(|_| listener.refused(reason));
    }
    check(1);
}

#[test]
fn misuse_of_http2_is_told_by_reason() {
    let metrics = metrics();
    let listener = metrics.listener("here");
    assert_absent(&metrics, "asgate_http2_abuse_total");
    let words = ["rapid_reset", "ping_flood"];
    let check = |word: &str, count: u64| {
        let labels = format!(r#"listener="here",reason="{word}""#);
        assert_line(&metrics, &format!("asgate_http2_abuse_total{{{labels}}} {count}"));
    };
    listener.expect_http2(&words);
    listener.expect_http2(&words);
    words.into_iter().for_each(|word| check(word, 0));
    (0..3).for_each(|_| listener.abused("ping_flood"));
    check("rapid_reset", 0);
    check("ping_flood", 3);
}

#[test]
fn more_reasons_than_there_is_room_for_are_counted_all_the_same() {
    const WORDS: [&str; 20] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r",
        "s", "t",
    ];
    let metrics = metrics();
    let listener = metrics.listener("here");
    listener.expect_http2(&WORDS);
    assert_eq!(count_series(&metrics, "asgate_http2_abuse_total"), 20, "each is prepared");
    (0..2).for_each(|_| WORDS.iter().for_each(|word| listener.abused(word)));
    for word in WORDS {
        let labels = format!(r#"listener="here",reason="{word}""#);
        assert_line(&metrics, &format!("asgate_http2_abuse_total{{{labels}}} 2"));
    }
}

#[test]
fn the_end_of_a_certificate_is_the_one_that_is_served() {
    let metrics = metrics();
    let (listener, other) = (metrics.listener("here"), metrics.listener("there"));
    let check = |listener: &str, file: &str, end: u64| {
        let labels = format!(r#"certificate="{file}",listener="{listener}""#);
        let name = "asgate_certificate_expiry_timestamp_seconds";
        assert_line(&metrics, &format!("{name}{{{labels}}} {end}"));
    };
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    listener.certificate_expires("site.pem", at(1_770_091_506));
    listener.certificate_expires("intranet.pfx", at(4_107_542_400));
    other.certificate_expires("site.pem", UNIX_EPOCH - Duration::from_secs(1));
    check("here", "site.pem", 1_770_091_506);
    check("here", "intranet.pfx", 4_107_542_400);
    check("there", "site.pem", 0);
    listener.certificate_expires("site.pem", at(1_801_627_506));
    check("here", "site.pem", 1_801_627_506);
    assert_eq!(count_series(&metrics, "asgate_certificate_expiry_timestamp_seconds"), 3, "series");
}

#[test]
fn requests_beyond_a_rate_limit_are_told_by_what_became_of_them() {
    let metrics = metrics();
    let (limited, tried) = (metrics.route("limited"), metrics.route("tried"));
    limited.expect_rate_limit(RateLimitMode::Refused);
    tried.expect_rate_limit(RateLimitMode::DryRun);
    let check = |route: &str, mode: &str, count: u64| {
        let labels = format!(r#"mode="{mode}",route="{route}""#);
        assert_line(&metrics, &format!("asgate_rate_limited_total{{{labels}}} {count}"));
    };
    check("limited", "refused", 0);
    check("tried", "dry_run", 0);
    assert_eq!(count_series(&metrics, "asgate_rate_limited_total"), 2, "what each may do");
    limited.rate_limited(RateLimitMode::Refused);
    (0..2).for_each(|_| tried.rate_limited(RateLimitMode::DryRun));
    check("limited", "refused", 1);
    check("tried", "dry_run", 2);
}

#[test]
fn nothing_is_left_of_a_listener_that_has_gone() {
    let metrics = metrics();
    let (gone, other) = (metrics.listener("gone"), metrics.listener("other"));
    let route = metrics.route("api");
    everything(&gone, &route);
    everything(&other, &route);
    drop(gone);
    assert_absent(&metrics, r#"listener="gone""#);
    assert_eq!(count_series(&metrics, "asgate_tls_handshakes_total"), 7, "the other keeps its own");
    let back = metrics.listener("gone");
    back.expect_tls();
    let counted: u64 = back.handshakes().map(|(_, count)| count).sum();
    assert_eq!(counted, 0, "whoever comes back starts anew");
}
