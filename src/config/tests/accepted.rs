//! What a file without mistakes becomes, and what one with many is told.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;

use super::super::{
    Access, AccessLog, Action, Address, App, Config, Expect, HeaderRules, Health, HostPattern,
    Limits, PathPattern, RapidFail, Recycle, Resolver, Restart, Start, Timeouts, Transport,
    Workers, load,
};
use super::{VALID, read, said, with};

pub(super) fn valid(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("a valid file, not\n{problems}"))
}

pub(super) fn tcp(address: &str) -> Address {
    Address::Tcp(address.parse().expect("an address"))
}

fn app_of(config: &Config) -> &App {
    match config.upstreams.first().map(|upstream| &upstream.workers) {
        Some(Workers::Supervised(app)) => app,
        other => panic!("supervised workers, not {other:?}"),
    }
}

pub(super) fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

#[test]
fn every_key_has_its_documented_default() {
    let config = valid(VALID);
    let listener = config.listeners.first().expect("a listener");
    assert_eq!(listener.address, tcp("127.0.0.1:8080"), "address");
    assert!(!listener.http2, "http2");
    assert_eq!(listener.max_connections, 10_000, "max_connections");
    assert_eq!(listener.header_timeout, Duration::from_secs(10), "header_timeout");
    assert_eq!(listener.max_connections_per_address, None, "max_connections_per_address");
    assert_eq!(listener.idle_timeout, Duration::from_secs(60), "idle_timeout");
    assert_eq!(listener.redirect_to_https, None, "redirect_to_https");
    assert!(!listener.proxy_protocol, "proxy_protocol");
    assert_eq!(listener.tls, None, "tls");
    assert_eq!(config.trusted_proxies, [], "trusted_proxies");
    assert!(config.trusted_headers.is_empty(), "trusted_headers");
    assert_eq!(config.resolver, Resolver::default(), "resolver: the system's");
    assert_eq!(config.shutdown_timeout, Duration::from_secs(30), "shutdown_timeout");
    assert_eq!(config.admin, None, "admin");
    assert_eq!(config.logging.level, LevelFilter::Info, "logging.level");
    assert_eq!(config.logging.access, AccessLog::Stdout, "logging.access");

    let app = app_of(&config);
    assert_eq!(app.start, Start::Asgi("main:app".to_owned()), "asgi");
    assert_eq!(app.directory, std::env::current_dir().expect("one"), "the file's directory");
    assert_eq!(app.python, None, "python");
    assert_eq!(app.workers, NonZeroU16::MIN, "workers");
    assert!(app.env.is_empty(), "env");
    assert_eq!(app.transport, Transport::Auto, "transport");
    assert_eq!(app.root_path, "", "root_path");
    assert_eq!(app.startup_timeout, Duration::from_secs(60), "startup_timeout");
    assert_eq!(app.stop_timeout, Duration::from_secs(30), "stop_timeout");
    assert!(app.args.is_empty() && app.warmup.is_empty(), "args, warmup");
    assert_eq!(app.hang_timeout, Some(Duration::from_secs(90)), "hang_timeout");
    assert_eq!(app.recycle, Recycle::default(), "recycle: never");
    let rapid_fail = RapidFail { failures: number(10), window: Duration::from_secs(60) };
    let (backoff, max_backoff) = (Duration::from_secs(1), Duration::from_secs(30));
    assert_eq!(app.restart, Restart { backoff, max_backoff, rapid_fail }, "restart");
    let new = App::new(app.start.clone(), app.directory.clone());
    assert_eq!(format!("{new:?}"), format!("{app:?}"), "App::new has the same defaults");

    let route = config.routes.first().expect("a route");
    assert_eq!(route.name, "route-1", "name");
    assert!(route.matches.hosts.is_empty() && route.matches.methods.is_empty(), "match");
    assert!(matches!(&route.matches.path, PathPattern::Prefix(path) if path == "/"), "path");
    match &route.action {
        Action::Proxy(proxy) => {
            assert_eq!(proxy.upstream, 0, "upstream");
            assert!(proxy.preserve_host, "preserve_host");
            assert_eq!(proxy.rewrite.strip_prefix, "", "strip_prefix");
            assert_eq!(proxy.rewrite.add_prefix, "", "add_prefix");
            assert!(proxy.rewrite.regex.is_none(), "regex");
        }
        other => panic!("a proxy, not {other:?}"),
    }
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let timeouts = Timeouts {
        connect: seconds(1),
        first_byte: seconds(120),
        idle: seconds(60),
        total: None,
        websocket_idle: seconds(3600),
        request_body: seconds(30),
        client_write: seconds(60),
    };
    assert_eq!(route.timeouts, timeouts, "timeouts");
    let limits = Limits {
        body: Some(100_000_000),
        header: 65_536,
        uri: 8192,
        headers: 100,
        min_request_rate: Some(240),
        min_response_rate: Some(240),
    };
    assert_eq!(route.limits, limits, "limits");
    assert_eq!(route.headers, HeaderRules::default(), "headers");
    assert_eq!(route.access, Access::default(), "allow, deny");
    assert_eq!(route.rate_limit, None, "rate_limit");
}

