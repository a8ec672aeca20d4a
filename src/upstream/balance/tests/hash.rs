//! Where keys belong, and when they do not get there.

use std::collections::BTreeMap;

use super::shares::add;
use super::*;

const KEYS: u32 = 1000;

/// The name of the worker of each key, on workers that have nothing to do.
fn owners<'a>(names: &[(&'a str, u16)]) -> Vec<&'a str> {
    let weights: Vec<u16> = names.iter().map(|(_, weight)| *weight).collect();
    let balancer = named(&hash(), names.iter().copied());
    let workers = fakes(&weights);
    let owner = |key: u32| {
        let key = key.to_string();
        let request = first(Some(key.as_bytes()), &workers);
        names[balancer.pick(&workers, request, |_| true).expect("one")].0
    };
    (0..KEYS).map(owner).collect()
}

fn hash() -> Balance {
    Balance::Hash(HashKey::ClientIp)
}

/// Up to 20 workers of different names.
fn pools() -> impl Strategy<Value = Vec<(String, u16)>> {
    let pool = prop::collection::btree_map("[a-z0-9:.]{1,20}", 1..10u16, 2..20);
    pool.prop_map(|pool: BTreeMap<_, _>| pool.into_iter().collect::<Vec<_>>()).prop_shuffle()
}

fn borrowed(pool: &[(String, u16)]) -> Vec<(&str, u16)> {
    pool.iter().map(|(name, weight)| (name.as_str(), *weight)).collect()
}

proptest! {
    #![proptest_config(some_cases(20))]

    /// Read from the end to the beginning, it is about one that joins.
    #[test]
    fn only_the_keys_of_the_one_that_leaves_move(pool in pools(), leaver: prop::sample::Index) {
        let mut pool = borrowed(&pool);
        let before = owners(&pool);
        let leaver = leaver.index(pool.len());
        let (gone, weight) = pool.remove(leaver);
        let after = owners(&pool);
        for (key, (before, after)) in before.iter().zip(&after).enumerate() {
            prop_assert!(before == after || *before == gone, "key {}: {} to {}", key, before, after);
        }
        let moved = before.iter().filter(|name| **name == gone).count() as f64;
        let left: u16 = pool.iter().map(|(_, weight)| weight).sum();
        let due = f64::from(KEYS) * f64::from(weight) / f64::from(left + weight);
        prop_assert!((moved - due).abs() < 0.4 * due + 30.0, "{} of {:.0} keys moved", moved, due);
    }

    /// A new generation of a worker joins at the end of the list.
    #[test]
    fn a_new_generation_moves_no_key(pool in pools(), rotation: prop::sample::Index) {
        let pool = borrowed(&pool);
        let mut rotated = pool.clone();
        rotated.rotate_left(rotation.index(pool.len()));
        prop_assert_eq!(owners(&pool), owners(&rotated));
    }

    #[test]
    fn nobody_is_loaded_beyond_the_bound_while_another_takes(
        given in any_workers(),
        keys in prop::collection::vec(any::<u16>(), 1..20),
    ) {
        let weights: Vec<u16> = given.iter().map(|(weight, ..)| *weight).collect();
        let workers = fakes(&weights);
        workers.iter().zip(&given).for_each(|(worker, given)| worker.in_flight.set(given.1 % 100));
        let takes = as_given(&workers, &given);
        let total: usize = workers.iter().map(Load::in_flight).sum();
        let weight: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let has_room = |worker: &Fake| {
            let share = f64::from(worker.weight) / weight as f64;
            worker.in_flight() < 8
                || (worker.in_flight() as f64) < (1.25 * (total as f64 + 1.0) * share - 1e-9).ceil()
        };
        let balancer = balancer(&hash(), &weights);
        for key in keys {
            let key = key.to_le_bytes();
            let chosen = balancer.pick(&workers, first(Some(&key), &workers), &takes);
            let room = workers.iter().any(|worker| takes(worker) && has_room(worker));
            prop_assert!(chosen.is_none_or(|index| has_room(&workers[index])) || !room, "{:?}", chosen);
        }
    }
}

/// A change of the hash or the ring would send every client of a running pool elsewhere.
#[test]
fn keys_belong_where_they_always_did() {
    let owners = owners(&[("1", 1), ("2", 1), ("fixed", 2)]).into_iter().take(12);
    let expected = "fixed fixed 1 fixed 1 2 2 2 1 2 fixed 2";
    assert_eq!(owners.collect::<Vec<_>>().join(" "), expected, "the keys 0 to 11");
}

#[test]
fn keys_are_shared_by_weight() {
    let owners = owners(&[("a", 100), ("b", 200), ("c", 100)]);
    let part = |name| owners.iter().filter(|owner| **owner == name).count();
    let parts = [part("a"), part("b"), part("c")];
    for (count, due) in parts.iter().zip([250, 500, 250]) {
        assert!(count.abs_diff(due) < due / 5, "{parts:?}");
    }
}

/// All requests for one key: its worker gets its bound, then the next one.
#[test]
fn a_popular_key_does_not_drown_its_worker() {
    let weights = [1, 1, 1, 1];
    let (workers, balancer) = (fakes(&weights), balancer(&hash(), &weights));
    for _ in 0..400 {
        let request = first(Some(b"everybody's"), &workers);
        let chosen = balancer.pick(&workers, request, |_| true).expect("one");
        add(&workers[chosen], 1);
    }
    let mut loads: Vec<_> = workers.iter().map(Load::in_flight).collect();
    loads.sort_unstable();
    assert_eq!(loads.iter().sum::<usize>(), 400, "nothing is lost");
    assert!(loads[3] <= 126 && loads[0] > 0, "{loads:?}: a quarter more than a quarter");
}

/// One key, a few requests at once, and nobody else.
#[test]
fn a_few_requests_at_once_are_no_reason_to_part() {
    let weights = [1, 1, 1, 1];
    let (workers, balancer) = (fakes(&weights), balancer(&hash(), &weights));
    let mut chosen = Vec::new();
    for _ in 0..9 {
        let request = first(Some(b"mine"), &workers);
        let index = balancer.pick(&workers, request, |_| true).expect("one");
        add(&workers[index], 1);
        chosen.push(index);
    }
    assert!(chosen[..8].iter().all(|index| *index == chosen[0]), "{chosen:?}: together");
    assert_ne!(chosen[8], chosen[0], "{chosen:?}: the ninth is too many");
}

/// A worker that is out for a while lends its keys to others, several of them, and the others keep theirs.
#[test]
fn a_worker_that_is_out_lends_its_keys() {
    let weights = [1; 5];
    let (workers, balancer) = (fakes(&weights), balancer(&hash(), &weights));
    let mut heirs = [0; 5];
    for key in 0..KEYS {
        let key = key.to_string();
        let request = first(Some(key.as_bytes()), &workers);
        let owner = balancer.pick(&workers, request, |_| true).expect("one");
        let is_out = |worker: &Fake| std::ptr::eq(worker, &workers[0]);
        let chosen = balancer.pick(&workers, request, |worker| !is_out(worker)).expect("one");
        if owner == 0 {
            heirs[chosen] += 1;
        } else {
            assert_eq!(chosen, owner, "key {key} has its worker");
        }
    }
    assert!(heirs[0] == 0 && heirs[1..].iter().all(|count| *count > 0), "{heirs:?}");
}
