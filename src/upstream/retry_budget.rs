//! How many requests may be sent again: a share of all, so that retries cannot multiply a load that workers already
//! fail under.
//!
//! A purse, after Finagle's `RetryBudget`. Every request pays its share of a retry into it and every retry takes a
//! whole one out; when it is empty, the request fails with what it has. Beside that it gets a reserve of
//! [`RESERVE_PER_SEC`] retries, for upstreams whose few requests would earn none. What is in it is worth ten seconds:
//! of the reserve no more than ten seconds' worth is kept, and of what is above that a tenth goes each second, so that
//! a quiet night does not pay for a storm. In any time it lets through no more than it held, the reserve of that
//! time, and the share of the requests of that time.
//!
//! Must not know why a request is tried again, or where.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Percent;

/// One retry, in the parts that the purse counts.
const RETRY: u64 = 1000;
const PARTS_PER_PERCENT: u64 = RETRY / 100;
/// Retries that are there whatever comes in.
const RESERVE_PER_SEC: u64 = 5;
const RESERVE: u64 = RESERVE_PER_SEC * RETRY;
const RESERVE_KEPT: u64 = 10 * RESERVE;
/// Requests whose share fits into the purse beside the reserve: enough for every request that is on its way to some
/// workers when they die.
const MOST_REQUESTS: u64 = 10_000;

/// What one upstream may spend on retries.
#[derive(Debug)]
pub struct RetryBudget {
    /// What a request pays in; 0 when there are to be no retries at all.
    earned: u64,
    full: u64,
    /// In parts of [`RETRY`].
    purse: AtomicU64,
}

impl RetryBudget {
    /// A budget of `share` of the requests, and a full reserve to begin with. A share of nothing allows no retry at
    /// all, not even from the reserve.
    pub fn new(share: Percent) -> Self {
        let earned = u64::from(share.get()) * PARTS_PER_PERCENT;
        let kept = if earned == 0 { 0 } else { RESERVE_KEPT };
        let full = kept + earned * MOST_REQUESTS;
        Self { earned, full, purse: AtomicU64::new(kept) }
    }

    /// A request comes in. It only reads when the purse is full, as it mostly is where requests are so many that
    /// a write by each would cost something.
    pub fn deposit(&self) {
        if self.purse.load(Ordering::Relaxed) < self.full {
            // Too much by what several threads pay at a time, at most; and that was earned.
            self.purse.fetch_add(self.earned, Ordering::Relaxed);
        }
    }

    /// A request is to be sent again. Returns whether it may.
    pub fn withdraw(&self) -> bool {
        self.change(|purse| purse.checked_sub(RETRY))
    }

    /// A second has passed.
    pub fn refill(&self) {
        if self.earned > 0 {
            self.change(|purse| {
                Some(match purse.checked_sub(RESERVE_KEPT) {
                    Some(above) => RESERVE_KEPT + above - above.div_ceil(10),
                    None => RESERVE_KEPT.min(purse + RESERVE),
                })
            });
        }
    }

    /// Returns whether `change` allowed it.
    fn change(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        self.purse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests;