#[test]
fn keys_of_the_life_of_workers_are_carried_over() {
    let keys = "      asgi: main:app
      args: [--log-level, warning, --timeout-keep-alive=121, --timeout-graceful-shutdown, '29']
      warmup: [/, '/items?warm=1']
      hang_timeout: off
      recycle: { max_requests: 1, max_age: 24h, max_memory: 1GiB, on_file_change: [./a/../b, /c] }
      restart: { backoff: 30s, max_backoff: 30s, rapid_fail: { failures: 1, window: 1h } }
    health:
      path: /healthz?full=1
      interval: 1s
      timeout: 2s
      healthy_after: 4
      unhealthy_after: 5
      expect: { status: [200, '204', 300-399, '500-599'], body_contains: ok }
    slow_start: off
    connections: { idle_timeout: 2m, max_idle: 3, prewarm: 3 }
";
    let config = valid(&with("      asgi: main:app\n", keys));
    let (app, seconds) = (app_of(&config), Duration::from_secs);
    let args =
        ["--log-level", "warning", "--timeout-keep-alive=121", "--timeout-graceful-shutdown", "29"];
    assert_eq!(app.args, args, "args");
    assert_eq!(app.warmup, ["/", "/items?warm=1"], "warmup");
    assert_eq!(app.hang_timeout, None, "hang_timeout");
    let current = std::env::current_dir().expect("one");
    let recycle = Recycle {
        max_requests: NonZeroU64::new(1),
        max_age: Some(seconds(86_400)),
        max_memory: Some(1 << 30),
        on_file_change: vec![current.join("a/../b"), PathBuf::from("/c")],
    };
    assert_eq!(app.recycle, recycle, "recycle");
    let rapid_fail = RapidFail { failures: number(1), window: seconds(3600) };
    let restart = Restart { backoff: seconds(30), max_backoff: seconds(30), rapid_fail };
    assert_eq!(app.restart, restart, "restart");
    let upstream = config.upstreams.first().expect("an upstream");
    let health = Health {
        path: "/healthz?full=1".to_owned(),
        interval: seconds(1),
        timeout: seconds(2),
        healthy_after: number(4),
        unhealthy_after: number(5),
        expect: Expect {
            status: vec![200..=200, 204..=204, 300..=399, 500..=599],
            body_contains: Some("ok".to_owned()),
        },
    };
    assert_eq!(upstream.health, Some(health), "health");
    assert_eq!(upstream.slow_start, None, "slow_start");
    let connections = &upstream.connections;
    assert_eq!(connections.idle_timeout, seconds(120), "idle_timeout");
    assert_eq!((connections.max_idle, connections.prewarm), (3, 3), "max_idle, prewarm");
}

#[test]
fn upstreams_keep_the_order_of_the_file() {
    let servers = "    servers: [{ address: 127.0.0.1:1 }]\n";
    let names = ["zulu", "alpha", "mike"];
    let upstreams: String = names.map(|name| format!("  {name}:\n{servers}")).concat();
    let text = format!(
        "listeners: [{{ address: 127.0.0.1:0 }}]\nupstreams:\n{upstreams}routes: [{{ upstream: mike }}]\n"
    );
    let config = valid(&text);
    let found: Vec<_> = config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    assert_eq!(found, names, "the order");
    let action = config.routes.first().map(|route| &route.action);
    assert!(matches!(action, Some(Action::Proxy(proxy)) if proxy.upstream == 2), "the index");
}

