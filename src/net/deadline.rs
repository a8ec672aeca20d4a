//! A deadline that is cheap to move: it is set anew for every read and write, and almost never passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A point in time to be woken at, or none.
///
/// Moving it later costs a store: the timer behind it stays where it is and is only set again when it fires early.
#[derive(Debug, Default)]
pub struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Passes `after` from now; `None` never.
    pub fn arm(&mut self, after: Option<Duration>) {
        // A sum past the end of time is never, too.
        self.at = after.and_then(|after| Instant::now().checked_add(after));
    }

    /// Passes at `at`; `None` never.
    pub fn arm_at(&mut self, at: Option<Instant>) {
        self.at = at;
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }

    /// Waits until the deadline has passed.
    pub async fn passed(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn passes_at_the_last_time_it_was_set_to() {
        let start = Instant::now();
        let mut deadline = Deadline::default();
        for (seconds, what) in [(10, "first"), (30, "moved later"), (5, "moved earlier")] {
            deadline.arm_at(Some(start + Duration::from_secs(seconds)));
            let mut waiting = Box::pin(deadline.passed());
            assert!(futures_are_pending(&mut waiting).await, "{what}: not yet");
        }
        deadline.passed().await;
        assert_eq!(start.elapsed(), Duration::from_secs(5), "the last one counts");
        deadline.arm_at(Some(start + Duration::from_secs(20)));
        deadline.passed().await;
        assert_eq!(start.elapsed(), Duration::from_secs(20), "set again after it passed");
    }

    #[tokio::test(start_paused = true)]
    async fn none_never_passes() {
        let mut deadline = Deadline::default();
        deadline.arm(Some(Duration::MAX));
        let waited = tokio::time::timeout(Duration::from_secs(1_000_000), deadline.passed()).await;
        assert!(waited.is_err(), "the end of time is never");
    }

    async fn futures_are_pending(future: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
    }
}
