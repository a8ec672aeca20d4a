//! Smooth weighted round robin, laid out ahead so that a turn costs one atomic addition.
//!
//! Also the wheel that the other ways turn or spin when they want a worker by its weight.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Attempt, Load, Pool};

/// Turns looked at before the search gives up on the order; see [`RoundRobin::pick`].
const MAX_TURNS: usize = 64;
/// Turns of a cycle (128 KiB), and steps that laying one out may take (some 10 ms). Where weights would need more they
/// are rounded: a thousand workers have eight turns each on average.
const MOST_TURNS: u64 = 1 << 16;
const MOST_WORK: u64 = 1 << 23;

/// The order in which workers are taken: each has as many turns in a cycle as its weight, spread evenly.
#[derive(Debug)]
pub(super) struct RoundRobin {
    cycle: Vec<u16>,
    next: AtomicUsize,
}

impl RoundRobin {
    /// Lays out one cycle over workers of these weights.
    pub(super) fn new(weights: impl Iterator<Item = NonZeroU16>) -> Self {
        let weights = turns_in_cycle(weights);
        let total: i64 = weights.iter().sum();
        let mut credit = vec![0i64; weights.len()];
        // In each turn every worker gains its weight, the richest goes and pays the total.
        let cycle = (0..total).filter_map(|_| {
            for (credit, weight) in credit.iter_mut().zip(&weights) {
                *credit += weight;
            }
            // The first of equals, so that the order does not depend on the sort.
            let (index, richest) = credit.iter_mut().enumerate().rev().max_by_key(|(_, c)| **c)?;
            *richest -= total;
            u16::try_from(index).ok()
        });
        Self { cycle: cycle.collect(), next: AtomicUsize::new(0) }
    }

    /// The worker whose turn it is; when it does not take it, the next in the order that does.
    pub(super) fn pick<W: Load>(
        &self,
        pool: &Pool<'_, W, impl Fn(&W) -> bool>,
        attempt: Attempt,
    ) -> Option<usize> {
        let turn = self.turn(attempt);
        let turns = (0..self.cycle.len().min(MAX_TURNS)).map(|step| turn.wrapping_add(step));
        let mut workers = turns.filter_map(|turn| self.at(turn));
        // A heavy worker that takes none may have all those turns.
        workers.find(|&index| pool.taking_turn(index).is_some()).or_else(|| pool.first_from(turn))
    }

    /// The number of the turn that a request gets.
    pub(super) fn turn(&self, attempt: Attempt) -> usize {
        match attempt {
            Attempt::First => self.next.fetch_add(1, Ordering::Relaxed),
            Attempt::Again => self.next.load(Ordering::Relaxed),
        }
    }

    /// The index of the worker whose turn `turn` is; `None` when there are no workers.
    pub(super) fn at(&self, turn: usize) -> Option<usize> {
        let place = turn.checked_rem(self.cycle.len())?;
        self.cycle.get(place).copied().map(usize::from)
    }

    /// The index of any worker, by weight; `None` when there are no workers.
    pub(super) fn draw(&self) -> Option<usize> {
        self.at(fastrand::usize(..))
    }
}

/// How many turns each worker has in a cycle: its weight, without what all have in common, rounded where the cycle
/// would be too long. Never none.
fn turns_in_cycle(weights: impl Iterator<Item = NonZeroU16>) -> Vec<i64> {
    let mut turns: Vec<u64> = weights.map(|weight| u64::from(weight.get())).collect();
    let divisor = turns.iter().copied().fold(0, greatest_common_divisor).max(1);
    turns.iter_mut().for_each(|turns| *turns /= divisor);
    let total: u64 = turns.iter().sum();
    let count = turns.len().max(1) as u64;
    let most = (MOST_WORK / count).min(MOST_TURNS).max(count);
    if total > most {
        turns.iter_mut().for_each(|turns| *turns = ((*turns * most + total / 2) / total).max(1));
    }
    turns.into_iter().map(u64::cast_signed).collect()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(weights: &[u16]) -> RoundRobin {
        RoundRobin::new(weights.iter().filter_map(|&weight| NonZeroU16::new(weight)))
    }

    fn order(weights: &[u16], turns: usize) -> Vec<usize> {
        let order = laid_out(weights);
        (0..turns).filter_map(|_| order.at(order.turn(Attempt::First))).collect()
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
        assert_eq!(laid_out(&[]).draw(), None, "and nobody is drawn");
    }

    #[test]
    fn looking_takes_no_turn() {
        let order = laid_out(&[1, 1]);
        let seen = [Attempt::Again, Attempt::Again, Attempt::First, Attempt::First];
        let seen = seen.map(|attempt| order.at(order.turn(attempt)));
        assert_eq!(seen, [Some(0), Some(0), Some(0), Some(1)], "twice looked, twice taken");
    }

    #[test]
    fn a_cycle_is_never_too_long() {
        let uneven: Vec<u16> = (1..=200).map(|index| index * 321 + 1).collect();
        let cycle = laid_out(&uneven).cycle;
        let turns = |worker: u16| cycle.iter().filter(|&&index| index == worker).count();
        assert!(cycle.len() as u64 <= MOST_WORK / 200 + 200, "{} turns", cycle.len());
        assert!(turns(0) > 0, "the least has a turn");
        let share = turns(199) as f64 / turns(99) as f64;
        assert!((share - 2.0).abs() < 0.01, "twice the weight, {share:.3} times the turns");
    }
}
