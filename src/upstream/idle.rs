//! The unused connections of one worker, and the policy by which they are kept.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::{Connections, Reuse};

use super::connection::{Check, Connection};

/// Who a connection is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Whoever comes next.
    Anybody,
    Client(Client),
}

/// One client: a connection to the edge, by a number that no other has, and who is at its end; behind a proxy that may be
/// several in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    pub connection: u64,
    pub address: Option<IpAddr>,
}

/// A connection that was put aside.
struct Parked {
    connection: Connection,
    since: Instant,
}

/// The unused connections of one worker.
pub(super) struct IdleConnections(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    /// The one used last at the end: it is taken first, so that those there are too many of grow old.
    shared: Vec<Parked>,
    /// By the number of the client connection; never an empty list.
    private: HashMap<u64, Vec<(Option<IpAddr>, Parked)>>,
}

impl Parked {
    fn is_over(&mut self, policy: &Connections, now: Instant, check: Check) -> bool {
        now.saturating_duration_since(self.since) >= policy.idle_timeout
            || !self.connection.may_serve(policy, now)
            || !self.connection.is_quiet(check)
    }
}

impl Lists {
    fn take(&mut self, keeping: Keeping) -> Option<Parked> {
        let Keeping::Client(Client { connection, address }) = keeping else {
            return self.shared.pop();
        };
        let list = self.private.get_mut(&connection)?;
        let index = list.iter().rposition(|(kept_for, _)| *kept_for == address)?;
        let (_, parked) = list.remove(index);
        if list.is_empty() {
            self.private.remove(&connection);
        }
        Some(parked)
    }

    fn put(&mut self, keeping: Keeping, parked: Parked) {
        match keeping {
            Keeping::Anybody => self.shared.push(parked),
            Keeping::Client(Client { connection, address }) => {
                self.private.entry(connection).or_default().push((address, parked));
            }
        }
    }

    /// Removes and returns those that `is_over` says.
    fn extract(&mut self, mut is_over: impl FnMut(&mut Parked) -> bool) -> Vec<Parked> {
        let mut over: Vec<_> = self.shared.extract_if(.., |parked| is_over(parked)).collect();
        self.private.retain(|_, list| {
            over.extend(
                list.extract_if(.., |(_, parked)| is_over(parked)).map(|(_, parked)| parked),
            );
            !list.is_empty()
        });
        over
    }
}

impl IdleConnections {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// How many there are, those included that are kept for one client.
    pub(super) fn len(&self) -> usize {
        let lists = self.0.lock();
        lists.shared.len() + lists.private.values().map(Vec::len).sum::<usize>()
    }

    /// Whether there is one that anybody may have.
    pub(super) fn has_shared(&self) -> bool {
        !self.0.lock().shared.is_empty()
    }

    /// Whether there is one that is kept for `client`.
    pub(super) fn has_private(&self, client: Client) -> bool {
        let lists = self.0.lock();
        let list = lists.private.get(&client.connection);
        list.is_some_and(|list| list.iter().any(|(kept_for, _)| *kept_for == client.address))
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
            let mut parked = self.0.lock().take(keeping)?;
            if parked.is_over(policy, now, check) {
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
        let mut lists = self.0.lock();
        // As many are kept for clients as there are clients.
        let has_place = keeping != Keeping::Anybody || lists.shared.len() < policy.max_idle;
        if is_good && has_place && is_wanted() {
            connection.counted().mark_idle();
            lists.put(keeping, Parked { connection, since: now });
            return;
        }
        drop(lists);
        connection.close();
    }

    /// Closes those that are too old or that the worker has closed.
    pub(super) fn sweep(&self, policy: &Connections) {
        let now = Instant::now();
        let over = self.0.lock().extract(|parked| parked.is_over(policy, now, Check::Notes));
        close(over);
    }

    /// Closes those that were kept for a client connection that has ended.
    pub(super) fn forget(&self, connection: u64) {
        let gone = self.0.lock().private.remove(&connection).unwrap_or_default();
        close(gone.into_iter().map(|(_, parked)| parked));
    }

    /// Closes the one that was unused for the longest time, to make room; one that anybody could have had rather than a
    /// client's, who may have to sign on again without it.
    pub(super) fn give_one_up(&self) {
        let mut lists = self.0.lock();
        let given_up = if lists.shared.is_empty() {
            let kept = lists.private.values().flatten();
            let oldest = kept.map(|(_, parked)| parked.since).min();
            oldest.map(|oldest| lists.extract(|parked| parked.since == oldest)).unwrap_or_default()
        } else {
            vec![lists.shared.remove(0)]
        };
        drop(lists);
        close(given_up);
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        let all = self.0.lock().extract(|_| true);
        close(all);
    }
}

fn close(parked: impl IntoIterator<Item = Parked>) {
    parked.into_iter().for_each(|parked| parked.connection.close());
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
