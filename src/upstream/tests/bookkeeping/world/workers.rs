//! Workers: they join, leave, and have something held against them.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;

use crate::config::Address;
use crate::upstream::{Identity, Mark, fixtures};

use super::super::events::NAMES;
use super::{Look, Member, World};

impl World<'_> {
    pub(super) fn join(&mut self, name: &Index, supervised: bool, rising: bool) -> TestCaseResult {
        let name = NAMES[name.index(NAMES.len())];
        let generation = self.workers.len() as u64;
        let identity = Identity { name: name.into(), generation, pid: supervised.then_some(4_711) };
        // Nobody listens there, and nobody tries.
        let worker = fixtures::worker_of(self.upstream, identity, Address::Unix("/".into()));
        let worker = Arc::new(if rising { worker.newcomer() } else { worker });
        self.workers.push(Member { worker: Arc::clone(&worker), drained: None });
        if let Some(replaced) = self.model.join(name, supervised) {
            self.workers[replaced].await_drain();
        }
        self.upstream.join(worker);
        self.serve(Look::Everywhere)
    }

    pub(super) fn leave(&mut self, worker: &Index) -> TestCaseResult {
        let Some(worker) = self.draw_worker(worker) else { return Ok(()) };
        if !self.model.is_retired(worker) {
            self.workers[worker].await_drain();
        }
        self.model.leave(worker);
        let identity = self.workers[worker].worker.identity();
        self.upstream.leave(&identity.name, identity.generation);
        self.serve(Look::Everywhere)
    }

    pub(super) fn close(&mut self) -> TestCaseResult {
        self.model.hope = false;
        for worker in self.model.rotation.clone() {
            self.workers[worker].await_drain();
            self.model.leave(worker);
        }
        self.upstream.close();
        self.serve(Look::Everywhere)
    }

    pub(super) fn mark(&mut self, worker: &Index, mark: Mark, on: bool) -> TestCaseResult {
        let Some(worker) = self.draw_worker(worker) else { return Ok(()) };
        let is_news = self.model.mark(worker, mark, on);
        prop_assert_eq!(self.workers[worker].worker.mark(mark, on), is_news, "whether it is news");
        if is_news && !self.model.is_retired(worker) {
            self.serve(Look::Everywhere)
        } else {
            Ok(())
        }
    }
}

impl Member {
    fn await_drain(&mut self) {
        let worker = Arc::clone(&self.worker);
        self.drained = Some(Box::pin(async move { worker.drained().await }));
    }
}
