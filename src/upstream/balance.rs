//! Which worker a request goes to, among those of one upstream.
//!
//! Pure: looks at numbers that others keep, and knows of a worker no more than [`Load`]. It must not connect, wait,
//! take a lock or judge a worker's health; whether one may be chosen at all is the caller's to say. A choice costs
//! the same for ten workers as for a thousand (`hash`: the logarithm of their number), as long as one of those that are
//! looked at takes the request; else all are asked, so that a request is turned away only when every worker does it.
//! The ways to choose are a module each; `benches/balance.rs` says what they cost.

mod hash;
mod latency;
mod least_requests;
mod random;
mod round_robin;

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use crate::config;

use hash::Ring;
use round_robin::RoundRobin;

/// One worker as balancing sees it.
pub trait Load {
    /// Requests in flight on it.
    fn in_flight(&self) -> usize;

    /// Its share beside the others at this moment, in any unit that all of them have in common; so a worker that starts
    /// slowly can say less than what it was configured with.
    fn weight(&self) -> NonZeroU32;

    /// Smoothed time to its first byte, in seconds, never negative, if there is anything to go by; see
    /// [`PeakEwma`](super::peak_ewma::PeakEwma).
    fn latency(&self) -> Option<f64>;

    /// Whether its share is still growing.
    fn is_rising(&self) -> bool {
        false
    }

    /// Whether it takes a turn that is its own; now and then it does not while its share is growing. Asked once of each turn.
    fn takes_turn(&self) -> bool {
        true
    }
}

impl<T: Load> Load for Arc<T> {
    fn in_flight(&self) -> usize {
        T::in_flight(self)
    }

    fn weight(&self) -> NonZeroU32 {
        T::weight(self)
    }

    fn latency(&self) -> Option<f64> {
        T::latency(self)
    }

    fn is_rising(&self) -> bool {
        T::is_rising(self)
    }

    fn takes_turn(&self) -> bool {
        T::takes_turn(self)
    }
}

/// Whether a request has been on a worker before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It takes a turn.
    First,
    /// It only looks whose turn it is: a request that is tried again must not shift the shares of the others.
    Again,
}

/// A request as balancing sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub attempt: Attempt,
    /// What `hash` is taken over; without it `hash` chooses as `least_requests` does.
    pub key: Option<&'a [u8]>,
    /// Requests in flight on all workers of the upstream together; only `hash` looks at it.
    pub in_flight: usize,
}

/// Chooses among a fixed set of workers. Another set needs another balancer.
pub struct Balancer {
    order: RoundRobin,
    way: Way,
}

enum Way {
    LeastRequests,
    RoundRobin,
    Random,
    Latency,
    Hash(Ring),
}

impl Balancer {
    /// A balancer for `workers`, in the order in which [`pick`](Self::pick) will get them: the name of each, which is
    /// unique and the same for all its generations, and its configured weight.
    pub fn new<'a>(
        how: &config::Balance,
        workers: impl Iterator<Item = (&'a str, NonZeroU16)>,
    ) -> Self {
        let workers: Vec<_> = workers.collect();
        let way = match how {
            config::Balance::LeastRequests => Way::LeastRequests,
            config::Balance::RoundRobin => Way::RoundRobin,
            config::Balance::Random => Way::Random,
            config::Balance::Latency => Way::Latency,
            config::Balance::Hash(_) => Way::Hash(Ring::new(&workers)),
        };
        Self { order: RoundRobin::new(workers.iter().map(|(_, weight)| *weight)), way }
    }

    /// The index of the worker for `request` among `workers`, which are those of [`new`](Self::new) in the same order.
    /// `None` when none of them takes it.
    ///
    /// `takes`: whether a worker may be chosen, for instance because it is fit, was not tried yet and has a slot left.
    /// It is asked for few workers, for some of them more than once, and for all before the answer is `None`.
    pub fn pick<W: Load>(
        &self,
        workers: &[W],
        request: Request<'_>,
        takes: impl Fn(&W) -> bool,
    ) -> Option<usize> {
        let pool = Pool { workers, takes };
        match (&self.way, request.key) {
            (Way::Hash(ring), Some(key)) => ring.pick(&pool, key, request.in_flight),
            (Way::LeastRequests | Way::Hash(_), _) => {
                least_requests::pick(&pool, &self.order, request.attempt)
            }
            (Way::RoundRobin, _) => self.order.pick(&pool, request.attempt),
            (Way::Random, _) => random::pick(&pool, &self.order),
            (Way::Latency, _) => latency::pick(&pool, &self.order),
        }
    }
}

/// The workers of one choice, and who of them may be chosen.
struct Pool<'a, W, F> {
    workers: &'a [W],
    takes: F,
}

impl<'a, W, F: Fn(&W) -> bool> Pool<'a, W, F> {
    /// The worker at `index`, if it may be chosen.
    fn taking(&self, index: usize) -> Option<&'a W> {
        self.workers.get(index).filter(|worker| (self.takes)(worker))
    }

    /// The worker at `index`, if it may be chosen and takes a turn that is its own.
    fn taking_turn(&self, index: usize) -> Option<&'a W>
    where
        W: Load,
    {
        self.taking(index).filter(|worker| worker.takes_turn())
    }

    /// All indices, beginning at one that `start` stands for, whatever its size.
    fn indices_from(&self, start: usize) -> impl Iterator<Item = usize> + use<W, F> {
        let count = self.workers.len();
        (0..count).map(move |step| (start % count + step) % count)
    }

    /// The last resort: the first from `start` on that may be chosen.
    fn first_from(&self, start: usize) -> Option<usize> {
        self.indices_from(start).find(|&index| self.taking(index).is_some())
    }
}

/// How full a worker was when it was looked at: requests in flight for its weight.
#[derive(Debug, Clone, Copy)]
struct Fullness {
    in_flight: usize,
    weight: NonZeroU32,
}

impl Fullness {
    fn of<W: Load>(worker: &W) -> Self {
        Self { in_flight: worker.in_flight(), weight: worker.weight() }
    }

    /// Multiplied crosswise, so that nothing is rounded, and wide enough for any number of requests.
    fn is_below(self, other: Self) -> bool {
        let this = self.in_flight as u128 * u128::from(other.weight.get());
        this < other.in_flight as u128 * u128::from(self.weight.get())
    }
}

#[cfg(test)]
mod tests;
