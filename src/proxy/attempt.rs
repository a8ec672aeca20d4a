//! One attempt: a connection of the worker that the request got a slot on, and one exchange over it.
//!
//! What is made of its failure is in [`failure`], what is made of its answer in [`super::judge`].

mod failure;

use std::sync::Arc;

use http::Method;
use http::header::HeaderValue;
use tokio::time::{Instant, sleep_until};

use crate::config::Reuse;
use crate::http1::response::ResponseHead;
use crate::outcome::Cause;
use crate::telemetry::ConnectionKind;
use crate::upstream::{Check, ConnectError, Connection, Keeping, Slot};

pub use failure::Failure;

use super::cookies;
use super::downstream::Downstream;
use super::encode::{self, Persistence, Target};
use super::exchange::{Changes, Exchange};
use super::forward::{Errand, Forwarded};
use super::judge::{self, Judge};
use super::relay::{Answers, End, Relay};
use super::response_head;
use super::retry::Retry;
use super::tunnel;

impl Errand<'_> {
    /// Sends the request to `slot`'s worker and the answer to the client. Hands the client back when it has got nothing
    /// yet; `retry`: why it is not the first attempt.
    pub async fn attempt(
        &mut self,
        slot: Slot,
        retry: Option<Retry>,
        mut client: Box<Downstream>,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Box<Downstream>, Failure)> {
        // Nobody is to compute for a client that is gone.
        if client.is_reset().await {
            return Err((client, Failure::ours(Cause::ClientClosed)));
        }
        let worker = Arc::clone(slot.worker());
        let done = match self.connection(&slot, retry, &mut client, exchange).await {
            Ok(connection) => self.exchange(connection, slot, client, exchange).await,
            Err(failure) => Err((client, failure)),
        };
        if done.as_ref().is_err_and(|(_, failure)| failure.is_of_worker) {
            judge::note_failure(&self.upstream.pool, &worker);
        }
        done
    }

    /// A connection of `slot`'s worker: one that was kept, or a new one.
    async fn connection(
        &self,
        slot: &Slot,
        retry: Option<Retry>,
        client: &mut Downstream,
        exchange: &mut Exchange,
    ) -> Result<Connection, Failure> {
        // After a stale connection the others are suspect too.
        let kept = if retry == Some(Retry::Stale) { None } else { self.kept(slot) };
        exchange.connection_reused = Some(kept.is_some());
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.connect(slot, client, exchange).await?,
        };
        // One that was made before there was a request for it was not used before.
        let is_new = connection.served() == 0;
        let kind = if is_new { ConnectionKind::New } else { ConnectionKind::Reused };
        slot.worker().metrics().request_on(kind);
        connection.begin();
        if self.is_private {
            connection.bind();
        }
        Ok(connection)
    }

    fn kept(&self, slot: &Slot) -> Option<Connection> {
        let policy = self.upstream.pool.policy();
        // One that cannot be sent twice is worth a system call.
        let check = match policy.reuse {
            Reuse::Always => Check::Notes,
            Reuse::Safe | Reuse::Never | Reuse::PerClient => self.check_before(),
        };
        let own = if self.has_own { slot.reuse(Keeping::Client(self.client), check) } else { None };
        // A WebSocket takes its connection away for good, and Uvicorn may still have something to do there that ends it: a
        // timer, an app that fails after it has answered.
        if own.is_some() || self.forward.request.websocket {
            return own;
        }
        slot.reuse(Keeping::Anybody, check)
    }

    fn check_before(&self) -> Check {
        let retry = &self.upstream.retry;
        let is_retried = retry.on.stale && retry.attempts.get() > 1;
        let is_replayable = self.forward.request.is_replayable(retry.body_buffer);
        if is_retried && is_replayable { Check::Notes } else { Check::Kernel }
    }

    async fn connect(
        &self,
        slot: &Slot,
        client: &mut Downstream,
        exchange: &mut Exchange,
    ) -> Result<Connection, Failure> {
        let begun = Instant::now();
        let total = self.bounds.total;
        let connected = tokio::select! {
            biased;
            connected = slot.connect(self.forward.timeouts.connect) => connected,
            () = sleep_until(total.unwrap_or(begun)), if total.is_some() => {
                return Err(Failure::ours(Cause::TotalTimeout));
            }
            // The attempt goes on without us and ends in the pool.
            cause = client.left() => return Err(Failure::ours(cause)),
            () = self.bounds.cut.cancelled() => return Err(Failure::ours(Cause::Stopping)),
        };
        exchange.connect = Some(begun.elapsed());
        connected.map_err(|error| match error {
            // The worker is not to blame: asgate has too many requests for it.
            ConnectError::NoRoom => Failure {
                is_of_worker: false,
                ..self.not_connected(Cause::QueueTimeout, slot.worker(), exchange)
            },
            ConnectError::TimedOut => {
                self.not_connected(Cause::UpstreamConnectTimeout, slot.worker(), exchange)
            }
            ConnectError::Failed(error) => {
                exchange.error = Some(error.to_string());
                self.not_connected(Cause::UpstreamConnect, slot.worker(), exchange)
            }
        })
    }

    /// One exchange on `connection`. Hands the client back when it has got nothing yet.
    async fn exchange(
        &mut self,
        connection: Connection,
        slot: Slot,
        mut client: Box<Downstream>,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Box<Downstream>, Failure)> {
        if let Err(cause) = self.begin(&slot, &client, exchange) {
            slot.park(connection, Keeping::Anybody, Check::Notes);
            return Err((client, Failure::ours(cause)));
        }
        let judge = Judge {
            wish: &self.wish,
            retries: self.retries,
            method: &self.forward.request.method,
            worker: slot.worker(),
            attempts: exchange.attempts,
        };
        let heard = slot.worker().heard();
        let answers = Answers {
            judge: &|opening| {
                judge.note(&opening);
                judge.turns_down(&opening)
            },
            cookie: self.affinity_cookie(&client, &slot),
        };
        let relay = Relay {
            client: &mut client,
            request: self.forward.request,
            bounds: &self.bounds,
            upload: &mut self.upload,
            answers: &answers,
            exchange,
        };
        match relay.run(connection).await {
            Ok(End::Complete(connection)) => {
                self.complete(connection, slot, client, exchange).await
            }
            Ok(End::Upgraded(connection, head)) => {
                self.upgrade(connection, *head, client, exchange).await
            }
            Err(broken) => {
                // A worker that says nothing to anybody is mute; one that answers others has a slow request.
                let is_mute = slot.worker().heard() == heard;
                self.broken(broken, is_mute, slot.worker(), client, exchange).await
            }
        }
    }

    /// Writes the head that `slot`'s worker is sent.
    fn begin(
        &mut self,
        slot: &Slot,
        client: &Downstream,
        exchange: &Exchange,
    ) -> Result<(), Cause> {
        let forward = self.forward;
        let persistence = match self.upstream.pool.policy().reuse {
            Reuse::Never => Persistence::Close,
            Reuse::Safe | Reuse::Always | Reuse::PerClient => Persistence::KeepAlive,
        };
        let target = Target {
            path: &self.path,
            location: slot.worker().location(),
            preserve_host: forward.action.preserve_host,
            persistence,
        };
        let changes = Changes::new(forward.headers, exchange);
        let (request, headers) = (forward.request, client.headers());
        let head = encode::request_head(request, headers, forward.identity, &target, &changes)?;
        self.upload.begin(head);
        Ok(())
    }

    /// Gives the worker's connection and its slot back, then sends the client the end of the response: neither waits for
    /// it to take that, and what it asks for next finds them.
    async fn complete(
        &mut self,
        connection: Option<Connection>,
        slot: Slot,
        mut client: Box<Downstream>,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Box<Downstream>, Failure)> {
        let status = exchange.sent_status.unwrap_or_default();
        match connection {
            Some(connection) if self.forward.request.has_unusual_body() => connection.close(),
            Some(connection) => self.keep(connection, &slot, self.check_after(status)),
            None => {}
        }
        drop(slot);
        match client.finish().await {
            Ok(()) => {
                exchange.completed(status);
                Ok(Forwarded::Done(client))
            }
            Err(cause) => Ok(failure::break_off(cause, client, exchange).await),
        }
    }

    /// Carries on what the worker agreed to speak from now on.
    async fn upgrade(
        &self,
        connection: Connection,
        head: ResponseHead,
        client: Box<Downstream>,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Box<Downstream>, Failure)> {
        match response_head::switching(&head, &exchange.request_id) {
            Ok(mut head) => {
                exchange.dress(&mut head);
                // Boxed: a tunnel is large, and requests that have none would carry room for it.
                Box::pin(tunnel::switch(client, connection, head, &self.bounds, exchange)).await;
                Ok(Forwarded::Gone)
            }
            Err(cause) => {
                connection.close();
                Err((client, Failure::of_worker(cause)))
            }
        }
    }

    /// The cookie that keeps the client with `slot`'s worker, where it has not got it.
    fn affinity_cookie(&self, client: &Downstream, slot: &Slot) -> Option<HeaderValue> {
        let pool = &self.upstream.pool;
        let (cookie, token) = (pool.affinity()?.cookie(), pool.token_of(slot.worker())?);
        cookies::keeping(client.headers(), cookie, &token, self.forward.identity.scheme)
    }

    /// Keeps a connection for the next request: of this client if it is the client's, else of anybody.
    fn keep(&self, connection: Connection, slot: &Slot, check: Check) {
        if connection.is_bound() {
            self.forward.private.move_to(&self.upstream.pool, self.client, slot.worker());
            slot.park(connection, Keeping::Client(self.client), check);
        } else {
            slot.park(connection, Keeping::Anybody, check);
        }
    }

    /// How surely a connection must be quiet after a response with `status`. One without a body may be followed by a
    /// body all the same, which the next client would get for an answer.
    fn check_after(&self, status: u16) -> Check {
        let bodiless =
            self.forward.request.method == Method::HEAD || status == 204 || status == 304;
        if bodiless { Check::Kernel } else { Check::Notes }
    }
}
