//! Counters of one family found by a small key instead of by hashing label texts.

use std::sync::OnceLock;

use prometheus::IntCounter;

/// The first `N` keys seen get a slot each. Later ones are still counted, but each time looked
/// up by label: right for a set of which few members make up nearly all the traffic.
pub(super) struct Slots<K, const N: usize>([OnceLock<(K, IntCounter)>; N]);

impl<K, const N: usize> Default for Slots<K, N> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; N])
    }
}

impl<K: Copy + PartialEq, const N: usize> Slots<K, N> {
    /// Adds one to the counter of `key`, which `resolve` finds among the family's series.
    pub fn add_one(&self, key: K, resolve: impl Fn() -> IntCounter) {
        for slot in &self.0 {
            let (owner, counter) = slot.get_or_init(|| (key, resolve()));
            if *owner == key {
                counter.inc();
                return;
            }
        }
        resolve().inc();
    }

    /// The keys that have a slot, with what their counters stand at. Those of later keys are left out.
    pub fn counts(&self) -> impl Iterator<Item = (K, u64)> {
        self.0.iter().filter_map(OnceLock::get).map(|(key, counter)| (*key, counter.get()))
    }
}
