//! The faster of two workers that are drawn at random by weight: peak EWMA.
//!
//! What a request is to expect of a worker is its smoothed time to the first byte, times the requests that would then
//! share it, for its weight (Finagle's `PeakEwma` balancer). Two are drawn instead of taking the fastest of all, which
//! every request would run to before the first answer says that it is not the fastest any more.

use super::random::better_of_two;
use super::round_robin::RoundRobin;
use super::{Load, Pool};

/// Seconds assumed of a worker of which nothing is known while it has a request: one is enough to find out.
const UNKNOWN: f64 = 1.0;

pub(super) fn pick<W: Load>(
    pool: &Pool<'_, W, impl Fn(&W) -> bool>,
    order: &RoundRobin,
) -> Option<usize> {
    better_of_two(pool, order, |one, other| cost(one) < cost(other))
}

/// Seconds, for comparison only.
fn cost<W: Load>(worker: &W) -> f64 {
    let seconds = match (worker.latency(), worker.in_flight()) {
        (Some(seconds), _) => seconds,
        // Tried before all others.
        (None, 0) => return 0.0,
        (None, _) => UNKNOWN,
    };
    // Exact up to 2^53 requests.
    seconds * (worker.in_flight() as f64 + 1.0) / f64::from(worker.weight().get())
}