#[test]
fn hosts_are_lower_case_without_dot_at_the_end() {
    let route = "  - { upstream: app, match: { host: [API.Example.COM., \"*.Example.com\", \"[::1]\", a_b] } }\n";
    let config = valid(&with("  - upstream: app\n", route));
    let exact = |name: &str| HostPattern::Exact(name.to_owned());
    let wildcard = HostPattern::Wildcard(".example.com".to_owned());
    let expected = [exact("api.example.com"), wildcard, exact("[::1]"), exact("a_b")];
    let hosts = config.routes.first().map(|route| route.matches.hosts.clone());
    assert_eq!(hosts.unwrap_or_default(), expected, "hosts");
}

#[test]
fn prefixes_lose_the_slash_at_their_end() {
    let route = "  - { upstream: app, rewrite: { strip_prefix: /api/, add_prefix: / } }\n";
    let config = valid(&with("  - upstream: app\n", route));
    match config.routes.first().map(|route| &route.action) {
        Some(Action::Proxy(proxy)) => {
            assert_eq!(proxy.rewrite.strip_prefix, "/api", "strip_prefix");
            assert_eq!(proxy.rewrite.add_prefix, "", "add_prefix");
        }
        other => panic!("a proxy, not {other:?}"),
    }
}

#[test]
fn trusted_proxies_are_compared_as_ipv4_when_they_are() {
    let proxies = "  - upstream: app\ntrusted_proxies: [\"::ffff:192.0.2.1\", \"::ffff:10.0.0.0/104\", \"2001:db8::/32\"]\n";
    let config = valid(&with("  - upstream: app\n", proxies));
    let trusts = |peer: &str| config.trusts(peer.parse().expect("an address"));
    assert!(trusts("192.0.2.1"), "a mapped address");
    assert!(trusts("::ffff:192.0.2.1"), "a mapped peer");
    assert!(trusts("10.200.0.1"), "a mapped network");
    assert!(trusts("2001:db8::1"), "an IPv6 network");
    assert!(!trusts("192.0.2.2"), "another address");
    assert!(!trusts("11.0.0.1"), "another network");
}

