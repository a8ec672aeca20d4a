//! What one request pays for routing: the lookup from 10 to 10,000 routes, and making its path
//! canonical.

use std::hint::black_box;

use asgate::config::{
    Access, Action, HeaderRules, HostPattern, Limits, Match, PathPattern, Respond, Route, Timeouts,
};
use asgate::routing::{Request, Table, host, path};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method, StatusCode};

fn route(hosts: Vec<HostPattern>, prefix: String) -> Route {
    Route {
        name: String::new(),
        matches: Match {
            hosts,
            path: PathPattern::Prefix(prefix),
            methods: Vec::new(),
            headers: Vec::new(),
            query: Vec::new(),
        },
        action: Action::Respond(Respond { status: StatusCode::OK, body: "".into() }),
        timeouts: Timeouts {
            connect: None,
            first_byte: None,
            idle: None,
            total: None,
            websocket_idle: None,
            request_body: None,
            client_write: None,
        },
        limits: Limits {
            body: None,
            header: 0,
            uri: 0,
            headers: 0,
            min_request_rate: None,
            min_response_rate: None,
        },
        headers: HeaderRules::default(),
        access: Access::default(),
        rate_limit: None,
    }
}

fn host_name(index: usize) -> String {
    format!("tenant{index:05}.example.com")
}

/// `count` routes on the square root of so many hosts, and beside them a wildcard host.
fn table(count: usize) -> Table {
    let wildcard = HostPattern::Wildcard(".wild.example.com".into());
    let routes: Vec<Route> = (0..count)
        .map(|index| {
            let (host, service) = place(index, count);
            route(vec![HostPattern::Exact(host)], format!("/api/v1/service{service:05}"))
        })
        .chain([route(vec![wildcard], "/api".into())])
        .collect();
    Table::compile(&routes)
}

/// Host and service of a route among `count`.
fn place(index: usize, count: usize) -> (String, usize) {
    let hosts = count.isqrt();
    (host_name(index % hosts), index / hosts)
}

type Place = (String, String);

fn hit((host, service): (String, usize)) -> Place {
    (host, format!("/api/v1/service{service:05}/users/42"))
}

fn miss((host, service): (String, usize)) -> Place {
    (host, format!("/api/v2/absent{service:05}/users/42"))
}

fn wildcard((host, service): (String, usize)) -> Place {
    (host.replace("example", "eu.wild.example"), format!("/api/{service:05}/users/42"))
}

/// Asks for every route of the table in turn, so that a large one is not in the nearest cache.
fn lookups(c: &mut Criterion) {
    let mut group = c.benchmark_group("find");
    let (method, headers) = (&Method::GET, &HeaderMap::new());
    for count in [10, 100, 1_000, 10_000] {
        let table = table(count);
        for (name, kind) in [("hit", hit as fn(_) -> _), ("miss", miss), ("wildcard", wildcard)] {
            let requests: Vec<Place> = (0..count).map(|i| kind(place(i, count))).collect();
            let mut turn = requests.iter().cycle();
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    let (host, path) = turn.next()?;
                    table.find(black_box(&Request { host, path, query: None, method, headers }))
                });
            });
        }
    }
    group.finish();
}

/// A path as long as the limit allows must not cost more than the prefixes that could match it.
fn hostile(c: &mut Criterion) {
    let table = table(10_000);
    let (method, headers) = (Method::GET, HeaderMap::new());
    let (host, path) = (host_name(0), "/".repeat(8 << 10));
    let request =
        Request { host: &host, path: &path, query: None, method: &method, headers: &headers };
    c.bench_function("find/8KiB_of_slashes", |b| {
        b.iter(|| black_box(table.find(black_box(&request))))
    });
}

fn normalisation(c: &mut Criterion) {
    for (name, raw) in [
        ("path/nothing_to_do", &b"/api/v1/service00042/users/42"[..]),
        ("path/triplets", b"/api/v1/service%30%30042/users/%c3%a9"),
        ("path/dot_segments", b"/api/v1/x/../service00042/./users/42"),
    ] {
        c.bench_function(name, |b| b.iter(|| black_box(path::canonical(black_box(raw)))));
    }
    for (name, raw) in [
        ("host/lower_case", &b"tenant00042.example.com:8443"[..]),
        ("host/upper_case", b"Tenant00042.Example.com:8443"),
    ] {
        c.bench_function(name, |b| b.iter(|| black_box(host::parse(black_box(raw)))));
    }
}

criterion_group!(benches, lookups, hostile, normalisation);
criterion_main!(benches);
