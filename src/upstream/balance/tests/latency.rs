//! A worker that is slow for a while, with the average that is kept of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

use super::super::super::peak_ewma::PeakEwma;
use super::shares::add;
use super::*;

const WORKERS: usize = 4;
const QUICK: u64 = 20;
const SLOW: u64 = 1000;

/// Milliseconds of virtual time, requests on their way, and what is known of each worker.
struct Simulation {
    epoch: Instant,
    now: u64,
    ends: BinaryHeap<(Reverse<u64>, usize, u64)>,
    workers: Vec<Fake>,
    known: Vec<PeakEwma>,
    balancer: Balancer,
}

impl Simulation {
    fn new() -> Self {
        fastrand::seed(5);
        let (epoch, weights) = (Instant::now(), [1; WORKERS]);
        Self {
            epoch,
            now: 0,
            ends: BinaryHeap::new(),
            workers: fakes(&weights),
            known: (0..WORKERS).map(|_| PeakEwma::new(epoch)).collect(),
            balancer: balancer(&Balance::Latency, &weights),
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.epoch + Duration::from_millis(millis)
    }

    /// The part of worker 0, which takes `millis` for a request, of those of so many seconds: ten a second for each.
    fn share_of_first(&mut self, seconds: u64, millis: u64) -> f64 {
        let mut counts = [0; WORKERS];
        for _ in 0..seconds * 40 {
            self.now += 25;
            self.finish();
            for (worker, known) in self.workers.iter().zip(&self.known) {
                worker.latency.set(known.get(self.at(self.now)));
            }
            let request = first(None, &self.workers);
            let chosen = self.balancer.pick(&self.workers, request, |_| true).expect("one");
            counts[chosen] += 1;
            add(&self.workers[chosen], 1);
            let takes = if chosen == 0 { millis } else { QUICK };
            self.ends.push((Reverse(self.now + takes), chosen, takes));
        }
        f64::from(counts[0]) / f64::from(counts.iter().sum::<u32>())
    }

    fn finish(&mut self) {
        while let Some(&(Reverse(end), index, took)) = self.ends.peek()
            && end <= self.now
        {
            self.ends.pop();
            add(&self.workers[index], -1);
            self.known[index].observe(Duration::from_millis(took), self.at(end));
        }
    }
}

#[test]
fn a_slow_worker_gets_few_requests_until_it_recovers() {
    let mut simulation = Simulation::new();
    let equal = simulation.share_of_first(30, QUICK);
    assert!((0.15..0.35).contains(&equal), "{equal:.3}: the control, about a quarter");
    let slow = simulation.share_of_first(60, SLOW);
    assert!(slow < 0.02, "{slow:.3} of the requests while it is slow");
    assert!(slow > 0.0, "but it is tried now and then");
    simulation.share_of_first(60, QUICK);
    let recovered = simulation.share_of_first(30, QUICK);
    assert!((0.15..0.35).contains(&recovered), "{recovered:.3} when it is quick again");
}