#[test]
fn debug_output_has_no_value_of_env() {
    let env = "      asgi: main:app\n      env: { TOKEN: \"${SECRET}\" }\n";
    let config = valid(&with("      asgi: main:app\n", env));
    let debug = format!("{config:?}");
    assert!(debug.contains("TOKEN"), "names are shown: {debug}");
    assert!(!debug.contains("hunter2"), "values are not: {debug}");
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "\
listeners:
  - address: 127.0.0.1:80
    tls: {}
  - adress: 127.0.0.1:81
  - address: 0.0.0.0:80
    idle_timeout: 60
upstreams:
  backend:
    servers: []
    balance: sticky
routes:
  - name: api
    match: { path: api }
    upstream: backnd
    timeouts: { totl: 5 }
  - name: api
    respond: { status: 99 }
shutdown_timeout: 1d
colour: blue
";
    let expected = r#"asgate.yaml:3:10: listeners[0].tls.certificates: is missing (got nothing, allowed a list)
asgate.yaml:4:5: listeners[1].adress: unknown key (got "adress", allowed address, redirect_to_https, proxy_protocol, http2, max_connections, max_connections_per_address, header_timeout, idle_timeout or tls; did you mean "address"?)
asgate.yaml:5:14: listeners[2].address: overlaps listeners[0].address at 2:14 (got "0.0.0.0:80", allowed an address that nothing else listens on)
asgate.yaml:6:19: listeners[2].idle_timeout: needs a unit (got 60, allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)
asgate.yaml:9:14: upstreams.backend.servers: is empty (got an empty list, allowed at least one server)
asgate.yaml:10:14: upstreams.backend.balance: is not a known value (got "sticky", allowed least_requests, round_robin, random, latency or hash)
asgate.yaml:13:20: routes[0].match.path: is not a path (got "api", allowed a path that starts with / and has no ?, #, space or letter beyond ASCII (percent-encode those), =path or ~regex)
asgate.yaml:14:15: routes[0].upstream: is not the name of an upstream (got "backnd", allowed backend; did you mean "backend"?)
asgate.yaml:15:17: routes[0].timeouts.totl: unknown key (got "totl", allowed connect, first_byte, idle, total, websocket_idle, request_body or client_write; did you mean "total"?)
asgate.yaml:16:11: routes[1].name: is the name of routes[0] too (got "api", allowed a name of its own)
asgate.yaml:17:24: routes[1].respond.status: is out of range (got 99, allowed a whole number from 200 to 599)
asgate.yaml:18:19: shutdown_timeout: is not a number and a unit (got "1d", allowed a duration such as 250ms, 30s, 5m, 1h up to 8760h)
asgate.yaml:19:1: colour: unknown key (got "colour", allowed listeners, trusted_proxies, trusted_headers, upstreams, resolver, routes, shutdown_timeout, admin or logging)"#;
    assert_eq!(said(text), expected, "everything, in the order of the file");
}

#[test]
fn one_mistake_is_not_reported_as_another() {
    let misspelt_section = VALID.replace("upstreams:", "upstream:");
    assert_eq!(said(&misspelt_section).lines().count(), 1, "{}", said(&misspelt_section));
    let broken_upstream = with("      asgi: main:app\n", "      asgi: 1\n");
    assert_eq!(said(&broken_upstream).lines().count(), 1, "{}", said(&broken_upstream));
    let no_list = VALID.replace("listeners:\n  - address: 127.0.0.1:8080\n", "listeners: {}\n");
    assert_eq!(said(&no_list).lines().count(), 1, "{}", said(&no_list));
    let broken_routes = VALID.replace("  - upstream: app\n", "  - 3\n");
    assert_eq!(said(&broken_routes).lines().count(), 1, "{}", said(&broken_routes));
}

#[test]
fn the_examples_are_valid() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let files: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("conf/")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // It names files that are not kept: see `certificates`.
        .filter(|path| !path.ends_with("https.yaml"))
        .collect();
    assert!(files.len() >= 3, "there are examples: {files:?}");
    for file in files {
        match load(&file) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
            Err(error) => panic!("an example is not valid:\n{error}"),
        }
    }
}

#[test]
fn a_configuration_without_a_file_serves_one_app() {
    let directory = tempfile::tempdir().expect("a directory");
    let workers = NonZeroU16::new(3).expect("three");
    let config = Config::for_app("main:app", "127.0.0.1:0", workers, directory.path(), None);
    let config = config.expect("a valid configuration");
    let listener = config.listeners.first().expect("a listener");
    assert_eq!(listener.address, tcp("127.0.0.1:0"), "address");
    assert!(listener.http2, "http2 is on");
    assert_eq!(config.admin, None, "no admin API");
    assert_eq!(config.logging.access, AccessLog::Stdout, "the access log is on");
    assert_eq!(app_of(&config).workers, workers, "workers");
    assert_eq!(app_of(&config).directory, directory.path(), "directory");
    assert_eq!(config.routes.len(), 1, "one route");
}

#[test]
fn options_without_a_file_are_all_checked_at_once() {
    let directory = Path::new("no-such-directory");
    let problems = Config::for_app("main.py", "8080", NonZeroU16::MIN, directory, None);
    let current = std::env::current_dir().expect("one");
    let expected = [
        "--listen: is not an address (got \"8080\", allowed ip:port, [v6]:port or unix:/path)"
            .to_owned(),
        "MODULE:APP: is not an ASGI application (got \"main.py\", allowed module:attribute, for \
         example backend.main:app)"
            .to_owned(),
        format!(
            "--directory: does not exist: {} (got \"no-such-directory\", allowed a directory)",
            current.join(directory).display()
        ),
    ];
    assert_eq!(problems.expect_err("three problems"), expected, "in the words of the options");
}
