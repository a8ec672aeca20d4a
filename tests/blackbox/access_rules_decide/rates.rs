//! `rate_limit`.

use std::time::{Duration, Instant};

use crate::support::client::{Client, Response};
use crate::support::edge::Edge;
use crate::support::front::Front;
use crate::support::held::of_status;
use crate::support::http2;
use crate::support::sources::client_from;
use crate::support::stub::Stub;
use crate::support::wait_for;

/// A route `r` with this limit, answered by the worker.
fn limited(stub: &Stub, limit: &str) -> Edge {
    let routes = format!("  - {{ name: r, upstream: u, rate_limit: {{ {limit} }} }}");
    Front { listeners: &["http2: true"], routes: &routes, ..Front::default() }
        .before(stub.address())
}

/// The `r` of `RateLimit`: how many requests are left.
fn remaining(response: &Response) -> Option<u32> {
    let state = response.header("ratelimit")?.strip_prefix("\"default\";r=")?;
    state.split(';').next()?.parse().ok()
}

#[test]
fn so_many_pass_and_the_next_one_is_refused() {
    let stub = Stub::ok();
    let edge = limited(&stub, "requests: 5, per: 600s, burst: 3");
    let mut client = edge.connect();
    for left in (0..8).rev() {
        let response = client.get("/");
        assert_eq!(response.status, 200, "with {left} left: {response:?}");
        assert_eq!(remaining(&response), Some(left), "{response:?}");
        assert_eq!(
            response.header("ratelimit-policy"),
            Some("\"default\";q=5;w=600"),
            "{response:?}"
        );
    }
    for _ in 0..3 {
        let response = client.get("/");
        assert_eq!(response.status, 429, "{response:?}");
        assert_eq!(remaining(&response), Some(0), "{response:?}");
        assert_eq!(
            response.header("ratelimit-policy"),
            Some("\"default\";q=5;w=600"),
            "{response:?}"
        );
        // One comes in every two minutes.
        let wait = response.header("retry-after").and_then(|it| it.parse::<u32>().ok());
        assert!(wait.is_some_and(|wait| (1..=120).contains(&wait)), "{response:?}");
        assert_eq!(
            response.header("content-type"),
            Some("application/problem+json"),
            "{response:?}"
        );
        assert_ne!(response.header("connection"), Some("close"), "it may stay: {response:?}");
    }
    assert_eq!(stub.received_in_all().matches("GET / ").count(), 8, "the worker has its peace");
    let lines = edge.wait_for_log(11);
    for line in &lines[8..] {
        assert_eq!(line["http.response.status_code"], 429, "{line}");
        assert_eq!(line["edge.termination"], "rate_limited", "{line}");
        assert_eq!(line["edge.route"], "r", "{line}");
    }
    edge.wait_for_metric(r#"asgate_rate_limited_total{mode="refused",route="r"}"#, 3.0);
    edge.wait_for_metric(r#"asgate_rate_limited_total{mode="dry_run",route="r"}"#, 0.0);
}

#[test]
fn without_a_burst_there_are_as_many_as_configured() {
    let stub = Stub::ok();
    for count in [1, 4] {
        let edge = limited(&stub, &format!("requests: {count}, per: 60s"));
        let mut client = edge.connect();
        let statuses: Vec<_> = (0..count + 2).map(|_| client.get("/").status).collect();
        let expected: Vec<_> = (0..count + 2).map(|n| if n < count { 200 } else { 429 }).collect();
        assert_eq!(statuses, expected, "of {count}");
    }
}

#[test]
fn what_is_used_comes_in_again_evenly() {
    let stub = Stub::ok();
    let edge = limited(&stub, "requests: 4, per: 1s");
    let mut client = edge.connect();
    let (begun, mut served, mut took) = (Instant::now(), 0u32, Duration::ZERO);
    while took < Duration::from_secs(4) {
        let response = client.get("/");
        served += u32::from(response.status == 200);
        took = begun.elapsed();
        std::thread::sleep(Duration::from_millis(10));
    }
    let most = 4.0 + 4.0 * took.as_secs_f64();
    assert!(f64::from(served) <= most, "{served} of at most {most}");
    // What comes in while the machine is held up is lost when there is no room for it.
    assert!(f64::from(served) >= most / 2.0, "{served}, and {most} are possible");
    // After a pause all of it is there again, and no more.
    std::thread::sleep(Duration::from_millis(1500));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20));
    let statuses: Vec<_> = (0..20).map(|_| client.response().status).collect();
    assert_eq!(statuses[..4], [200; 4], "{statuses:?}");
    assert!(statuses[4..].contains(&429), "{statuses:?}");
}

