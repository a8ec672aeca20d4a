//! Who gets how much, with requests that come and go.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// Requests that each worker gets: one comes per tick, and stays for as many as `stay` says of its worker.
fn simulated(how: &Balance, weights: &[u16], stay: impl Fn(usize) -> u64) -> Vec<usize> {
    const REQUESTS: u64 = 20_000;
    fastrand::seed(4);
    let (workers, balancer) = (fakes(weights), balancer(how, weights));
    let mut counts = vec![0; weights.len()];
    let mut ends = BinaryHeap::new();
    for now in 0..REQUESTS {
        while let Some(&(Reverse(end), index)) = ends.peek()
            && end <= now
        {
            ends.pop();
            add(&workers[index], -1);
        }
        let chosen = balancer.pick(&workers, first(None, &workers), |_| true).expect("one");
        counts[chosen] += 1;
        add(&workers[chosen], 1);
        ends.push((Reverse(now + stay(chosen)), chosen));
    }
    counts
}

pub(super) fn add(worker: &Fake, requests: isize) {
    let before = worker.in_flight.get();
    worker.in_flight.set(before.checked_add_signed(requests).expect("as many end as began"));
}

/// Each worker's part of all, against that of its weight. Which is off by more than `tolerance` of it?
fn check(what: &str, weights: &[u16], counts: &[usize], tolerance: f64) {
    let total: usize = counts.iter().sum();
    let weight: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
    for (index, count) in counts.iter().enumerate() {
        let due = total as f64 * f64::from(weights[index]) / f64::from(weight);
        let off = (*count as f64 / due - 1.0).abs();
        assert!(off <= tolerance, "{what}, worker {index}: {count} of {due:.0} in {counts:?}");
    }
}

#[test]
fn requests_are_shared_by_weight() {
    let weights = [1, 2, 3, 4, 10];
    for (how, name, tolerance) in [
        (Balance::RoundRobin, "round_robin", 0.001),
        (Balance::LeastRequests, "least_requests", 0.05),
        (Balance::Random, "random", 0.25),
        (Balance::Hash(HashKey::ClientIp), "hash without a key", 0.05),
    ] {
        // About 200 requests at a time, each with a time of its own.
        let counts = simulated(&how, &weights, |_| fastrand::u64(100..300));
        check(name, &weights, &counts, tolerance);
    }
}

#[test]
fn requests_that_come_one_by_one_are_shared_by_weight() {
    let weights = [5, 1, 2];
    for (how, name, tolerance) in [
        (Balance::RoundRobin, "round_robin", 0.001),
        (Balance::LeastRequests, "least_requests", 0.001),
        (Balance::Random, "random", 0.05),
    ] {
        check(name, &weights, &simulated(&how, &weights, |_| 1), tolerance);
    }
}

#[test]
fn a_slow_worker_gets_fewer_requests() {
    for (how, name) in [(Balance::LeastRequests, "least_requests"), (Balance::Random, "random")] {
        let counts = simulated(&how, &[1; 4], |index| if index == 0 { 1000 } else { 100 });
        assert!(counts[0] * 4 < counts[1], "{name}: {counts:?}, not the quarter of all");
    }
}

/// Above the number of workers that are looked at.
#[test]
fn a_large_upstream_is_even_too() {
    let weights = [1; 200];
    let counts = simulated(&Balance::LeastRequests, &weights, |_| fastrand::u64(500..1500));
    check("least_requests", &weights, &counts, 0.2);
}

#[test]
fn another_attempt_shifts_no_share() {
    for how in [Balance::RoundRobin, Balance::LeastRequests] {
        let (workers, balancer) = (fakes(&[1, 1, 1]), balancer(&how, &[1, 1, 1]));
        let firsts: Vec<_> = (0..9)
            .map(|_| {
                let request = first(None, &workers);
                let chosen = balancer.pick(&workers, request, |_| true).expect("one");
                let again = Request { attempt: Attempt::Again, ..request };
                let tried = &workers[chosen];
                let other = balancer.pick(&workers, again, |worker| !std::ptr::eq(worker, tried));
                assert_ne!(other, Some(chosen), "another worker");
                chosen
            })
            .collect();
        assert_eq!(firsts, [0, 1, 2, 0, 1, 2, 0, 1, 2], "in turn");
    }
}
