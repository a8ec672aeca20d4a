//! One attempt: a connection of the worker that the request got a slot on, and one exchange over it.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, StatusCode};
use pingora::http::ResponseHeader;
use tokio::time::{Instant, sleep_until};

use crate::config::Reuse;
use crate::outcome::Cause;
use crate::telemetry::ConnectionKind;
use crate::upstream::{Check, ConnectError, Connection, Keeping, Mark, Slot, Wish, Worker};

use super::cookies;
use super::downstream::Downstream;
use super::encode::{self, Persistence, Target};
use super::exchange::Exchange;
use super::forward::{Errand, Forwarded};
use super::relay::{Answers, Broken, End, Opening, Relay};
use super::response_head;
use super::retry::{self, Retries, Retry};
use super::snapshot::ServedUpstream;
use super::tunnel;

/// A worker that closes a connection it has no use for does so without looking at what comes.
const STALE_WITHIN: Duration = Duration::from_millis(10);
/// As how slow an answer a failure counts, where workers are chosen by how fast they answer: one that fails at once is not
/// a fast one.
const A_FAILURE: Duration = Duration::from_secs(1);

/// An exchange that went wrong before the client got anything, and how to go on.
pub struct Failure {
    pub cause: Cause,
    pub retry: Option<Retry>,
}

impl Failure {
    /// Whether its worker is gone, so that another may be on its way; not merely slow.
    pub fn found_nobody(&self) -> bool {
        matches!(self.cause, Cause::UpstreamConnect | Cause::UpstreamClosed)
    }

    fn last(cause: Cause) -> Self {
        Self { cause, retry: None }
    }
}

/// What went wrong on the way to a worker or back.
struct Trouble {
    failure: Failure,
    /// Whether it speaks against the worker.
    is_of_worker: bool,
}

