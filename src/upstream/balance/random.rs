//! Power of two choices: the less full of two workers that are drawn at random by weight.
//!
//! Nearly as even as the least requests of all (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", IEEE TPDS 12(10), 2001), and where several edges share the workers they do not all run to the same one.

use super::round_robin::RoundRobin;
use super::{Fullness, Load, Pool};

/// Draws until there is one that takes the request, and again until there is another. Enough that both are found where
/// half of the workers take requests, for all but a few in a thousand.
const DRAWS: usize = 8;

pub(super) fn pick<W: Load>(
    pool: &Pool<'_, W, impl Fn(&W) -> bool>,
    order: &RoundRobin,
) -> Option<usize> {
    better_of_two(pool, order, |one, other| Fullness::of(one).is_below(Fullness::of(other)))
}

/// The better of two workers that are drawn by weight and take the request; the first drawn when they are alike, which
/// keeps to the weights. `is_better`: whether its first is better than its second.
pub(super) fn better_of_two<W: Load>(
    pool: &Pool<'_, W, impl Fn(&W) -> bool>,
    order: &RoundRobin,
    is_better: impl Fn(&W, &W) -> bool,
) -> Option<usize> {
    let drawn = || (0..DRAWS).filter_map(|_| order.draw());
    let taking = |index| Some((index, pool.taking_turn(index)?));
    let Some((first, one)) = drawn().find_map(taking) else {
        return pool.first_from(fastrand::usize(..));
    };
    match drawn().filter(|&index| index != first).find_map(taking) {
        Some((second, two)) if is_better(two, one) => Some(second),
        Some(_) | None => Some(first),
    }
}
