//! Smooth weighted round robin, laid out ahead so that a turn costs one atomic addition.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Turns looked at before the search gives up on the order; see [`RoundRobin::take_turn`].
const MAX_TURNS: usize = 64;

/// The order in which workers are taken: each has as many turns in a cycle as its weight, spread evenly.
#[derive(Debug, Default)]
pub struct RoundRobin {
    cycle: Vec<u16>,
    next: AtomicUsize,
}

impl RoundRobin {
    /// Lays out one cycle over workers of these weights.
    pub fn new(weights: impl Iterator<Item = NonZeroU16>) -> Self {
        let weights: Vec<i64> = weights.map(|weight| i64::from(weight.get())).collect();
        let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
        let total = weights.iter().sum::<i64>() / divisor;
        let mut credit = vec![0i64; weights.len()];
        // In each turn every worker gains its weight, the richest goes and pays the total.
        let cycle = (0..total).filter_map(|_| {
            for (credit, weight) in credit.iter_mut().zip(&weights) {
                *credit += weight / divisor;
            }
            // The first of equals, so that the order does not depend on the sort.
            let (index, richest) = credit.iter_mut().enumerate().rev().max_by_key(|(_, c)| **c)?;
            *richest -= total;
            u16::try_from(index).ok()
        });
        Self { cycle: cycle.collect(), next: AtomicUsize::new(0) }
    }

    /// The indices of the workers whose turn it is from now on, and the first has taken its turn.
    pub fn take_turn(&self) -> impl Iterator<Item = usize> + '_ {
        self.from(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The indices of the workers whose turn it is from now on. None is taken: a request that is tried again must not
    /// shift the shares of the others.
    pub fn peek_turns(&self) -> impl Iterator<Item = usize> + '_ {
        self.from(self.next.load(Ordering::Relaxed))
    }

    fn from(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.cycle.len().min(MAX_TURNS)).filter_map(move |step| {
            let turn = start.wrapping_add(step) % self.cycle.len();
            self.cycle.get(turn).copied().map(usize::from)
        })
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(weights: &[u16], turns: usize) -> Vec<usize> {
        let weights = weights.iter().filter_map(|&weight| NonZeroU16::new(weight));
        let order = RoundRobin::new(weights);
        (0..turns).filter_map(|_| order.take_turn().next()).collect()
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(order(&[1, 1, 1], 7), [0, 1, 2, 0, 1, 2, 0], "three equals");
        assert_eq!(order(&[500, 500], 4), [0, 1, 0, 1], "reduced by their divisor");
    }

    #[test]
    fn weights_are_shares_spread_evenly() {
        assert_eq!(order(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0], "no bursts beyond need");
    }

    #[test]
    fn nobody_has_no_turn() {
        assert!(order(&[], 3).is_empty(), "no workers");
    }
}
