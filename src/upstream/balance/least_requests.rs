//! The worker with the fewest requests in flight for its weight.
//!
//! Looks at no more than [`OTHERS`] workers beside the one whose turn it is. That is exact for an upstream of so many
//! workers; of a larger one it takes the best of a sample, and already the best of two keeps the fullest worker nearly
//! as empty as the best of all would (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing",
//! IEEE TPDS 12(10), 2001), without a shared order of workers that every request would have to change.

use super::round_robin::RoundRobin;
use super::{Attempt, Fullness, Load, Pool};

/// Workers looked at beside the one whose turn it is.
const OTHERS: usize = 16;

/// Whose turn it is comes first, and another one only wins by being less full: so requests that find all workers alike,
/// as those that come one by one, are shared by weight.
pub(super) fn pick<W: Load>(
    pool: &Pool<'_, W, impl Fn(&W) -> bool>,
    order: &RoundRobin,
    attempt: Attempt,
) -> Option<usize> {
    let turn = order.turn(attempt);
    // The sample moves with the turns, not with whose they are: a heavy worker's neighbours are no better than others.
    let others = pool.indices_from(turn).take(OTHERS);
    let whose = order.at(turn);
    let first = whose.filter(|&index| pool.taking_turn(index).is_some());
    let others = others.filter(|&index| Some(index) != whose);
    let mut best: Option<(usize, Fullness)> = None;
    for index in first.into_iter().chain(others) {
        let Some(worker) = pool.workers.get(index) else { continue };
        let mut fullness = Fullness::of(worker);
        if worker.is_rising() && first != Some(index) {
            // Empty as it is, it would get every request that comes, not only those whose turn it is.
            fullness.in_flight += 1;
        }
        // Asked last, and only of one that would be chosen.
        if best.is_some_and(|(_, best)| !fullness.is_below(best)) || !(pool.takes)(worker) {
            continue;
        }
        best = Some((index, fullness));
        if fullness.in_flight == 0 {
            break;
        }
    }
    best.map(|(index, _)| index).or_else(|| pool.first_from(turn))
}
