mod hash;
mod latency;
mod shares;

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use config::{Balance, HashKey};

/// A worker without a socket.
#[derive(Debug, Default)]
struct Fake {
    in_flight: Cell<usize>,
    latency: Cell<Option<f64>>,
    weight: u16,
}

impl Load for Fake {
    fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    fn weight(&self) -> NonZeroU32 {
        NonZeroU32::new(u32::from(self.weight)).expect("a weight")
    }

    fn latency(&self) -> Option<f64> {
        self.latency.get()
    }
}

fn fakes(weights: &[u16]) -> Vec<Fake> {
    weights.iter().map(|&weight| Fake { weight, ..Fake::default() }).collect()
}

/// Workers `1`, `2`, … of these weights.
fn balancer(how: &Balance, weights: &[u16]) -> Balancer {
    let names: Vec<String> = (1..=weights.len()).map(|name| name.to_string()).collect();
    named(how, names.iter().map(String::as_str).zip(weights.iter().copied()))
}

fn named<'a>(how: &Balance, workers: impl Iterator<Item = (&'a str, u16)>) -> Balancer {
    Balancer::new(how, workers.filter_map(|(name, weight)| Some((name, NonZeroU16::new(weight)?))))
}

fn first<'a>(key: Option<&'a [u8]>, workers: &[Fake]) -> Request<'a> {
    let in_flight = workers.iter().map(Load::in_flight).sum();
    Request { attempt: Attempt::First, key, in_flight }
}

fn ways() -> [Balance; 5] {
    let hash = Balance::Hash(HashKey::ClientIp);
    [Balance::LeastRequests, Balance::RoundRobin, Balance::Random, Balance::Latency, hash]
}

/// Quick, for there are many of them.
fn some_cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Weight, requests in flight, seconds, and whether it takes requests.
type Given = (u16, usize, f64, bool);

fn any_workers() -> impl Strategy<Value = Vec<Given>> {
    let weight = prop_oneof![3 => 1..4u16, 1 => 1..=1000u16];
    let in_flight = prop_oneof![3 => 0..20usize, 1 => any::<usize>().prop_map(|count| count >> 8)];
    let takes = prop_oneof![Just(false), Just(true)];
    prop::collection::vec((weight, in_flight, 0.0..5.0f64, takes), 0..40)
}

fn as_given(workers: &[Fake], given: &[Given]) -> impl Fn(&Fake) -> bool {
    move |worker| {
        let index = workers.iter().position(|other| std::ptr::eq(worker, other));
        index.is_some_and(|index| given[index].3)
    }
}

proptest! {
    #![proptest_config(some_cases(60))]

    #[test]
    fn whoever_takes_is_found_and_nobody_else(given in any_workers(), key in any::<Option<u64>>(), again: bool) {
        let weights: Vec<u16> = given.iter().map(|(weight, ..)| *weight).collect();
        let workers = fakes(&weights);
        for (worker, (_, in_flight, latency, _)) in workers.iter().zip(&given) {
            worker.in_flight.set(*in_flight);
            worker.latency.set((*latency > 0.5).then_some(*latency));
        }
        let takes = as_given(&workers, &given);
        let attempt = if again { Attempt::Again } else { Attempt::First };
        let key = key.map(u64::to_le_bytes);
        let key = key.as_ref().map(<[u8; 8]>::as_slice);
        for (way, how) in ways().iter().enumerate() {
            let balancer = balancer(how, &weights);
            for _ in 0..5 {
                let request = Request { attempt, ..first(key, &workers) };
                let chosen = balancer.pick(&workers, request, &takes);
                prop_assert_eq!(chosen.is_some(), given.iter().any(|given| given.3), "way {}", way);
                prop_assert!(chosen.is_none_or(|index| given[index].3), "way {}: {:?}", way, chosen);
            }
        }
    }

    /// Exact for as many workers as are looked at.
    #[test]
    fn least_requests_finds_the_least_of_sixteen(loads in prop::collection::vec((1..10u16, 1..50usize), 1..=16)) {
        let weights: Vec<u16> = loads.iter().map(|(weight, _)| *weight).collect();
        let workers = fakes(&weights);
        workers.iter().zip(&loads).for_each(|(worker, (_, load))| worker.in_flight.set(*load));
        let balancer = balancer(&Balance::LeastRequests, &weights);
        for turn in 0..20 {
            let chosen = balancer.pick(&workers, first(None, &workers), |_| true).expect("one");
            let chosen = Fullness::of(&workers[chosen]);
            let least = workers.iter().all(|other| !Fullness::of(other).is_below(chosen));
            prop_assert!(least, "turn {}: {:?}", turn, chosen);
        }
    }
}

#[test]
fn a_list_that_does_not_match_is_no_harm() {
    for (way, how) in ways().iter().enumerate() {
        let balancer = balancer(how, &[1, 2, 3]);
        let fewer = fakes(&[1]);
        for key in [None, Some(&b"key"[..])] {
            let chosen = balancer.pick(&fewer, first(key, &fewer), |_| true);
            assert_eq!(chosen, Some(0), "way {way}: the only one there is");
            assert_eq!(balancer.pick(&[], first(key, &[]), |_: &Fake| true), None, "way {way}");
        }
    }
}

/// However many are looked at first, and however full it is.
#[test]
fn the_only_one_of_many_that_takes_is_found() {
    let weights = [1; 100];
    let workers = fakes(&weights);
    for (way, how) in ways().iter().enumerate() {
        let balancer = balancer(how, &weights);
        for (index, only) in workers.iter().enumerate().rev() {
            only.in_flight.set(index % 2 * 1000);
            let request = first(Some(b"key"), &workers);
            let chosen = balancer.pick(&workers, request, |worker| std::ptr::eq(worker, only));
            assert_eq!(chosen, Some(index), "way {way}");
        }
    }
}

/// When everybody whose turn it may be is out, the others share what there is.
#[test]
fn the_last_resort_is_not_one_worker() {
    let mut weights = vec![1; 4];
    weights[0] = 1000;
    let workers = fakes(&weights);
    let takes = |worker: &Fake| worker.weight == 1;
    for (way, how) in ways().iter().enumerate() {
        let balancer = balancer(how, &weights);
        let mut counts = [0; 4];
        for key in 0..600u32 {
            let key = key.to_string();
            let request = first(Some(key.as_bytes()), &workers);
            counts[balancer.pick(&workers, request, takes).expect("one takes")] += 1;
        }
        assert!(counts[1..].iter().all(|count| *count > 100), "way {way}: {counts:?}");
    }
}
