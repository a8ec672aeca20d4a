//! Whether the process of a supervised worker still is what it was: what requests notice is passed on to whoever watches
//! it, and waited for until that has judged.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::super::standing::Mark;
use super::Worker;

/// How long it may take until the loss of a listener is noticed.
const LISTENER_MISSED_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take until the end of a process is noticed.
const PROCESS_MISSED_WITHIN: Duration = Duration::from_millis(50);

impl Worker {
    /// Changes with whatever makes doubt, from now on, that anybody listens at its address.
    pub fn doubts(&self) -> watch::Receiver<u64> {
        self.doubts.subscribe()
    }

    pub(super) fn doubt(&self) {
        self.doubts.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Whether its listener is gone while its process lives, so that a connection which was reset before an answer came
    /// was never accepted: accepted ones survive their listener. Waits until whoever watches the worker knows; nobody
    /// does for a fixed one.
    pub async fn has_lost_its_listener(&self) -> bool {
        if !self.is_supervised() {
            return false;
        }
        self.doubt();
        let is_judged = || self.is_marked(Mark::Deaf) || self.is_retired();
        self.judged_within(LISTENER_MISSED_WITHIN, is_judged).await;
        self.is_marked(Mark::Deaf)
    }

    /// To be called after a connection ended without an answer, before anybody else is sent to the worker: waits a moment
    /// for whoever watches its process to see that it has ended, as its other connections may still look open.
    pub async fn settle(&self) {
        if self.is_supervised() {
            self.judged_within(PROCESS_MISSED_WITHIN, || self.is_retired()).await;
        }
    }

    /// Waits until `is_judged`, or until that has taken too long.
    async fn judged_within(&self, limit: Duration, is_judged: impl Fn() -> bool) {
        let judged = async {
            loop {
                let news = self.judged.notified();
                if is_judged() {
                    return;
                }
                news.await;
            }
        };
        // Both mean the same to the caller, who looks again.
        let _ = timeout(limit, judged).await;
    }
}
