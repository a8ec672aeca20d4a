//! A worker that answers every request with its own name, counts, and changes its ways when a test says so.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::stub::{Accepted, Stub};

/// The path that counts as a health check, not as a request.
pub const HEALTH: &str = "/health";

/// A running worker.
pub struct PlainWorker {
    stub: Stub,
    conduct: Arc<Conduct>,
}

/// What it does, and has done.
struct Conduct {
    delay_ms: AtomicU64,
    status: AtomicU16,
    health: AtomicU16,
    /// How many health checks are still to be answered with a 500.
    failing_checks: AtomicUsize,
    is_silent: AtomicBool,
    requests: AtomicUsize,
    checks: AtomicUsize,
}

// === impl PlainWorker ===

impl PlainWorker {
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    /// One that serves what comes to `listener`.
    pub fn on(listener: TcpListener) -> Self {
        let conduct = Arc::new(Conduct::default());
        let shared = Arc::clone(&conduct);
        let stub = Stub::on(listener, move |accepted| shared.serve(accepted));
        Self { stub, conduct }
    }

    /// As many as there are in the array.
    pub fn team<const SIZE: usize>() -> [Self; SIZE] {
        std::array::from_fn(|_| Self::start())
    }

    pub fn address(&self) -> SocketAddr {
        self.stub.address()
    }

    /// What it answers with, and what the log and the status call it.
    pub fn name(&self) -> String {
        self.address().to_string()
    }

    /// The connections to it.
    pub fn stub(&self) -> &Stub {
        &self.stub
    }

    /// How many requests came so far, health checks apart.
    pub fn requests(&self) -> usize {
        self.conduct.requests.load(Ordering::SeqCst)
    }

    /// How many health checks came so far.
    pub fn checks(&self) -> usize {
        self.conduct.checks.load(Ordering::SeqCst)
    }

    /// From now on requests take so long.
    pub fn take(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).expect("milliseconds");
        self.conduct.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// From now on requests are answered with this status.
    pub fn answer_with(&self, status: u16) {
        self.conduct.status.store(status, Ordering::SeqCst);
    }

    /// From now on health checks are answered with this status.
    pub fn answer_checks_with(&self, status: u16) {
        self.conduct.health.store(status, Ordering::SeqCst);
    }

    /// The next `count` health checks are answered with a 500.
    pub fn fail_checks(&self, count: usize) {
        self.conduct.failing_checks.store(count, Ordering::SeqCst);
    }

    /// From now on nothing is answered, or everything again.
    pub fn be_silent(&self, silent: bool) {
        self.conduct.is_silent.store(silent, Ordering::SeqCst);
    }
}

/// The addresses of a team.
pub fn addresses(team: &[PlainWorker]) -> Vec<SocketAddr> {
    team.iter().map(PlainWorker::address).collect()
}

/// How many requests each of a team got.
pub fn shares(team: &[PlainWorker]) -> Vec<usize> {
    team.iter().map(PlainWorker::requests).collect()
}

// === impl Conduct ===

impl Default for Conduct {
    fn default() -> Self {
        Self {
            delay_ms: AtomicU64::new(0),
            status: AtomicU16::new(200),
            health: AtomicU16::new(200),
            failing_checks: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
        }
    }
}

impl Conduct {
    fn fails_this_check(&self) -> bool {
        let one_less = |count: usize| count.checked_sub(1);
        self.failing_checks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }

    fn serve(&self, mut accepted: Accepted) {
        let name = accepted.stream.local_addr().expect("its address").to_string();
        while let Some(request) = accepted.request() {
            let is_check = request.split(' ').nth(1) == Some(HEALTH);
            let (counter, status) = if is_check {
                (&self.checks, &self.health)
            } else {
                (&self.requests, &self.status)
            };
            counter.fetch_add(1, Ordering::SeqCst);
            if self.is_silent.load(Ordering::SeqCst) {
                // Until the edge gives up.
                accepted.wait_for_fin();
                return;
            }
            if !is_check {
                std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
            }
            let fails = is_check && self.fails_this_check();
            let (status, length) =
                (if fails { 500 } else { status.load(Ordering::SeqCst) }, name.len());
            accepted.send(format!(
                "HTTP/1.1 {status} As Told\r\ncontent-length: {length}\r\n\r\n{name}"
            ));
        }
    }
}
