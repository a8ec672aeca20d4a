//! What one request pays for its slot: taking it and giving it back, in upstreams of 1 to 1,000 workers.

#![allow(clippy::expect_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use asgate::config::{self, Address, ServerAddress, Workers};
use asgate::telemetry::Metrics;
use asgate::upstream::{Identity, Location, Upstream, Wish, Worker};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZES: [usize; 4] = [1, 8, 64, 1_000];
/// In the file's words.
const WAYS: [&str; 5] = ["least_requests", "round_robin", "random", "latency", "hash"];
const THREADS: usize = 2;

/// The one upstream of a file, with `count` workers in rotation that nobody connects to.
fn upstream(balance: &str, count: usize) -> Arc<Upstream> {
    let hash_on = if balance == "hash" { "hash_on: client_ip" } else { "" };
    let servers: Vec<String> =
        (0..count).map(|number| format!("{{ address: 127.0.0.1:{} }}", 10_000 + number)).collect();
    let servers = servers.join(", ");
    let file = format!(
        "
listeners: [{{ address: 127.0.0.1:8080 }}]
upstreams:
  app:
    balance: {balance}
    {hash_on}
    servers: [{servers}]
routes: [{{ upstream: app }}]
"
    );
    let loaded = config::parse(&file, Path::new("asgate.yaml"), &|_| None);
    let config = loaded.map_err(|problems| problems.to_string()).expect("a valid file").config;
    let settings = config.upstreams.first().expect("the upstream of the file");
    let upstream = Upstream::new(settings).expect("it needs nothing of the system");
    let metrics = Metrics::new().expect("metrics");
    for worker in workers(&settings.workers, &upstream, &metrics) {
        upstream.join(Arc::new(worker));
    }
    upstream
}

fn workers<'a>(
    settings: &'a Workers,
    upstream: &'a Upstream,
    metrics: &'a Metrics,
) -> impl Iterator<Item = Worker> + 'a {
    let servers = match settings {
        Workers::Fixed(servers) => servers.as_slice(),
        Workers::Supervised(_) => &[],
    };
    let address = |address: &ServerAddress| -> Option<Address> {
        match address {
            ServerAddress::Known(address) => Some(address.clone()),
            ServerAddress::Name { .. } => None,
        }
    };
    let known = servers.iter().filter_map(move |server| Some((server, address(&server.address)?)));
    known.map(|(server, address)| {
        let name: Arc<str> = address.to_string().into();
        let metrics = metrics.worker(upstream.name(), &name);
        let identity = Identity { name, generation: 0, pid: None };
        let location = Location { address, host: None };
        Worker::new(identity, location, server.weight, upstream.terms(), metrics)
    })
}

/// One request that holds its slot for no time.
fn request(upstream: &Arc<Upstream>, wish: &Wish) {
    drop(black_box(upstream.acquire(black_box(wish)).expect("a slot")));
}

/// By one thread. Only `hash` looks at keys, and all requests have one.
fn alone(c: &mut Criterion) {
    let client = |number: u32| format!("10.0.{}.{}", number / 256, number % 256);
    let wish = |key: String| Wish { key: Some(key.as_bytes().into()), ..Wish::default() };
    let wishes: Vec<Wish> = (0..4096).map(client).map(wish).collect();
    for balance in WAYS {
        let mut group = c.benchmark_group(format!("slot/{balance}"));
        for count in SIZES {
            let upstream = upstream(balance, count);
            let mut turn = wishes.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(count), |b| {
                b.iter(|| turn.next().map(|wish| request(&upstream, wish)));
            });
        }
        group.finish();
    }
}

/// By several threads at the same time: the time of one request of each.
fn together(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("slot_by_{THREADS}_threads/least_requests"));
    for count in SIZES {
        let upstream = upstream("least_requests", count);
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_custom(|turns| time_together(&upstream, turns));
        });
    }
    group.finish();
}

/// How long it takes until each thread has made `turns` requests.
fn time_together(upstream: &Arc<Upstream>, turns: u64) -> Duration {
    let (wish, start) = (Wish::default(), Barrier::new(THREADS));
    let make_requests = || {
        start.wait();
        let begun = Instant::now();
        (0..turns).for_each(|_| request(upstream, &wish));
        begun.elapsed()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(make_requests)).collect();
        let times = threads.into_iter().map(|thread| thread.join().expect("it ends"));
        times.max().unwrap_or_default()
    })
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = alone, together
}
criterion_main!(benches);
