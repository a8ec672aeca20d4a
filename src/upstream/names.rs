//! Workers behind a host name: asks for its addresses again and again, and sees to it that each is a worker.
//!
//! A name that stops resolving keeps its last addresses: a name server that is down must not take the workers with
//! it. Knows workers only as addresses on a [`Roster`].

mod resolver;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use resolver::Resolver;
use resolver::{Found, Unresolved};

/// Where the workers of a name join and leave.
pub trait Roster: Send + Sync + 'static {
    /// A worker at `address` is to get requests; there is none yet.
    fn join(&self, address: SocketAddr);
    /// The worker at `address` is to get no more.
    fn leave(&self, address: SocketAddr);
}

/// How often a name is asked for.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// From an answer to the next question at least, whatever its TTL.
    soonest: Duration,
    /// From an answer to the next question at most.
    latest: Duration,
    /// From the first failure to the next question; doubles with each.
    retry: Duration,
    max_retry: Duration,
}

const PACE: Pace = Pace {
    soonest: Duration::from_secs(1),
    latest: Duration::from_secs(300),
    retry: Duration::from_secs(1),
    max_retry: Duration::from_secs(30),
};

/// The name of the worker at `address` of a server that was written as `host:port`: unique in the upstream, and the
/// same whenever the address comes back.
pub fn worker_name(host: &str, address: SocketAddr) -> String {
    format!("{host}:{}@{}", address.port(), address.ip())
}

/// What is known of a name now; for the status, and for those who wait for the first answer.
#[derive(Debug, Default)]
pub struct NameState(watch::Sender<Known>);

/// What is known of a name at one moment.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Those of the last answer that had any.
    pub addresses: Vec<IpAddr>,
    /// Why the name does not resolve now; `None` when it does or was never asked for.
    pub trouble: Option<String>,
    /// When it is asked for again; `None` until it was asked for once.
    pub next_try: Option<Instant>,
}

impl NameState {
    /// What is known now.
    pub fn known(&self) -> Known {
        self.0.borrow().clone()
    }

    /// Whether the name was asked for once, and its workers have joined.
    pub fn was_asked(&self) -> bool {
        self.0.borrow().next_try.is_some()
    }

    /// Waits until the name was asked for once, whatever the answer. Its workers have joined by then.
    pub async fn asked(&self) {
        // It fails when the sender is gone, which is borrowed here.
        let _ = self.0.subscribe().wait_for(|known| known.next_try.is_some()).await;
    }
}

/// Keeps the workers of `host:port` on `roster` until dropped; they stay there then. `state` is kept up to date.
pub async fn keep(
    resolver: Resolver,
    host: String,
    port: u16,
    roster: impl Roster,
    state: Arc<NameState>,
) {
    let pace = PACE;
    Keeper { resolver, host, port, roster, state, pace, held: BTreeSet::new(), failures: 0 }
        .run()
        .await;
}

struct Keeper<R> {
    resolver: Resolver,
    host: String,
    port: u16,
    roster: R,
    state: Arc<NameState>,
    pace: Pace,
    /// Those on the roster.
    held: BTreeSet<IpAddr>,
    /// Since the last answer.
    failures: u32,
}

impl<R: Roster> Keeper<R> {
    async fn run(mut self) {
        loop {
            let (pause, trouble) = match self.resolver.ask(&self.host, &self.held).await {
                Ok(found) => (self.resolved(found), None),
                Err(error) => (self.unresolved(&error), Some(error.to_string())),
            };
            let next_try = Instant::now() + pause;
            let addresses = self.held.iter().copied().collect();
            self.state.0.send_replace(Known { addresses, trouble, next_try: Some(next_try) });
            sleep_until(next_try).await;
        }
    }

    /// Brings the roster up to date. Returns how long the answer is good for.
    fn resolved(&mut self, found: Found) -> Duration {
        if self.failures > 0 {
            log::info!("A host name resolves again: host={}", self.host);
            self.failures = 0;
        }
        let joining: Vec<_> = found.addresses.difference(&self.held).copied().collect();
        let leaving: Vec<_> = self.held.difference(&found.addresses).copied().collect();
        if !(joining.is_empty() && leaving.is_empty()) {
            log::info!(
                "A host name has other addresses now: host={} new={joining:?} gone={leaving:?}",
                self.host
            );
        }
        // In this order, so that requests find a worker all the time.
        for ip in joining {
            self.roster.join(SocketAddr::new(ip, self.port));
        }
        for ip in leaving {
            self.roster.leave(SocketAddr::new(ip, self.port));
        }
        self.held = found.addresses;
        found.ttl.clamp(self.pace.soonest, self.pace.latest)
    }

    /// Returns how long to wait before the next try.
    fn unresolved(&mut self, error: &Unresolved) -> Duration {
        if self.failures == 0 {
            log::warn!(
                "A host name does not resolve; the addresses it had are kept: host={} addresses={} error={error}",
                self.host,
                self.held.len()
            );
        }
        let pause = self.pace.retry.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        // Up to a quarter less, so that edges which lost their name server together do not ask it together.
        pause.min(self.pace.max_retry).mul_f64(1.0 - fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests;
