//! What the keys of an upstream become: choosing, health, connections, queue, retries, TLS.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use super::super::{
    Affinity, Balance, Connections, Ejection, Expect, HashKey, Health, Queue, Resolver, Retry,
    RetryOn, Reuse, Server, ServerAddress, Upstream, UpstreamTls, Workers, load,
};
use super::accepted::{number, tcp, valid};
use super::{VALID, read, with};

const APP: &str = "      asgi: main:app\n";
const SERVER: &str = "      - address: 127.0.0.1:8001\n";

/// The upstream with supervised workers, with `keys` beside its app.
fn supervised(keys: &str) -> Upstream {
    let config = valid(&with(APP, &format!("{APP}{keys}")));
    config.upstreams.into_iter().next().expect("an upstream")
}

/// The upstream with servers, with `keys` beside them.
fn fixed(keys: &str) -> Upstream {
    let config = valid(&with(SERVER, &format!("{SERVER}{keys}")));
    config.upstreams.into_iter().next_back().expect("an upstream")
}

fn slots(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("not zero")
}

#[test]
fn an_upstream_has_its_documented_defaults() {
    let seconds = Duration::from_secs;
    for upstream in valid(VALID).upstreams {
        assert_eq!(upstream.balance, Balance::LeastRequests, "balance");
        assert_eq!(upstream.affinity, None, "affinity");
        assert_eq!(upstream.health, None, "health");
        let ejection = upstream.ejection.expect("passive is on by default");
        assert_eq!(ejection.failures, number(5), "failures");
        assert_eq!((ejection.window, ejection.eject_for), (seconds(10), seconds(30)), "times");
        assert_eq!(ejection.max_ejected.get(), 50, "max_ejected");
        assert_eq!(ejection.status, [], "status");
        assert_eq!(upstream.slow_start, Some(seconds(10)), "slow_start");
        assert_eq!((upstream.slots, upstream.max_connections), (slots(100), None), "slots");
        assert_eq!(upstream.queue, Queue { size: 1000, timeout: seconds(30) }, "queue");
        let retry = upstream.retry;
        assert_eq!((retry.attempts, retry.budget.get()), (number(3), 20), "retry");
        assert_eq!(retry.body_buffer, 64 << 10, "body_buffer");
        let statuses = Vec::new();
        let on = RetryOn { connect: true, stale: true, closed: true, refused_503: true, statuses };
        assert_eq!(retry.on, on, "on");
        assert_eq!(upstream.tls, None, "tls");
        let (idle_timeout, prewarm) = match upstream.workers {
            Workers::Supervised(_) => (seconds(60), 1),
            Workers::Fixed(_) => (seconds(4), 0),
        };
        let connections = Connections {
            reuse: Reuse::Safe,
            idle_timeout,
            max_age: Some(seconds(600)),
            max_requests: None,
            max_idle: 64,
            prewarm,
        };
        assert_eq!(upstream.connections, connections, "connections of {}", upstream.name);
    }
}

#[test]
fn balance_and_its_key_are_carried_over() {
    let header = HashKey::Header("x-tenant".parse().expect("a header name"));
    let cases = [
        ("least_requests", Balance::LeastRequests),
        ("round_robin", Balance::RoundRobin),
        ("random", Balance::Random),
        ("latency", Balance::Latency),
        ("hash\n    hash_on: client_ip", Balance::Hash(HashKey::ClientIp)),
        ("hash\n    hash_on: path", Balance::Hash(HashKey::Path)),
        ("hash\n    hash_on: header:X-Tenant", Balance::Hash(header)),
        ("hash\n    hash_on: cookie:sid", Balance::Hash(HashKey::Cookie("sid".to_owned()))),
        ("hash\n    hash_on: query:a:b", Balance::Hash(HashKey::Query("a:b".to_owned()))),
    ];
    for (value, expected) in cases {
        let upstream = fixed(&format!("    balance: {value}\n"));
        assert_eq!(upstream.balance, expected, "balance: {value}");
    }
}

#[test]
fn affinity_has_a_name_and_a_secret_that_nothing_shows() {
    let cookie = "asgate_affinity".to_owned();
    let default = Affinity { cookie, secret: None };
    assert_eq!(fixed("    affinity: {}\n").affinity, Some(default), "the default");
    let text = "    affinity: { cookie: app_worker, secret: '0123456789abcdef' }\n";
    let affinity = fixed(text).affinity.expect("affinity");
    assert_eq!(affinity.cookie, "app_worker", "cookie");
    let secret = affinity.secret.as_ref().expect("a secret");
    assert_eq!(secret.as_bytes(), b"0123456789abcdef", "secret");
    let debug = format!("{affinity:?}");
    assert!(debug.contains("app_worker") && !debug.contains("0123"), "{debug}");
}

