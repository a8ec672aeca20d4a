//! The model checker's atomics and lock, in the shape of those that asgate uses.

pub use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub use tokio::sync::oneshot;

/// As parking_lot's: locking gives the guard.
#[derive(Debug)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
        self.0.lock().expect("no thread has panicked with it")
    }
}
