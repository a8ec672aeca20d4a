//! Upstreams and workers for tests.

use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Address, Balance, Connections, Percent, Queue, Retry, RetryOn, Reuse};
#[cfg(unix)]
use crate::net::Stream;
use crate::telemetry::Metrics;

#[cfg(unix)]
use super::{Connection, Held};
use super::{Identity, Location, Upstream, Worker};

/// An upstream `u` that takes workers in turn, with no limit that a test would meet unless it asks for it.
pub fn settings() -> config::Upstream {
    config::Upstream {
        name: "u".to_owned(),
        workers: config::Workers::Fixed(Vec::new()),
        balance: Balance::RoundRobin,
        affinity: None,
        health: None,
        ejection: None,
        slow_start: None,
        connections: Connections {
            reuse: Reuse::Safe,
            idle_timeout: Duration::from_secs(60),
            max_age: None,
            max_requests: None,
            max_idle: 8,
            prewarm: 0,
        },
        slots: NonZeroUsize::new(100).expect("some"),
        max_connections: None,
        queue: Queue { size: 100, timeout: Duration::from_secs(30) },
        retry: Retry {
            attempts: NonZeroU32::new(3).expect("some"),
            budget: Percent::saturating(20),
            on: RetryOn::default(),
            body_buffer: 0,
        },
        tls: None,
    }
}

/// An upstream as `settings` say.
pub fn upstream(settings: &config::Upstream) -> Arc<Upstream> {
    Upstream::new(settings).expect("it can be set up")
}

/// A worker for `upstream`, not in it yet, that nobody supervises.
pub fn worker(upstream: &Upstream, name: &str, generation: u64, address: Address) -> Worker {
    worker_of(upstream, Identity { name: name.into(), generation, pid: None }, address)
}

/// As [`worker`], with a process that asgate started.
pub fn supervised(upstream: &Upstream, name: &str, address: Address) -> Worker {
    worker_of(upstream, Identity { name: name.into(), generation: 1, pid: Some(1) }, address)
}

/// As [`worker`], whoever it is.
pub fn worker_of(upstream: &Upstream, identity: Identity, address: Address) -> Worker {
    let metrics = Metrics::new().expect("metrics").worker("u", &identity.name);
    let location = Location { address, host: None };
    Worker::new(identity, location, NonZeroU16::MIN, upstream.terms(), metrics)
}

/// A connection to `worker`, and the worker's end of it, which does not block.
#[cfg(unix)]
pub fn connection(upstream: &Upstream, worker: &Worker) -> (Connection, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    for end in [&near, &far] {
        end.set_nonblocking(true).expect("it does not block");
    }
    let stream = Stream::Local(tokio::net::UnixStream::from_std(near).expect("a runtime"));
    let held = Held::new(worker.metrics().connection(), None);
    (Connection::new(stream, held, Arc::default(), upstream.policy().max_age), far)
}
