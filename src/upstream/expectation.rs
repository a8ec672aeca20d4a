//! Whether a worker is to be expected where there is none: what makes it worth a request's while to wait.
//!
//! Who keeps the workers says whether there is hope at all, and announces each one that is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether workers are to be expected.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    hopeful: AtomicBool,
    coming: Arc<AtomicUsize>,
}

/// A worker that is on its way for as long as this is held.
#[derive(Debug)]
pub struct Arrival(Arc<AtomicUsize>);

impl Expectation {
    pub(super) fn set(&self, hopeful: bool) {
        self.hopeful.store(hopeful, Ordering::SeqCst);
    }

    pub(super) fn is_set(&self) -> bool {
        self.hopeful.load(Ordering::SeqCst)
    }

    pub(super) fn announce(&self) -> Arrival {
        self.coming.fetch_add(1, Ordering::Relaxed);
        Arrival(Arc::clone(&self.coming))
    }

    pub(super) fn is_worker_coming(&self) -> bool {
        self.coming.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