#[test]
fn health_has_defaults_of_its_own() {
    let health = Health {
        path: "/up".to_owned(),
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        healthy_after: number(2),
        unhealthy_after: number(3),
        expect: Expect { status: vec![200..=399], body_contains: None },
    };
    let upstream = supervised("    health: { path: /up }\n");
    assert_eq!(upstream.health, Some(health), "health");
}

#[test]
fn passive_goes_without_checks_and_checks_without_it() {
    let keys = "passive: { failures: 1, window: 1s, eject_for: 2s, max_ejected: 100%, status: [503, 500-501] }";
    let upstream = fixed(&format!("    health: {{ {keys} }}\n"));
    assert_eq!(upstream.health, None, "no path, no checks");
    let ejection = upstream.ejection.expect("ejection");
    let max_ejected = ejection.max_ejected;
    let expected = Ejection {
        failures: number(1),
        window: Duration::from_secs(1),
        eject_for: Duration::from_secs(2),
        max_ejected,
        status: vec![503..=503, 500..=501],
    };
    assert_eq!(ejection, expected, "passive");
    assert_eq!(max_ejected.get(), 100, "max_ejected");

    let upstream = fixed("    health: { path: /up, passive: off }\n");
    assert!(upstream.health.is_some(), "checks");
    assert_eq!(upstream.ejection, None, "off");
    assert!(fixed("    health: {}\n").ejection.is_some(), "an empty section changes nothing");
}

#[test]
fn connections_are_carried_over() {
    let words = [
        ("safe", Reuse::Safe),
        ("always", Reuse::Always),
        ("never", Reuse::Never),
        ("per_client", Reuse::PerClient),
    ];
    for (word, reuse) in words {
        let connections = fixed(&format!("    connections: {{ reuse: {word} }}\n")).connections;
        assert_eq!(connections.reuse, reuse, "reuse: {word}");
    }
    let keys = "    connections: { max_age: off, max_requests: 7 }\n";
    let connections = fixed(keys).connections;
    assert_eq!(connections.max_age, None, "max_age");
    assert_eq!(connections.max_requests, NonZeroU64::new(7), "max_requests");
}

#[test]
fn nothing_is_opened_ahead_where_nothing_is_kept() {
    for keys in ["max_idle: 0", "reuse: never", "reuse: never, prewarm: 0"] {
        let upstream = supervised(&format!("    connections: {{ {keys} }}\n"));
        assert_eq!(upstream.connections.prewarm, 0, "{keys}");
    }
}

#[test]
fn slots_leave_uvicorn_room_for_a_check() {
    let cases = [
        ("", 100, None),
        ("      args: [--limit-concurrency, '3']\n", 1, Some(2)),
        ("      args: [--limit-concurrency=50]\n", 48, Some(49)),
        ("      args: [--limit-concurrency=50, --limit-concurrency=60]\n", 58, Some(59)),
        ("      args: [--limit-concurrency=200]\n", 100, Some(199)),
        ("      env: { UVICORN_LIMIT_CONCURRENCY: '50' }\n", 48, Some(49)),
        ("      env: { UVICORN_LIMIT_CONCURRENCY: '' }\n", 100, None),
        (
            "      args: [--limit-concurrency=60]\n      env: { UVICORN_LIMIT_CONCURRENCY: '50' }\n",
            58,
            Some(59),
        ),
        ("    max_requests_per_worker: 1\n", 1, None),
        ("      args: [--limit-concurrency=50]\n    max_requests_per_worker: 10\n", 10, Some(49)),
    ];
    for (keys, expected, max_connections) in cases {
        let upstream = supervised(keys);
        assert_eq!(upstream.slots, slots(expected), "slots with\n{keys}");
        assert_eq!(upstream.max_connections, max_connections.map(slots), "with\n{keys}");
    }
    let command = "      command: [serve, \"{port}\", --limit-concurrency, '50']\n";
    let config = valid(&with(APP, command));
    let limits: Vec<_> = config.upstreams.iter().map(|upstream| upstream.max_connections).collect();
    assert_eq!(limits, [None, None], "what another server's options mean is not known");
}

