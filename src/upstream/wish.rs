//! What a request asks of its upstream.

use std::sync::Arc;

use super::queue;
use super::worker::Worker;

/// Which worker a request wants, and which it does not.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What a hash is taken over, where workers are chosen by one.
    pub key: Option<Arc<[u8]>>,
    /// The name of the worker that it belongs to. It gets that one as long as that one is fit, and waits for a slot there.
    pub belongs_to: Option<Arc<str>>,
    /// Workers that are not to be tried again.
    pub tried: Vec<Arc<Worker>>,
    /// One that is only tried again when there is no other.
    pub avoided: Option<Arc<Worker>>,
    /// Whether the worker that it belongs to could be had when it got in line; set then.
    pub waits_for_own: bool,
}

impl Wish {
    /// Whether it is its first attempt.
    pub(super) fn is_first(&self) -> bool {
        self.tried.is_empty() && self.avoided.is_none()
    }

    pub(super) fn was_tried(&self, worker: &Arc<Worker>) -> bool {
        self.tried.iter().any(|other| Arc::ptr_eq(other, worker))
    }

    pub(super) fn avoids(&self, worker: &Arc<Worker>) -> bool {
        self.avoided.as_ref().is_some_and(|other| Arc::ptr_eq(other, worker))
    }

    /// What it wishes for once `worker` was tried as well.
    pub fn after(&self, worker: &Arc<Worker>) -> Self {
        let mut next = self.clone();
        next.tried.push(Arc::clone(worker));
        next
    }

    /// Whether it is better served by the same worker over another connection than by another worker.
    pub fn is_attached(&self) -> bool {
        self.belongs_to.is_some() || self.key.is_some()
    }
}

impl queue::Wish for Wish {
    fn line(&self) -> queue::LineOf {
        self.belongs_to.clone().filter(|_| self.waits_for_own)
    }

    fn is_choosy(&self) -> bool {
        self.belongs_to.is_some() || !self.is_first()
    }
}
