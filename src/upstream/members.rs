//! The workers in rotation at one moment, and which of them a request gets.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::config::Balance;

use super::Unavailable;
use super::affinity::Tokens;
use super::balance::{Attempt, Balancer, Request};
use super::standing::Fitness;
use super::wish::Wish;
use super::worker::Worker;

/// The workers in rotation at one moment.
pub(super) struct Members {
    pub(super) workers: Vec<Arc<Worker>>,
    by_name: HashMap<Arc<str>, usize>,
    balancer: Balancer,
    /// The names of the workers by the cookies that say them.
    pub(super) tokens: Tokens,
}

impl Members {
    pub(super) fn new(workers: Vec<Arc<Worker>>, balance: &Balance, tokens: Tokens) -> Self {
        let names = workers.iter().map(|worker| (&*worker.identity().name, worker.weight()));
        let balancer = Balancer::new(balance, names);
        let names = workers.iter().map(|worker| Arc::clone(&worker.identity().name));
        let by_name = names.enumerate().map(|(index, name)| (name, index)).collect();
        Self { workers, by_name, balancer, tokens }
    }

    /// The worker that the request belongs to, or whose turn it is, if it can take it; else the best of the others.
    ///
    /// # Errors
    /// [`Unavailable`]: nobody has a slot for it now, or nobody ever will.
    pub(super) fn choose(
        &self,
        wish: &Wish,
        in_flight: usize,
    ) -> Result<&Arc<Worker>, Unavailable> {
        if let Some(own) = self.own(wish) {
            return if own.has_room() { Ok(own) } else { Err(Unavailable::Full) };
        }
        let is_fit = |worker: &Arc<Worker>| {
            worker.fitness() == Fitness::Full && worker.has_room() && is_untried(wish, worker)
        };
        let attempt = if wish.is_first() { Attempt::First } else { Attempt::Again };
        match self.pick(wish, attempt, in_flight, is_fit) {
            Some(worker) => Ok(worker),
            None => self.best_of_the_rest(wish, in_flight),
        }
    }

    /// Whether there is a slot at all, if only for a request that has no better choice.
    pub(super) fn has_room(&self) -> bool {
        let takes = |worker: &Arc<Worker>| worker.has_room() && worker.fitness() > Fitness::Never;
        self.workers.iter().any(takes)
    }

    fn pick(
        &self,
        wish: &Wish,
        attempt: Attempt,
        in_flight: usize,
        takes: impl Fn(&Arc<Worker>) -> bool,
    ) -> Option<&Arc<Worker>> {
        let request = Request { attempt, key: wish.key.as_deref(), in_flight };
        self.workers.get(self.balancer.pick(&self.workers, request, takes)?)
    }

    /// The worker that the request belongs to, while it can be served there.
    pub(super) fn own(&self, wish: &Wish) -> Option<&Arc<Worker>> {
        let own = self.serving(wish.belongs_to.as_ref()?)?;
        is_untried(wish, own).then_some(own)
    }

    /// Whether the worker of this name gets the requests that belong to it.
    pub(super) fn can_serve_its_own(&self, name: &Arc<str>) -> bool {
        self.serving(name).is_some()
    }

    fn serving(&self, name: &Arc<str>) -> Option<&Arc<Worker>> {
        let worker = self.workers.get(*self.by_name.get(name)?)?;
        (worker.fitness() >= Fitness::Survivor).then_some(worker)
    }

    /// Nobody is fit and free: one that something speaks against takes it, but never while a better one is merely busy. The
    /// request has had its turn: with a second one, only every other worker would ever be the first to be looked at.
    fn best_of_the_rest(&self, wish: &Wish, in_flight: usize) -> Result<&Arc<Worker>, Unavailable> {
        let usable = |worker: &&Arc<Worker>| worker.fitness() > Fitness::Never;
        let untried = self.workers.iter().filter(usable).filter(|worker| is_untried(wish, worker));
        let best = untried.map(|worker| worker.fitness()).min_by_key(|&fitness| Reverse(fitness));
        let is_best = |worker: &Arc<Worker>| {
            Some(worker.fitness()) == best && worker.has_room() && is_untried(wish, worker)
        };
        if let Some(worker) = best.and_then(|_| self.pick(wish, Attempt::Again, in_flight, is_best))
        {
            return Ok(worker);
        }
        let avoided = self.workers.iter().find(|worker| {
            wish.avoids(worker) && !wish.was_tried(worker) && worker.fitness() > Fitness::Never
        });
        match (avoided, best) {
            (Some(worker), _) if worker.has_room() => Ok(worker),
            (None, None) => Err(Unavailable::Nobody),
            (Some(_), _) | (None, Some(_)) => Err(Unavailable::Full),
        }
    }
}

fn is_untried(wish: &Wish, worker: &Arc<Worker>) -> bool {
    !wish.was_tried(worker) && !wish.avoids(worker)
}