#[test]
fn who_waits_as_told_is_served() {
    let stub = Stub::ok();
    let edge = limited(&stub, "requests: 1, per: 2s");
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
    assert_eq!(client.response().status, 200, "the first");
    let refused = client.response();
    let wait = refused.header("retry-after").and_then(|it| it.parse().ok()).expect("seconds");
    std::thread::sleep(Duration::from_secs(wait));
    assert_eq!(client.get("/").status, 200, "after {wait} s");
}

/// Statuses of three requests of each of these clients against a limit of two.
fn thirds(edge: &Edge, clients: &[(u8, &str)]) -> Vec<[u16; 3]> {
    let ask = |&(last, headers): &(u8, &str)| {
        let mut client = client_from(last, edge.address());
        [(); 3].map(|()| client.get_with("/", headers).status)
    };
    clients.iter().map(ask).collect()
}

/// Who has two requests of its own, and who shares them with somebody before.
const OWN: [u16; 3] = [200, 200, 429];
const NONE: [u16; 3] = [429; 3];

#[test]
fn the_key_says_whose_requests_are_counted_together() {
    let stub = Stub::ok();
    let two = "requests: 2, per: 60s";
    let edge = limited(&stub, &format!("{two}, key: client_ip"));
    let clients = [(1, ""), (2, ""), (1, "X-Forwarded-For: 1.2.3.4\r\n"), (3, "")];
    assert_eq!(thirds(&edge, &clients), [OWN, OWN, NONE, OWN], "by address");

    let edge = limited(&stub, two);
    assert_eq!(thirds(&edge, &clients), [OWN, OWN, NONE, OWN], "by address is the default");

    let edge = limited(&stub, &format!("{two}, key: route"));
    assert_eq!(thirds(&edge, &[(1, ""), (2, ""), (3, "")]), [OWN, NONE, NONE], "all of a route");

    let edge = limited(&stub, &format!("{two}, key: \"header:X-Key\""));
    let clients = [
        (1, "X-Key: a\r\n"),
        (1, "X-Key: b\r\n"),
        (2, "x-key: a\r\n"),
        (1, "Cookie: X-Key=c\r\n"),
        (2, ""),
        (1, "X-Key: A\r\n"),
    ];
    assert_eq!(thirds(&edge, &clients), [OWN, OWN, NONE, OWN, NONE, OWN], "by a header");

    let edge = limited(&stub, &format!("{two}, key: \"cookie:id\""));
    let clients = [
        (1, "Cookie: id=a\r\n"),
        (1, "Cookie: other=x; id=b\r\n"),
        (2, "Cookie: id=a; other=y\r\n"),
        (2, "Cookie: xid=a\r\n"),
        (1, ""),
    ];
    assert_eq!(thirds(&edge, &clients), [OWN, OWN, NONE, OWN, NONE], "by a cookie");
}

#[test]
fn each_route_has_its_own_and_http2_is_no_way_around() {
    let stub = Stub::ok();
    let routes = "  - { name: a, match: { path: /a }, upstream: u, rate_limit: { requests: 2, per: 60s } }\n  \
        - { name: b, match: { path: /b }, respond: { body: x }, rate_limit: { requests: 1, per: 60s } }\n  \
        - { upstream: u }";
    let edge =
        Front { listeners: &["http2: true"], routes, ..Front::default() }.before(stub.address());
    let mut client = edge.connect();
    assert_eq!(client.get("/a").status, 200, "one of two");
    let answers = http2::run(
        edge.address(),
        "tell([c.answer(c.open('GET', path))['status'] for path in ('/a', '/a', '/b', '/b', '/c')])",
    );
    assert_eq!(answers, serde_json::json!([200, 429, 200, 429, 200]), "the rest of them");
    let free = client.get("/c");
    assert_eq!(free.header("ratelimit"), None, "where there is no limit: {free:?}");
}

