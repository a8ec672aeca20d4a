//! Which handles are out, by name: while one is held, asking again gives the same one, so that
//! an upstream that lives through a reload, or a worker that is replaced by its next process,
//! keeps its series, and nobody removes series that somebody else still counts in.

use std::collections::HashMap;
use std::hash::Hash;
use std::ptr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

pub(super) struct Live<K, T>(Mutex<HashMap<K, Weak<T>>>);

impl<K, T> Default for Live<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> Live<K, T> {
    pub fn get(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let mut live = self.0.lock();
        if let Some(handle) = live.get(&key).and_then(Weak::upgrade) {
            return handle;
        }
        let handle = Arc::new(make());
        live.insert(key, Arc::downgrade(&handle));
        handle
    }

    /// For the `Drop` of `gone`: calls `remove_series` unless a new handle took over the name
    /// while the old one was on its way out.
    pub fn forget(&self, key: &K, gone: &T, remove_series: impl FnOnce()) {
        let mut live = self.0.lock();
        if live.get(key).is_some_and(|handle| ptr::eq(handle.as_ptr(), gone)) {
            live.remove(key);
            remove_series();
        }
    }
}
