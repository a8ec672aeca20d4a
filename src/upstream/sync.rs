//! What the parts are made of that several requests use at once. In one place, so that the model checker of
//! `tests/model` can put its own in their stead and try many orders of events.

pub use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use parking_lot::Mutex;
pub use tokio::sync::oneshot;
