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
        match self.of(key, &resolve) {
            Some(counter) => counter.inc(),
            None => resolve().inc(),
        }
    }

    /// Makes the series of `keys`, at zero until something is counted: for those whose first event
    /// is to be seen as an increase. `resolve` is that of [`Slots::add_one`].
    pub fn prepare(&self, keys: &[K], resolve: impl Fn(K) -> IntCounter) {
        for &key in keys {
            if self.of(key, || resolve(key)).is_none() {
                // Without a slot it is made all the same, and found by its labels when it is needed.
                resolve(key);
            }
        }
    }

    /// The keys that have a slot, with what their counters stand at. Those of later keys are left out.
    pub fn counts(&self) -> impl Iterator<Item = (K, u64)> {
        self.0.iter().filter_map(OnceLock::get).map(|(key, counter)| (*key, counter.get()))
    }

    /// The counter in the slot of `key`; none when others have taken all slots.
    fn of(&self, key: K, resolve: impl Fn() -> IntCounter) -> Option<&IntCounter> {
        let mut slots = self.0.iter().map(|slot| slot.get_or_init(|| (key, resolve())));
        slots.find(|(owner, _)| *owner == key).map(|(_, counter)| counter)
    }
}
