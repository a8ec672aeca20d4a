//! A token bucket for each client, or whatever a limit is counted by, in memory that does not grow.
//!
//! The generic cell rate algorithm (ATM Forum TM 4.0 §4.4.2, ITU-T I.371): of each bucket one number is kept, the
//! time at which it will be full again. That makes a bucket that is full and one that was never seen the same, so
//! nothing has to be swept.
//!
//! Buckets lie in a table of fixed size by a keyed hash of their key; what a client sent is never kept, and it cannot
//! choose where in the table it comes to lie. When a place is wanted and none is free, the bucket that is full
//! soonest is forgotten, and so starts full. Whoever has used up its share cannot make room for itself by making up
//! names: their buckets are fuller than its own, and go first.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::client;
use crate::config::{self, RateKey};

/// Buckets that one limit remembers, in a good mebibyte. While no more than half of them are in use, that is not
/// full, it is rare that one is forgotten.
pub const MAX_BUCKETS: usize = 65_536;

/// Buckets in a part of the table. Eight of them are in use on average when half of all are, and chance seldom makes
/// that more than sixteen.
const WAYS: usize = 16;

/// What requests are counted by.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// The client's address. IPv6 by /64, which is what one customer gets (RFC 6177); IPv4-mapped as IPv4. Clients
    /// without an address share a bucket.
    Address(Option<IpAddr>),
    /// One bucket for all.
    Route,
    /// The value of a header or a cookie. Requests without it share a bucket.
    Text(Option<&'a [u8]>),
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether a token was there. If not, none was taken, and the request is to be refused.
    pub admitted: bool,
    /// Requests that would be admitted now.
    pub remaining: u32,
    /// Until one more would be.
    pub reset: Duration,
    /// How long whoever was refused is to wait; nothing if it was admitted.
    pub retry_after: Duration,
}

/// One limit, for any number of threads.
#[derive(Debug)]
pub struct RateLimiter {
    rate: Rate,
    hasher: RandomState,
    /// What times are counted from.
    started: Instant,
    sets: Box<[Mutex<Set>]>,
}

impl RateLimiter {
    /// A limiter whose buckets are full. No `now` of a request should be earlier than this one.
    pub fn new(limit: &config::RateLimit, now: Instant) -> Self {
        let sets = match limit.key {
            RateKey::Route => 1,
            RateKey::ClientIp | RateKey::Header(_) | RateKey::Cookie(_) => MAX_BUCKETS / WAYS,
        };
        Self {
            rate: Rate::new(limit),
            hasher: RandomState::new(),
            started: now,
            sets: (0..sets).map(|_| Mutex::default()).collect(),
        }
    }

    /// A request counted by `key` comes at `now`: takes a token out of its bucket, if there is one.
    pub fn take(&self, key: Key<'_>, now: Instant) -> Verdict {
        let now = nanoseconds(now.saturating_duration_since(self.started));
        let name = self.hasher.hash_one(Name::from(key));
        let index = name % self.sets.len().max(1) as u64;
        let mut set =
            usize::try_from(index).ok().and_then(|index| self.sets.get(index)).map(Mutex::lock);
        // Neither the table nor a set is empty; if one were, everybody would start full each time.
        let mut unseen = 0;
        let full_at = set.as_mut().and_then(|set| set.bucket(name)).unwrap_or(&mut unseen);
        self.rate.take(full_at, now)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a key comes down to before it is hashed.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Name<'a> {
    Nobody,
    Client(IpAddr),
    Text(&'a [u8]),
}

impl<'a> From<Key<'a>> for Name<'a> {
    fn from(key: Key<'a>) -> Self {
        match key {
            Key::Route | Key::Address(None) | Key::Text(None) => Self::Nobody,
            Key::Text(Some(text)) => Self::Text(text),
            Key::Address(Some(ip)) => Self::Client(client::network_of(ip)),
        }
    }
}

/// What all buckets of a limit have in common.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Nanoseconds in which a token comes in. Rounded up: never more of them than configured.
    interval: u64,
    /// Nanoseconds in which an empty bucket becomes full.
    whole: u64,
}

impl Rate {
    fn new(limit: &config::RateLimit) -> Self {
        let interval = nanoseconds(limit.per).div_ceil(u64::from(limit.requests.get())).max(1);
        let capacity = u64::from(limit.requests.get()) + u64::from(limit.burst);
        Self { interval, whole: interval.saturating_mul(capacity) }
    }

    /// Takes a token out of the bucket that is full at `full_at`, if there is one at `now`.
    fn take(self, full_at: &mut u64, now: u64) -> Verdict {
        let lacking = full_at.saturating_sub(now);
        let after = lacking.saturating_add(self.interval);
        if after > self.whole {
            let wait = Duration::from_nanos(after - self.whole);
            return Verdict { admitted: false, remaining: 0, reset: wait, retry_after: wait };
        }
        *full_at = now.saturating_add(after);
        let left = (self.whole - after) / self.interval;
        Verdict {
            admitted: true,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            // The tokens that are lacking come one by one; this is when the first of them is here.
            reset: Duration::from_nanos((after - 1) % self.interval + 1),
            retry_after: Duration::ZERO,
        }
    }
}

/// A place in the table.
#[derive(Debug, Default)]
struct Set([Bucket; WAYS]);

#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    /// The hash of its key.
    name: u64,
    /// Nanoseconds since the limiter was made. The past if it is full, and so if nobody uses it.
    full_at: u64,
}

impl Set {
    /// When the bucket of `name` is full: its own, or the one that is full soonest, which is then forgotten.
    fn bucket(&mut self, name: u64) -> Option<&mut u64> {
        let bucket =
            self.0.iter_mut().min_by_key(|bucket| (bucket.name != name, bucket.full_at))?;
        if bucket.name != name {
            *bucket = Bucket { name, full_at: 0 };
        }
        Some(&mut bucket.full_at)
    }
}

#[cfg(test)]
mod tests;
