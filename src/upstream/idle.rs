//! The unused connections of one worker, and the policy by which they are kept.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::{Connections, Reuse};

use super::connection::{Check, Connection};

/// Who a connection is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Whoever comes next.
    Anybody,
    /// One client connection, by a number that no other has.
    Client(u64),
}

/// A connection that was put aside.
struct Parked {
    connection: Connection,
    since: Instant,
    keeping: Keeping,
}

/// The unused connections of one worker.
pub(super) struct IdleConnections {
    /// The one used last at the end: it is taken first, so that those there are too many of grow old.
    list: Mutex<Vec<Parked>>,
}

impl Parked {
    fn is_expired(&self, policy: &Connections, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= policy.idle_timeout
            || !self.connection.may_serve(policy, now)
    }
}

impl IdleConnections {
    pub(super) fn new() -> Self {
        Self { list: Mutex::default() }
    }

    /// How many there are, those included that are kept for one client.
    pub(super) fn len(&self) -> usize {
        self.list.lock().len()
    }

    /// Whether there is one that anybody may have.
    pub(super) fn has_shared(&self) -> bool {
        self.list.lock().iter().any(|parked| parked.keeping == Keeping::Anybody)
    }

    /// The one used last, of those kept for `keeping`, that is still good.
    pub(super) fn take(
        &self,
        policy: &Connections,
        keeping: Keeping,
        check: Check,
    ) -> Option<Connection> {
        let now = Instant::now();
        loop {
            let mut parked = {
                let mut list = self.list.lock();
                let index = list.iter().rposition(|parked| parked.keeping == keeping)?;
                list.remove(index)
            };
            if parked.is_expired(policy, now) || !parked.connection.is_quiet(check) {
                parked.connection.close();
                continue;
            }
            parked.connection.counted().mark_active();
            return Some(parked.connection);
        }
    }

    /// Puts `connection` aside for `keeping`, unless that is not allowed, there are enough, or `is_wanted` says no: that is
    /// asked where nothing can be put aside behind a [`Self::clear`]. It is closed then.
    pub(super) fn put(
        &self,
        mut connection: Connection,
        policy: &Connections,
        (keeping, check): (Keeping, Check),
        is_wanted: impl FnOnce() -> bool,
    ) {
        let now = Instant::now();
        let is_good = may_be_kept(&connection, policy.reuse, keeping)
            && connection.may_serve(policy, now)
            && connection.is_quiet(check);
        let mut list = self.list.lock();
        let shared = || list.iter().filter(|parked| parked.keeping == Keeping::Anybody).count();
        // As many are kept for clients as there are clients.
        let has_place = matches!(keeping, Keeping::Client(_))
            || list.len() < policy.max_idle
            || shared() < policy.max_idle;
        if is_good && has_place && is_wanted() {
            connection.counted().mark_idle();
            list.push(Parked { connection, since: now, keeping });
            return;
        }
        drop(list);
        connection.close();
    }

    /// Closes those that are too old or that the worker has closed.
    pub(super) fn sweep(&self, policy: &Connections) {
        let now = Instant::now();
        self.close(|parked| {
            parked.is_expired(policy, now) || !parked.connection.is_quiet(Check::Notes)
        });
    }

    /// Closes those that were kept for a client that has left.
    pub(super) fn forget(&self, client: u64) {
        self.close(|parked| parked.keeping == Keeping::Client(client));
    }

    /// Closes the one that was unused for the longest time, to make room; one that anybody could have had rather than a
    /// client's, who may have to sign on again without it.
    pub(super) fn give_one_up(&self) {
        let mut list = self.list.lock();
        let shared = list.iter().position(|parked| parked.keeping == Keeping::Anybody);
        if list.is_empty() {
            return;
        }
        let oldest = list.remove(shared.unwrap_or(0));
        drop(list);
        oldest.connection.close();
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        self.close(|_| true);
    }

    fn close(&self, is_over: impl Fn(&mut Parked) -> bool) {
        let over: Vec<Parked> = self.list.lock().extract_if(.., |parked| is_over(parked)).collect();
        over.into_iter().for_each(|parked| parked.connection.close());
    }
}

/// Whether a connection may serve a later request of `keeping`.
fn may_be_kept(connection: &Connection, reuse: Reuse, keeping: Keeping) -> bool {
    // One that came too late for the request that wanted it is anybody's.
    let is_unused = connection.served() == 0;
    match (keeping, reuse) {
        (Keeping::Anybody, Reuse::Safe | Reuse::Always) => !connection.is_bound(),
        (Keeping::Anybody, Reuse::Never | Reuse::PerClient) => is_unused,
        (Keeping::Client(_), Reuse::Never) => false,
        (Keeping::Client(_), Reuse::Safe | Reuse::Always | Reuse::PerClient) => true,
    }
}