#[test]
fn queue_and_retry_are_carried_over() {
    let keys = "    queue: { size: 0, timeout: 1ms }
    retry: { attempts: 10, budget: 0%, on: [504, \"502\", stale, 502], body_buffer: 64MiB }
";
    let upstream = fixed(keys);
    assert_eq!(upstream.queue, Queue { size: 0, timeout: Duration::from_millis(1) }, "queue");
    let budget = upstream.retry.budget;
    let retry = Retry {
        attempts: number(10),
        budget,
        on: RetryOn { stale: true, statuses: vec![502, 504], ..RetryOn::default() },
        body_buffer: 64 << 20,
    };
    assert_eq!(upstream.retry, retry, "retry");
    assert_eq!(budget.get(), 0, "budget");
    let none = fixed("    retry: { attempts: 1, on: [] }\n").retry;
    assert_eq!((none.attempts, none.on), (number(1), RetryOn::default()), "no retries");
}

#[test]
fn servers_may_be_named() {
    let name = |host: &str, port| ServerAddress::Name { host: host.to_owned(), port };
    let cases = [
        ("127.0.0.1:8001", ServerAddress::Known(tcp("127.0.0.1:8001"))),
        ("\"[::ffff:192.0.2.1]:8001\"", ServerAddress::Known(tcp("192.0.2.1:8001"))),
        ("app:80", name("app", 80)),
        ("App.internal.:8001", name("App.internal.", 8001)),
        ("_app-1.example.com:65535", name("_app-1.example.com", 65535)),
        ("1e100.net:80", name("1e100.net", 80)),
    ];
    for (text, expected) in cases {
        let config = valid(&with(SERVER, &format!("      - address: {text}\n")));
        let workers = config.upstreams.into_iter().next_back().map(|upstream| upstream.workers);
        let Some(Workers::Fixed(servers)) = workers else { panic!("servers for {text}") };
        let addresses: Vec<&ServerAddress> =
            servers.iter().map(|Server { address, .. }| address).collect();
        assert_eq!(addresses, [&expected], "{text}");
    }
    assert_eq!(name("App.internal.", 80).to_string(), "App.internal.:80", "as written");
}

#[test]
fn tls_to_workers_verifies_unless_told_otherwise() {
    let default = UpstreamTls { sni: None, ca: None, verify: true };
    assert_eq!(fixed("    tls: {}\n").tls, Some(default), "the default");
    let unverified = fixed("    tls: { sni: app.internal, verify: false }\n").tls;
    let sni = Some("app.internal".to_owned());
    assert_eq!(unverified, Some(UpstreamTls { sni, ca: None, verify: false }), "verify: false");
    for name in ["192.0.2.1", "'2001:db8::1'", "a_b.internal"] {
        let tls = fixed(&format!("    tls: {{ sni: {name} }}\n")).tls.expect("tls");
        assert_eq!(tls.sni.as_deref(), Some(name.trim_matches('\'')), "sni");
    }
}

#[test]
fn certificates_have_to_be_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("asgate.yaml");
    let text = with(SERVER, &format!("{SERVER}    tls: {{ ca: certs/ca.pem }}\n"));
    std::fs::write(&file, text).expect("a file");
    let said = || load(&file).expect_err("a problem").to_string();
    assert!(said().contains("upstreams.backend.tls.ca: does not exist: "), "{}", said());
    let ca = directory.path().join("certs/ca.pem");
    std::fs::create_dir(directory.path().join("certs")).expect("a directory");
    std::fs::write(&ca, b"-----BEGIN PRIVATE KEY-----\n\xff").expect("a file");
    assert!(said().contains("upstreams.backend.tls.ca: ends in the middle of "), "{}", said());
    let authority =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/pki/tests/fixtures/root.pem"));
    std::fs::write(&ca, format!("# ours\n{authority}")).expect("a file");
    let config = load(&file).expect("a valid file").config;
    let tls = config.upstreams.into_iter().next_back().and_then(|upstream| upstream.tls);
    assert_eq!(tls.and_then(|tls| tls.ca), Some(ca), "absolute");
}

#[test]
fn name_servers_have_a_port() {
    let text = "resolver: { servers: [127.0.0.1, \"127.0.0.1:5353\", \"::1\", \"[::1]:5353\"] }\n";
    let resolver = read(&format!("{VALID}{text}")).expect("a valid file").resolver;
    let servers = ["127.0.0.1:53", "127.0.0.1:5353", "[::1]:53", "[::1]:5353"];
    let servers = servers.map(|address| address.parse().expect("an address")).to_vec();
    assert_eq!(resolver, Resolver { servers }, "servers");
}
