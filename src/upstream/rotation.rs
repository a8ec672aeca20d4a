//! Who is in the pool: joining, leaving, hope for others, the look once a second.

use std::sync::Arc;

use tokio::time::Instant;

use super::Upstream;
use super::affinity::Tokens;
use super::expectation::Arrival;
use super::members::Members;
use super::standing::Mark;
use super::worker::Worker;

impl Upstream {
    /// Puts `worker` into rotation, in the place of an earlier generation with the same name if there is one.
    pub fn join(self: &Arc<Self>, worker: Arc<Worker>) {
        worker.join(self);
        self.change(|workers| {
            let replaced = take(workers, |other| other.identity().name == worker.identity().name);
            workers.push(worker);
            replaced
        });
    }

    /// Takes the worker `name` of `generation` out of rotation. Requests on it go on; its unused connections are
    /// closed, and so are the others once their request is done.
    pub fn leave(self: &Arc<Self>, name: &str, generation: u64) {
        self.change(|workers| {
            take(workers, |other| {
                *other.identity().name == *name && other.identity().generation == generation
            })
        });
    }

    /// Takes every worker out of rotation.
    pub fn close(self: &Arc<Self>) {
        self.expectation.set(false);
        self.change(std::mem::take);
    }

    fn change(self: &Arc<Self>, edit: impl FnOnce(&mut Vec<Arc<Worker>>) -> Vec<Arc<Worker>>) {
        let only_one = self.changing.lock();
        let mut workers = self.workers();
        let gone = edit(&mut workers);
        let names = workers.iter().map(|worker| &worker.identity().name);
        let tokens = self.affinity.as_ref().map(|affinity| Tokens::new(affinity, names));
        let members = Members::new(workers, &self.balance, tokens.unwrap_or_default());
        // Stored before any of them is retired: who finds a worker retired finds the new members.
        self.members.store(Arc::new(members));
        for worker in gone {
            worker.retire();
        }
        // After the others went: a new generation has the metrics of the one before.
        for worker in &self.members.load().workers {
            worker.show();
        }
        drop(only_one);
        self.serve_queue();
    }

    /// Somebody keeps the workers of this upstream, and believes that others will come: requests may wait for them.
    pub fn raise_hope(&self) {
        self.expectation.set(true);
    }

    /// Requests are not to wait for workers any more.
    pub fn give_up_hope(self: &Arc<Self>) {
        self.expectation.set(false);
        self.serve_queue();
    }

    /// A worker is on its way for as long as this is held.
    pub fn announce(&self) -> Arrival {
        self.expectation.announce()
    }

    /// Whether a worker is on its way.
    pub fn is_worker_coming(&self) -> bool {
        self.expectation.is_worker_coming()
    }

    /// Looks after what changes with time: connections that are too old, ejections that are over. Call it about once a
    /// second.
    pub fn sweep(self: &Arc<Self>) {
        let members = self.members.load();
        let now = Instant::now();
        self.retries.refill();
        for worker in &members.workers {
            worker.sweep(now);
            if worker.failures().ends_ejection(now) && worker.mark(Mark::Ejected, false) {
                let name = &worker.identity().name;
                log::info!("Worker is tried again: upstream={} worker={name}", self.name);
            }
        }
        // A connection of a deaf worker may be free again.
        self.serve_queue();
    }
}

/// Removes and returns the workers that `gone` names.
fn take(workers: &mut Vec<Arc<Worker>>, gone: impl Fn(&Worker) -> bool) -> Vec<Arc<Worker>> {
    workers.extract_if(.., |worker| gone(worker)).collect()
}
