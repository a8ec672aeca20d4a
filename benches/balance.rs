//! What one request pays for the choice of its worker, in upstreams of 1 to 1,000 workers.

use std::hint::black_box;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::atomic::{AtomicUsize, Ordering};

use asgate::config::{Balance, HashKey};
use asgate::upstream::balance::{Attempt, Balancer, Load, Request};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const SIZES: [usize; 4] = [1, 8, 64, 1_000];

struct Worker {
    in_flight: AtomicUsize,
    latency: f64,
}

impl Load for Worker {
    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn weight(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }

    fn latency(&self) -> Option<f64> {
        Some(self.latency)
    }
}

/// Workers with a few requests in flight on each, none of them idle: the search may not stop early.
fn workers(count: usize) -> Vec<Worker> {
    let load = |index| (1 + index * 7 % 5, 0.001 * (1 + index * 11 % 13) as f64);
    let worker = |(in_flight, latency)| Worker { in_flight: AtomicUsize::new(in_flight), latency };
    (0..count).map(load).map(worker).collect()
}

fn balancer(how: &Balance, count: usize) -> Balancer {
    let names: Vec<String> = (1..=count).map(|name| name.to_string()).collect();
    Balancer::new(how, names.iter().map(|name| (name.as_str(), NonZeroU16::MIN)))
}

fn ways() -> [(&'static str, Balance); 5] {
    [
        ("least_requests", Balance::LeastRequests),
        ("round_robin", Balance::RoundRobin),
        ("random", Balance::Random),
        ("latency", Balance::Latency),
        ("hash", Balance::Hash(HashKey::ClientIp)),
    ]
}

/// The common case: every worker takes the request.
fn picks(c: &mut Criterion) {
    let keys: Vec<String> =
        (0..4096).map(|key| format!("10.0.{}.{}", key / 256, key % 256)).collect();
    for (name, how) in ways() {
        let mut group = c.benchmark_group(format!("pick/{name}"));
        for count in SIZES {
            let (workers, balancer) = (workers(count), balancer(&how, count));
            let in_flight = workers.iter().map(Load::in_flight).sum();
            let mut keys = keys.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(count), |b| {
                b.iter(|| {
                    let key = keys.next().map(String::as_bytes);
                    let request = Request { attempt: Attempt::First, key, in_flight };
                    balancer.pick(black_box(&workers), black_box(request), |_| true)
                });
            });
        }
        group.finish();
    }
}

/// Only the last worker takes the request: the price of the last resort.
fn last_resort(c: &mut Criterion) {
    for (name, how) in ways() {
        let mut group = c.benchmark_group(format!("last_resort/{name}"));
        for count in SIZES {
            let (workers, balancer) = (workers(count), balancer(&how, count));
            let in_flight = workers.iter().map(Load::in_flight).sum();
            let request = Request { attempt: Attempt::First, key: Some(b"10.0.0.1"), in_flight };
            let last = workers.last();
            let takes = |worker: &Worker| last.is_some_and(|last| std::ptr::eq(last, worker));
            group.bench_function(BenchmarkId::from_parameter(count), |b| {
                b.iter(|| balancer.pick(black_box(&workers), black_box(request), takes));
            });
        }
        group.finish();
    }
}

/// Laying out the order and the ring when a worker joins or leaves; not on the path of a request.
fn layouts(c: &mut Criterion) {
    for (name, how) in [("order", Balance::RoundRobin), ("ring", Balance::Hash(HashKey::ClientIp))]
    {
        let mut group = c.benchmark_group(format!("new/{name}"));
        group.sample_size(10);
        for count in SIZES {
            group.bench_function(BenchmarkId::from_parameter(count), |b| {
                b.iter(|| balancer(black_box(&how), count));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, picks, last_resort, layouts);
criterion_main!(benches);
