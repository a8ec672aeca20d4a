//! What counts an open connection to a worker.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::IntGauge;

/// One open connection to a worker, in the gauge of the state it is in.
pub struct ConnectionGuard {
    idle: IntGauge,
    active: IntGauge,
    is_idle: AtomicBool,
}

impl ConnectionGuard {
    /// A connection that is active.
    pub(super) fn open(idle: &IntGauge, active: &IntGauge) -> Self {
        active.inc();
        Self { idle: idle.clone(), active: active.clone(), is_idle: AtomicBool::new(false) }
    }

    /// The connection was put aside for reuse.
    pub fn mark_idle(&self) {
        if !self.is_idle.swap(true, Ordering::Relaxed) {
            self.active.dec();
            self.idle.inc();
        }
    }

    /// The connection was taken up again.
    pub fn mark_active(&self) {
        if self.is_idle.swap(false, Ordering::Relaxed) {
            self.idle.dec();
            self.active.inc();
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let gauge = if *self.is_idle.get_mut() { &self.idle } else { &self.active };
        gauge.dec();
    }
}
