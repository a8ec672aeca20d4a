//! The same worker for the same key: a Ketama ring with bounded load.
//!
//! The ring is nginx's and memcached's: each worker owns points on a circle of hashes, and a key belongs to the first
//! point after its own hash. A worker that joins or leaves moves only the keys that it gains or loses. A key whose
//! worker already has much to do and a quarter more than its share of it goes on to the next (V. Mirrokni,
//! M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", arXiv:1608.01350, 2016), so that one popular
//! key cannot drown a worker.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU16;

use pingora_ketama::{Bucket, Continuum, DEFAULT_POINT_MULTIPLE};

use super::{Load, Pool};

/// What a worker may have of the requests in flight, beside its share: 5/4.
const BOUND: (u128, u128) = (5, 4);
/// What a worker may have whatever its share: the bound is there against overload, and so few requests are none. Without it
/// any two at once would part from their worker.
const NEVER_MUCH: usize = 8;
/// Points of a whole ring (2 MiB). Larger weights are rounded to fit.
const MOST_POINTS: u32 = 1 << 18;
/// Points looked at from a key on, and different workers among them; then all workers are. With all of them in
/// rotation, a worker with room is within the first few.
const MOST_STEPS: usize = 1024;
const MOST_PASSED: usize = 8;

/// The points of all workers, and what their share is.
pub(super) struct Ring {
    continuum: Continuum,
    weights: Vec<NonZeroU16>,
    total_weight: u128,
}

impl Ring {
    /// A ring of these workers, by name and weight. Their order has no influence on where keys belong.
    pub(super) fn new(workers: &[(&str, NonZeroU16)]) -> Self {
        let weights: Vec<_> = workers.iter().map(|(_, weight)| *weight).collect();
        let points = ring_weights(&weights);
        let nodes = workers.iter().enumerate().map(|(index, (name, _))| node(name, index));
        let mut buckets: Vec<_> =
            nodes.zip(points).map(|(node, weight)| Bucket::new(node, weight)).collect();
        // Where points of two workers coincide, the order decides.
        buckets.sort_unstable();
        Self {
            continuum: Continuum::new(&buckets),
            total_weight: weights.iter().map(|weight| u128::from(weight.get())).sum(),
            weights,
        }
    }

    /// The first worker from `key` on that has room and takes the request; when none has room, the first that takes
    /// it.
    pub(super) fn pick<W: Load>(
        &self,
        pool: &Pool<'_, W, impl Fn(&W) -> bool>,
        key: &[u8],
        in_flight: usize,
    ) -> Option<usize> {
        let takes = |&index: &usize| pool.taking(index).is_some();
        let has_room = |&index: &usize| {
            let worker = pool.workers.get(index);
            worker.is_some_and(|worker| self.has_room(index, worker.in_flight(), in_flight))
        };
        let fits = |index: &usize| has_room(index) && takes(index);
        let owner = self.nearest(key).next()?;
        self.nearest(key)
            .find(fits)
            .or_else(|| pool.indices_from(owner).find(fits))
            .or_else(|| self.nearest(key).find(takes))
            .or_else(|| pool.first_from(owner))
    }

    /// The owners of the points from `key` on, the first few, each once.
    fn nearest(&self, key: &[u8]) -> impl Iterator<Item = usize> {
        let mut passed = [None; MOST_PASSED];
        let mut places = 0;
        let points = self.continuum.node_iter(key).take(MOST_STEPS);
        let owners = points.map(index_of).filter_map(move |index| {
            if passed.contains(&Some(index)) {
                return None;
            }
            *passed.get_mut(places)? = Some(index);
            places += 1;
            Some(index)
        });
        owners.take(MOST_PASSED.min(self.weights.len()))
    }

    /// Whether one request more leaves the worker at `index` within its bound, of `total` that are in flight.
    fn has_room(&self, index: usize, in_flight: usize, total: usize) -> bool {
        if in_flight < NEVER_MUCH {
            return true;
        }
        let Some(weight) = self.weights.get(index) else { return false };
        let (most, of) = BOUND;
        // in_flight < most/of * (total + 1) * weight/total_weight, where rounding up the right would change nothing.
        in_flight as u128 * of * self.total_weight
            < most * (total as u128 + 1) * u128::from(weight.get())
    }
}

/// What each weight counts on the ring: little enough for [`MOST_POINTS`], and never zero, which the ring does not
/// accept.
///
/// All are halved together, as often as need be: so long as a worker that joins or leaves does not change how often,
/// the points of the others stay where they are. A common divisor would change with every other weight.
fn ring_weights(weights: &[NonZeroU16]) -> Vec<u32> {
    let most = MOST_POINTS / DEFAULT_POINT_MULTIPLE;
    let halved = |times: u32| {
        // Rounded to the nearest.
        let half = (1 << times) >> 1;
        weights.iter().map(move |weight| ((u32::from(weight.get()) + half) >> times).max(1))
    };
    let fits = |times: &u32| halved(*times).map(u64::from).sum::<u64>() <= u64::from(most);
    // After 16 times every weight is 1.
    let times = (0..u16::BITS).find(fits).unwrap_or(u16::BITS);
    halved(times).collect()
}

/// A worker on the ring, whose nodes are socket addresses.
///
/// Made from its name and not from where it listens, so that a new generation of it has the same points. What the ring
/// makes its points of is the address and the port alone; the scope carries the index.
fn node(name: &str, index: usize) -> SocketAddr {
    // More workers than fit do not fit into memory as a ring either.
    let scope = u32::try_from(index).unwrap_or(u32::MAX);
    SocketAddrV6::new(Ipv6Addr::from_bits(fnv_1a(name.as_bytes())), 0, 0, scope).into()
}

/// The index that [`node`] was given.
fn index_of(node: &SocketAddr) -> usize {
    match node {
        SocketAddr::V6(node) => node.scope_id() as usize,
        SocketAddr::V4(_) => usize::MAX,
    }
}

/// FNV-1a with 128 bits (RFC 9923, section 2). Part of where keys belong, so it must never change; and so wide that no
/// two names share their points.
fn fnv_1a(bytes: &[u8]) -> u128 {
    const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + (1 << 8) + 0x3b;
    bytes.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_names_is_the_published_one() {
        for (name, hash) in [
            ("", 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d),
            ("a", 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964),
            ("foobar", 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18),
        ] {
            assert_eq!(fnv_1a(name.as_bytes()), hash, "{name:?}, RFC 9923 appendix C");
        }
    }

    #[test]
    fn weights_are_halved_together_until_the_ring_is_small_enough() {
        let cases: &[(&[u16], &[u32])] = &[
            (&[], &[]),
            (&[1, 3, 100], &[1, 3, 100]),
            (&[1000, 500, 1], &[1000, 500, 1]),
            (&[1000, 500, 300], &[500, 250, 150]),
            (&[65535, 1], &[1024, 1]),
        ];
        for (weights, expected) in cases {
            let weights: Vec<_> = weights.iter().filter_map(|w| NonZeroU16::new(*w)).collect();
            assert_eq!(ring_weights(&weights), *expected, "{weights:?}");
        }
        let many = vec![NonZeroU16::MAX; 5000];
        assert!(ring_weights(&many).iter().all(|weight| *weight == 1), "never less than one");
    }
}