/// The client that the proxy names is the one that is counted.
#[test]
fn the_client_behind_a_trusted_proxy_is_counted() {
    let stub = Stub::ok();
    let routes = "  - { upstream: u, rate_limit: { requests: 2, per: 60s } }";
    let edge = Front { routes, file: "trusted_proxies: [127.0.0.5]", ..Front::default() }
        .before(stub.address());
    let clients = [
        (5, "X-Forwarded-For: 198.51.100.1\r\n"),
        (5, "X-Forwarded-For: 198.51.100.2\r\n"),
        (5, "X-Forwarded-For: 6.6.6.6, 198.51.100.1\r\n"),
        (5, "X-Forwarded-For: 2001:db8::1\r\n"),
        (5, "X-Forwarded-For: 2001:db8::2\r\n"),
        (5, "X-Forwarded-For: 2001:db8:0:1::1\r\n"),
    ];
    assert_eq!(thirds(&edge, &clients), [OWN, OWN, NONE, OWN, NONE, OWN], "IPv6 by /64");
}

#[test]
fn a_dry_run_refuses_nobody_and_counts() {
    let stub = Stub::ok();
    let edge = limited(&stub, "requests: 2, per: 60s, dry_run: true");
    let mut client = edge.connect();
    for number in 0..6 {
        assert_eq!(client.get("/").status, 200, "number {number}");
    }
    let lines = edge.wait_for_log(6);
    let over = lines.iter().filter(|line| line["edge.rate_limit_dry_run"] == true).count();
    assert_eq!(over, 4, "the log has those that were over: {lines:#?}");
    assert!(lines.iter().all(|line| line["edge.termination"] == "ok"), "{lines:#?}");
    edge.wait_for_metric(r#"asgate_rate_limited_total{mode="dry_run",route="r"}"#, 4.0);
    edge.wait_for_metric(r#"asgate_rate_limited_total{mode="refused",route="r"}"#, 0.0);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_hundred_thousand_keys_take_little_memory() {
    const CLIENTS: usize = 4;
    const KEYS: usize = 100_000;
    const BATCH: usize = 100;
    const ALLOWED_KB: u64 = 8 * 1024;
    let stub = Stub::ok();
    let routes = "  - { respond: { body: x }, rate_limit: { requests: 1, per: 60s, key: \"header:X-Key\" } }";
    let file = "logging: { access: { output: off } }";
    let edge = Front { routes, file, ..Front::default() }.before(stub.address());
    let ask = |client: &mut Client, from: usize| {
        let request = |number: usize| {
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Key: {}{number}\r\n\r\n", "k".repeat(200))
        };
        client.send((from..from + BATCH).map(request).collect::<String>());
        (0..BATCH).filter(|_| client.response().status == 200).count()
    };
    let mut first = edge.connect();
    for batch in 0..20 {
        assert_eq!(ask(&mut first, 10_000_000 + batch * BATCH), BATCH, "warm");
    }
    let before = of_status(edge.pid(), "VmRSS:");
    let address = edge.address();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let share = KEYS / CLIENTS;
                let batches = (number * share..(number + 1) * share).step_by(BATCH);
                batches.map(|from| ask(&mut client, from)).sum::<usize>()
            })
        })
        .collect();
    let served: usize = clients.into_iter().map(|client| client.join().expect("a client")).sum();
    // A key that is not known any more starts anew, and one that never was seen does so too.
    assert_eq!(served, KEYS, "each key is new");
    let grown = of_status(edge.pid(), "VmRSS:").saturating_sub(before);
    assert!(grown < ALLOWED_KB, "{grown} KiB for {KEYS} keys of 200 bytes");
    // It still counts.
    let statuses = wait_for("an answer", || {
        Some([(); 2].map(|()| first.get_with("/", "X-Key: last\r\n").status))
    });
    assert_eq!(statuses, [200, 429], "the control");
}
