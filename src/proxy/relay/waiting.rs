//! What an exchange waits for, and until when.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFuture;

use crate::outcome::Cause;
use crate::upstream::Connection;

use super::{Bounds, Event, Relay, Response, Running};

impl Running<'_> {
    /// Waits for whatever comes next.
    pub(super) async fn next(
        &mut self,
        connection: &mut Connection,
        mut cut: Pin<&mut WaitForCancellationFuture<'_>>,
    ) -> Event {
        self.deadline.arm_at(self.phase().0);
        let waits_since = self.waits_for_body().then(Instant::now);
        let Self { relay: Relay { client, upload, .. }, deadline, .. } = self;
        let wants_body = upload.wants_body();
        let mut from_client = pin!(async move {
            match wants_body {
                true => client.body().await,
                // There is no more, or the worker must take what is there first.
                false => Err(client.left().await),
            }
        });
        let event = poll_fn(|cx| {
            if !upload.pending().is_empty()
                && let Poll::Ready(sent) = connection.poll_write(cx, upload.pending())
            {
                return Poll::Ready(Event::Sent(sent));
            }
            if let Poll::Ready(received) = connection.poll_fill(cx) {
                return Poll::Ready(Event::Received(received));
            }
            if let Poll::Ready(body) = from_client.as_mut().poll(cx) {
                return Poll::Ready(Event::Body(body));
            }
            if deadline.poll(cx).is_ready() {
                return Poll::Ready(Event::Late);
            }
            cut.as_mut().poll(cx).map(|()| Event::Cut)
        })
        .await;
        if let Some(since) = waits_since {
            self.pace.spend(since.elapsed());
        }
        event
    }

    /// Whether it is the client's turn.
    fn waits_for_body(&self) -> bool {
        self.relay.upload.wants_body() && !self.awaiting_continue
    }

    /// The deadline of the phase the exchange is in, and what it means when it passes.
    pub(super) fn phase(&self) -> (Option<Instant>, Cause) {
        let Bounds { phases, total, .. } = *self.relay.bounds;
        let (after, cause) = match self.response {
            Response::Body(_) => (phases.idle, Cause::IdleTimeout),
            _ if self.waits_for_body() => (phases.request_body, Cause::BodyTimeout),
            Response::Nothing | Response::Awaited => (phases.first_byte, Cause::FirstByteTimeout),
        };
        let at = after.and_then(|after| self.moved.checked_add(after));
        let at = at.into_iter().chain(self.too_slow_at()).min();
        match (at, total) {
            (Some(at), Some(total)) if total < at => (Some(total), Cause::TotalTimeout),
            (None, Some(total)) => (Some(total), Cause::TotalTimeout),
            (at, _) => (at, cause),
        }
    }

    /// When the client has sent too little of its body, if it sends no more. Once the answer has begun the two may
    /// converse, at whatever pace.
    fn too_slow_at(&self) -> Option<Instant> {
        let is_answered = matches!(self.response, Response::Body(_));
        let left = self.pace.left().filter(|_| self.waits_for_body() && !is_answered);
        Instant::now().checked_add(left?)
    }
}
