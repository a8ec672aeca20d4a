//! Waiting for a worker that is on its way: what a request does that finds none, instead of failing.
//!
//! Who keeps the workers says whether there is hope at all, and announces each one that is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Requests of one upstream that wait at a time; one more is refused.
const MOST: usize = 1000;
/// A worker may also become fit without joining: put back by an operator, or with a connection free while it is deaf.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Whether workers are to be expected, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    hopeful: AtomicBool,
    coming: Arc<AtomicUsize>,
    waiting: AtomicUsize,
    joined: Notify,
}

/// A worker that is on its way for as long as this is held.
#[derive(Debug)]
pub struct Arrival(Arc<AtomicUsize>);

/// One request that waits; it stops to count when this is dropped.
#[derive(Debug)]
pub struct Waiting<'a>(&'a Expectation);

impl Expectation {
    pub(super) fn set(&self, hopeful: bool) {
        self.hopeful.store(hopeful, Ordering::Relaxed);
        self.joined.notify_waiters();
    }

    pub(super) fn is_set(&self) -> bool {
        self.hopeful.load(Ordering::Relaxed)
    }

    pub(super) fn announce(&self) -> Arrival {
        self.coming.fetch_add(1, Ordering::Relaxed);
        Arrival(Arc::clone(&self.coming))
    }

    pub(super) fn is_worker_coming(&self) -> bool {
        self.coming.load(Ordering::Relaxed) > 0
    }

    pub(super) fn somebody_joined(&self) {
        self.joined.notify_waiters();
    }

    /// `None` when too many wait already.
    pub(super) fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(self);
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (before < MOST).then_some(waiting)
    }
}

impl Waiting<'_> {
    /// Returns when it is time to look for a worker again.
    pub async fn news(&self) {
        // Both mean the same.
        let _ = timeout(LOOK_AGAIN, self.0.joined.notified()).await;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_wait_and_not_one_more() {
        let expectation = Expectation::default();
        let mut waiting: Vec<_> = (0..MOST).map(|_| expectation.wait()).collect();
        assert!(waiting.iter().all(Option::is_some), "as many as there is room for");
        assert!(expectation.wait().is_none(), "one too many");
        waiting.pop();
        assert!(expectation.wait().is_some(), "room for one again");
    }
}
