//! The unused connections of one worker, and the policy by which they are kept.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::{Connections, Reuse};

use super::connection::{Check, Connection};

/// A connection that was put aside, and since when.
pub struct Parked {
    connection: Connection,
    since: Instant,
}

/// The unused connections that any request may have.
pub(super) struct IdleConnections {
    /// The one used last at the end: it is taken first, so that those there are too many of grow old.
    list: Mutex<Vec<Parked>>,
}

impl Parked {
    /// Puts `connection` aside, or closes it when it may not serve another request or is not quiet as far as `check`
    /// looks.
    pub(super) fn park(
        mut connection: Connection,
        policy: &Connections,
        check: Check,
    ) -> Option<Self> {
        let now = Instant::now();
        if !connection.may_serve(policy, now) || !connection.is_quiet(check) {
            connection.close();
            return None;
        }
        connection.counted().mark_idle();
        Some(Self { connection, since: now })
    }

    /// Takes it up again, or closes it when it was put aside for too long or is not quiet.
    pub(super) fn revive(
        mut self,
        policy: &Connections,
        check: Check,
        now: Instant,
    ) -> Option<Connection> {
        if self.is_expired(policy, now) || !self.connection.is_quiet(check) {
            self.connection.close();
            return None;
        }
        self.connection.counted().mark_active();
        Some(self.connection)
    }

    fn is_expired(&self, policy: &Connections, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= policy.idle_timeout
            || !self.connection.may_serve(policy, now)
    }
}

impl IdleConnections {
    pub(super) fn new() -> Self {
        Self { list: Mutex::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.list.lock().len()
    }

    /// The one used last that is still good.
    pub(super) fn take(&self, policy: &Connections, check: Check) -> Option<Connection> {
        let now = Instant::now();
        loop {
            let parked = self.list.lock().pop()?;
            if let Some(connection) = parked.revive(policy, check, now) {
                return Some(connection);
            }
        }
    }

    /// Puts `connection` aside for anybody, unless that is not allowed, there are enough, or `is_wanted` says no: that is
    /// asked where nothing can be put aside behind a [`Self::clear`]. It is closed then.
    pub(super) fn put(
        &self,
        connection: Connection,
        policy: &Connections,
        check: Check,
        is_wanted: impl FnOnce() -> bool,
    ) {
        if !may_be_shared(&connection, policy.reuse) {
            connection.close();
            return;
        }
        let mut list = self.list.lock();
        if list.len() >= policy.max_idle || !is_wanted() {
            drop(list);
            connection.close();
            return;
        }
        list.extend(Parked::park(connection, policy, check));
    }

    /// Closes those that are too old or that the worker has closed.
    pub(super) fn sweep(&self, policy: &Connections) {
        let now = Instant::now();
        let is_over = |parked: &mut Parked| {
            parked.is_expired(policy, now) || !parked.connection.is_quiet(Check::Notes)
        };
        let over: Vec<Parked> = self.list.lock().extract_if(.., is_over).collect();
        over.into_iter().for_each(|parked| parked.connection.close());
    }

    /// Closes the one that was unused for the longest time, to make room.
    pub(super) fn give_one_up(&self) {
        let mut list = self.list.lock();
        if !list.is_empty() {
            let oldest = list.remove(0);
            drop(list);
            oldest.connection.close();
        }
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        self.list.lock().clear();
    }
}

/// Whether a connection may serve whoever comes next.
fn may_be_shared(connection: &Connection, reuse: Reuse) -> bool {
    match reuse {
        Reuse::Safe | Reuse::Always => !connection.is_bound(),
        // One that came too late for the request that wanted it is anybody's.
        Reuse::Never | Reuse::PerClient => connection.served() == 0,
    }
}