impl Errand<'_> {
    /// Sends the request to `slot`'s worker and the answer to the client. Hands the client back when it has got nothing
    /// yet; `retry`: why it is not the first attempt.
    pub async fn attempt(
        &mut self,
        slot: Slot,
        retry: Option<Retry>,
        mut client: Downstream,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Downstream, Failure)> {
        let worker = Arc::clone(slot.worker());
        let done = match self.connection(&slot, retry, &mut client, exchange).await {
            Ok(connection) => self.exchange(connection, slot, client, exchange).await,
            Err(trouble) => Err((client, trouble)),
        };
        if done.as_ref().is_err_and(|(_, trouble)| trouble.is_of_worker) {
            self.upstream.pool.failed(&worker);
            worker.answered_after(A_FAILURE);
        }
        done.map_err(|(client, trouble)| (client, trouble.failure))
    }

    /// A connection of `slot`'s worker: one that was kept, or a new one.
    async fn connection(
        &self,
        slot: &Slot,
        retry: Option<Retry>,
        client: &mut Downstream,
        exchange: &mut Exchange,
    ) -> Result<Connection, Trouble> {
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
        own.or_else(|| slot.reuse(Keeping::Anybody, check))
    }

    fn check_before(&self) -> Check {
        if self.forward.request.is_replayable() { Check::Notes } else { Check::Kernel }
    }

    async fn connect(
        &self,
        slot: &Slot,
        client: &mut Downstream,
        exchange: &mut Exchange,
    ) -> Result<Connection, Trouble> {
        let begun = Instant::now();
        let total = self.bounds.total;
        let connected = tokio::select! {
            biased;
            connected = slot.connect(self.forward.timeouts.connect) => connected,
            () = sleep_until(total.unwrap_or(begun)), if total.is_some() => {
                return Err(Trouble::ours(Cause::TotalTimeout));
            }
            // The attempt goes on without us and ends in the pool.
            cause = client.left(), if self.may_watch() => return Err(Trouble::ours(cause)),
            () = self.bounds.cut.cancelled() => return Err(Trouble::ours(Cause::Stopping)),
        };
        exchange.connect = Some(begun.elapsed());
        connected.map_err(|error| match error {
            // The worker is not to blame: asgate has too many requests for it.
            ConnectError::NoRoom => Trouble {
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

    fn not_connected(&self, cause: Cause, worker: &Arc<Worker>, exchange: &Exchange) -> Trouble {
        let retry = self.elsewhere(Retry::Connect, worker, exchange);
        Trouble { failure: Failure { cause, retry }, is_of_worker: true }
    }

    /// Leave to try another worker, if there is one that may take it by and by.
    fn elsewhere(&self, retry: Retry, worker: &Arc<Worker>, exchange: &Exchange) -> Option<Retry> {
        let mut wish = self.wish.clone();
        wish.tried.push(Arc::clone(worker));
        if !self.upstream.pool.may_serve(&wish) {
            return None;
        }
        self.retries.grant(retry, exchange.attempts)
    }

    /// One exchange on `connection`. Hands the client back when it has got nothing yet.
    async fn exchange(
        &mut self,
        connection: Connection,
        slot: Slot,
        mut client: Downstream,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Downstream, Trouble)> {
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
        let head =
            encode::request_head(forward.request, client.headers(), forward.identity, &target);
        match head {
            Ok(head) => self.upload.begin(head),
            Err(cause) => {
                slot.park(connection, Keeping::Anybody, Check::Notes);
                return Err((client, Trouble::ours(cause)));
            }
        }
        let judge = Judge {
            wish: &self.wish,
            upstream: self.upstream,
            retries: self.retries,
            method: &forward.request.method,
            worker: slot.worker(),
            attempts: exchange.attempts,
        };
        let heard = slot.worker().heard();
        let answers = Answers {
            judge: &|opening| judge.turns_down(opening),
            cookie: self.affinity_cookie(&client, slot.worker()),
        };
        let relay = Relay {
            client: &mut client,
            request: forward.request,
            bounds: &self.bounds,
            upload: &mut self.upload,
            answers: &answers,
            exchange,
        };
        match relay.run(connection).await {
            Ok(End::Complete(connection)) => {
                let status = exchange.sent_status.unwrap_or_default();
                if let Some(connection) = connection {
                    self.keep(connection, &slot, self.check_after(status));
                }
                exchange.completed(status);
                Ok(Forwarded::Done(client))
            }
            Ok(End::Upgraded(connection, head)) => {
                match response_head::switching(&head, &exchange.request_id) {
                    Ok(head) => Ok(self.tunnel(client, connection, head, exchange).await),
                    Err(cause) => {
                        connection.close();
                        Err((client, Trouble::of_worker(cause)))
                    }
                }
            }
            Err(broken) => {
                // A worker that says nothing to anybody is mute; one that answers others has a slow request.
                let is_mute = slot.worker().heard() == heard;
                self.broken(broken, is_mute, slot.worker(), client, exchange).await
            }
        }
    }

    /// The cookie that keeps the client with `worker`, where it has not got it.
    fn affinity_cookie(&self, client: &Downstream, worker: &Worker) -> Option<HeaderValue> {
        let affinity = self.upstream.pool.affinity()?;
        let scheme = self.forward.identity.scheme;
        cookies::keeping(client.headers(), affinity, &worker.identity().name, scheme)
    }

    /// Keeps a connection for the next request: of this client if it is the client's, else of anybody.
    fn keep(&self, connection: Connection, slot: &Slot, check: Check) {
        if connection.is_bound() {
            self.private.move_to(&self.upstream.pool, self.client, slot.worker());
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

    /// What to do about an exchange that went wrong: break the response off, or tell the client, or try again.
    async fn broken(
        &mut self,
        broken: Broken,
        is_mute: bool,
        worker: &Arc<Worker>,
        client: Downstream,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Downstream, Trouble)> {
        if let Some(error) = &broken.error {
            exchange.error = Some(error.to_string());
        }
        if exchange.sent_status.is_some() {
            exchange.aborted(broken.cause);
            client.abort().await;
            return Ok(Forwarded::Gone);
        }
        let was_kept = exchange.connection_reused == Some(true);
        // A kept connection that ends as soon as it is used was merely stale.
        let is_sudden = was_kept && broken.after < STALE_WITHIN && !broken.is_reset();
        if broken.unanswered && !is_sudden {
            worker.settle().await;
        }
        let is_of_worker = match broken.cause {
            Cause::FirstByteTimeout => is_mute,
            Cause::UpstreamInvalid => true,
            // A kept connection ends when its worker has had enough of it.
            Cause::UpstreamClosed => broken.unanswered && !was_kept,
            _ => false,
        };
        let retry = match broken.turned_down {
            Some(retry) => Some(retry),
            None if broken.unanswered && self.upload.can_begin_again() => {
                self.again(&broken, worker, exchange).await
            }
            None => None,
        };
        Err((client, Trouble { failure: Failure { cause: broken.cause, retry }, is_of_worker }))
    }

    /// Whether a request that nothing was answered to may be sent once more, and why.
    async fn again(
        &mut self,
        broken: &Broken,
        worker: &Arc<Worker>,
        exchange: &Exchange,
    ) -> Option<Retry> {
        let was_kept = exchange.connection_reused == Some(true);
        let retry = if was_kept { Retry::Stale } else { Retry::Closed };
        if broken.unsent {
            return self.retries.grant(retry, exchange.attempts);
        }
        if !self.forward.request.method.is_idempotent() {
            // A connection that its worker never accepted says nothing to it, whatever was written.
            let unaccepted = !was_kept && broken.is_reset() && worker.has_lost_its_listener().await;
            return unaccepted.then(|| self.elsewhere(Retry::Connect, worker, exchange))?;
        }
        if was_kept {
            // Of a worker that says nothing to anybody it is no accident.
            let is_accident = exchange.attempts == 1 || !worker.is_marked(Mark::Silent);
            return is_accident.then(|| self.retries.grant(retry, exchange.attempts))?;
        }
        // What ended two workers is what ends workers.
        self.deaths += 1;
        if self.deaths > 1 { None } else { self.elsewhere(retry, worker, exchange) }
    }

    async fn tunnel(
        &self,
        mut client: Downstream,
        connection: Connection,
        head: ResponseHeader,
        exchange: &mut Exchange,
    ) -> Forwarded {
        exchange.sent_status = Some(StatusCode::SWITCHING_PROTOCOLS.as_u16());
        let switched = match client.write_head(head).await {
            Ok(()) => client.flush().await,
            Err(cause) => Err(cause),
        };
        let stream = match (switched, client.into_stream()) {
            (Ok(()), Some(stream)) => stream,
            (switched, _) => {
                connection.close();
                exchange.aborted(switched.err().unwrap_or(Cause::Internal));
                return Forwarded::Gone;
            }
        };
        let (stream, read_ahead) = stream.into_parts();
        let (worker_stream, worker_read_ahead, _held) = connection.into_parts();
        let traffic = tunnel::run(
            tunnel::Side { stream, read_ahead },
            tunnel::Side { stream: worker_stream, read_ahead: worker_read_ahead },
            &self.bounds,
        )
        .await;
        exchange.request_body = traffic.from_client;
        exchange.response_body = traffic.to_client;
        exchange.tunnelled(traffic.cause);
        Forwarded::Gone
    }
}

/// Judges a worker by its answer, and decides whether that reaches the client.
struct Judge<'a> {
    wish: &'a Wish,
    upstream: &'a ServedUpstream,
    retries: Retries<'a>,
    method: &'a Method,
    worker: &'a Arc<Worker>,
    attempts: u32,
}

impl Judge<'_> {
    /// Notes what the answer says of the worker. Whether it is not passed on because another worker is to be tried, and why.
    fn turns_down(&self, Opening { head, upload, waited }: Opening<'_>) -> Option<Retry> {
        let status = head.status.as_u16();
        if self.upstream.pool.is_failure(status) {
            self.upstream.pool.failed(self.worker);
            self.worker.answered_after(A_FAILURE);
        } else {
            self.worker.answered_after(waited);
        }
        let is_limit = status == 503 && self.may_be_limit() && retry::is_limit_of_uvicorn(head);
        let retry = if is_limit && self.retries.policy.on.refused_503 {
            Retry::Refused
        } else if matches!(status, 502..=504) && self.method.is_idempotent() {
            Retry::Status(status)
        } else {
            return None;
        };
        let mut wish = self.wish.clone();
        wish.tried.push(Arc::clone(self.worker));
        if !upload.can_begin_again() || !self.upstream.pool.has_another(&wish) {
            return None;
        }
        self.retries.grant(retry, self.attempts)
    }

    /// Whether nothing but its limit makes the worker close a connection with a 503.
    fn may_be_limit(&self) -> bool {
        self.upstream.pool.policy().reuse != Reuse::Never && !self.worker.is_retired()
    }
}

// === impl Trouble ===

impl Trouble {
    /// Something that would happen with any worker.
    fn ours(cause: Cause) -> Self {
        Self { failure: Failure::last(cause), is_of_worker: false }
    }

    fn of_worker(cause: Cause) -> Self {
        Self { failure: Failure::last(cause), is_of_worker: true }
    }
}
