//! How long a client may take for what is written to it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::net::deadline::Deadline;
use crate::outcome::Cause;
use crate::proxy::pace::Pace;

/// How long a client is waited for, at least and at most, before its pace is looked at.
const GRACE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// How long the client may take no byte that is written to it, and how few on the whole.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Without progress.
    pub each: Option<Duration>,
    /// Whatever progress there is.
    pub total: Option<Instant>,
    /// Bytes per second.
    pub rate: Option<u64>,
}

impl Patience {
    /// One who may take nothing for a while must not be given up for its pace before that is over: a system that reads for
    /// a slow program tells of hundreds of kilobytes at a time, once there is room for so many.
    fn pace(&self) -> Pace {
        let (least, most) = GRACE;
        Pace::new(self.rate, self.each.map_or(most, |each| each.clamp(least, most)))
    }
}

/// What counts the bytes that the client has taken.
#[derive(Debug)]
pub enum Taken {
    /// Those of this response, and of others before it.
    ByClient(Arc<AtomicU64>),
    /// Those of the responses beside it, too: that they go on does not say that this one does.
    OnAllStreams(Arc<AtomicU64>),
}

/// The writes of one response.
#[derive(Debug)]
pub struct Writing {
    patience: Patience,
    pace: Pace,
    deadline: Deadline,
    taken: Taken,
    /// Of that, what was there when the client was first waited for, and what it has earned time with since. What went
    /// into the system's buffers before says nothing of the client.
    earned: Option<u64>,
}

impl Writing {
    /// Writes that `taken` counts the bytes of.
    pub fn new(patience: Patience, taken: Taken) -> Self {
        Self { patience, pace: patience.pace(), deadline: Deadline::default(), taken, earned: None }
    }

    /// Sets how long the client may take from now on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
        self.pace = patience.pace();
    }

    /// Waits for a write as long as the client takes bytes.
    ///
    /// # Errors
    /// The client left, or takes too little.
    pub async fn within<E>(
        &mut self,
        write: impl Future<Output = Result<(), E>>,
    ) -> Result<(), Cause> {
        let mut write = pin!(write);
        // Nearly every write is done at once and needs no clock.
        if let Poll::Ready(written) = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await {
            return written.map_err(|_| Cause::ClientClosed);
        }
        let mut last = Instant::now();
        // What was taken without a wait is no news of this one.
        self.earn();
        loop {
            let since = Instant::now();
            self.deadline.arm_at(self.end(since, last));
            let written = tokio::select! {
                biased;
                written = &mut write => Some(written),
                () = self.deadline.passed() => None,
            };
            self.pace.spend(since.elapsed());
            if self.earn() {
                last = Instant::now();
            }
            if let Some(written) = written {
                return written.map_err(|_| Cause::ClientClosed);
            }
            self.judge(last)?;
        }
    }

    /// Counts what the client has taken since it was looked last; whether there was anything of this response.
    fn earn(&mut self) -> bool {
        let (Taken::ByClient(count) | Taken::OnAllStreams(count)) = &self.taken;
        let taken = count.load(Ordering::Relaxed);
        let before = self.earned.replace(taken).unwrap_or(taken);
        self.pace.earn(taken.saturating_sub(before));
        taken > before && matches!(self.taken, Taken::ByClient(_))
    }

    /// When it is to be looked whether the client is too slow; `last`: when it was last seen to have taken something.
    fn end(&self, now: Instant, last: Instant) -> Option<Instant> {
        let still = self.patience.each.and_then(|each| last.checked_add(each));
        let slow = self.pace.left().and_then(|left| now.checked_add(left));
        still.into_iter().chain(slow).chain(self.patience.total).min()
    }

    fn judge(&self, last: Instant) -> Result<(), Cause> {
        if self.patience.total.is_some_and(|total| total <= Instant::now()) {
            return Err(Cause::TotalTimeout);
        }
        let is_still = self.patience.each.is_some_and(|each| last.elapsed() >= each);
        let is_slow = self.pace.left().is_some_and(|left| left.is_zero());
        if is_still || is_slow { Err(Cause::ClientWriteTimeout) } else { Ok(()) }
    }
}
