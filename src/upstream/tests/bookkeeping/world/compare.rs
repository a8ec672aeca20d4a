//! Whether the upstream is as the model says.

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::config::Balance;
use crate::upstream::Fitness;

use super::super::model;
use super::{Member, World, poll_now};

impl World<'_> {
    pub(super) fn compare(&mut self) -> TestCaseResult {
        // Whoever has an answer is out of line, so nobody has one that the model has not seen.
        let queue = (self.model.line.len(), self.rules.places);
        prop_assert_eq!(self.upstream.queue(), queue, "how many wait, of how many that may");
        if matches!(self.rules.balance, Balance::Hash(_)) {
            prop_assert_eq!(self.upstream.in_flight(), self.served.len(), "in flight in all");
        }
        self.compare_rotation()?;
        (0..self.workers.len()).try_for_each(|number| self.compare_worker(number))?;
        (0..self.far.len()).try_for_each(|number| self.compare_connection(number))
    }

    fn compare_rotation(&self) -> TestCaseResult {
        let rotation = &self.model.rotation;
        let workers = self.upstream.workers();
        prop_assert_eq!(workers.len(), rotation.len(), "how many are in rotation");
        let expected = rotation.iter().map(|&number| &self.workers[number].worker);
        let is_same = workers.iter().zip(expected).all(|(one, other)| Arc::ptr_eq(one, other));
        prop_assert!(is_same, "{:?} for {:?}", workers, rotation);
        let is_ready =
            rotation.iter().any(|&number| self.model.fitness(number) > Fitness::LastResort);
        prop_assert_eq!(self.upstream.is_ready(), is_ready, "whether it is ready");
        Ok(())
    }

    fn compare_worker(&mut self, number: usize) -> TestCaseResult {
        let model::Worker { taken, idle, .. } = &self.model.workers[number];
        let Member { worker, drained } = &mut self.workers[number];
        prop_assert_eq!(worker.in_flight(), *taken, "slots of worker {}", number);
        prop_assert!(*taken <= self.rules.slots, "more slots of worker {} than it has", number);
        let is_retired = self.model.is_retired(number);
        prop_assert_eq!(worker.is_retired(), is_retired, "whether worker {} is out", number);
        prop_assert_eq!(worker.idle_connections(), idle.len(), "unused of worker {}", number);
        let shared = self.model.shared(number);
        prop_assert!(shared <= self.rules.max_idle, "too many unused of worker {}", number);
        prop_assert!(!is_retired || idle.is_empty(), "worker {} is out and keeps some", number);
        prop_assert_eq!(worker.fitness(), self.model.fitness(number), "worker {}", number);
        if let Some(waits) = drained {
            let is_drained = poll_now(waits.as_mut()).is_some();
            prop_assert_eq!(is_drained, *taken == 0, "whether worker {} is drained", number);
            if is_drained {
                *drained = None;
            }
        }
        // Whoever had chosen it before it was full, or out and empty, is turned away.
        if *taken == self.rules.slots || is_retired && drained.is_none() {
            let slot = worker.acquire(self.upstream);
            prop_assert!(slot.is_none(), "a slot too many on worker {}", number);
        }
        Ok(())
    }

    /// The worker sees the end of what the edge has done with, and of nothing else.
    fn compare_connection(&mut self, number: usize) -> TestCaseResult {
        let is_open = self.model.connections[number].open;
        let Some(far) = &mut self.far[number] else { return Ok(()) };
        match far.read(&mut [0]) {
            Ok(0) => {
                prop_assert!(!is_open, "connection {} was closed", number);
                self.far[number] = None;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                prop_assert!(is_open, "connection {} was left open", number);
            }
            other => prop_assert!(false, "connection {}: {:?}", number, other),
        }
        Ok(())
    }

    /// To be called when everybody is gone.
    pub(super) fn compare_to_nothing(&self) -> TestCaseResult {
        prop_assert!(self.waiting.is_empty() && self.served.is_empty(), "nobody is left");
        prop_assert_eq!(self.upstream.in_flight(), 0, "in flight");
        for Member { worker, drained } in &self.workers {
            prop_assert_eq!(worker.in_flight(), 0, "slots of {:?}", worker);
            prop_assert_eq!(worker.idle_connections(), 0, "unused connections of {:?}", worker);
            prop_assert_eq!(worker.metrics().active(), 0, "connections of {:?}", worker);
            prop_assert!(drained.is_none(), "{:?} is drained", worker);
            prop_assert_eq!(Arc::strong_count(worker), 1, "who holds {:?}", worker);
        }
        prop_assert_eq!(Arc::strong_count(self.upstream), 1, "who holds the upstream");
        Ok(())
    }
}
