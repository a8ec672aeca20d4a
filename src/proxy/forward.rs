//! From a route to a worker: choose one, get a connection, carry the exchange out, and try again where that is safe.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use pingora::http::ResponseHeader;
use tokio::time::Instant;

use crate::client::Identity;
use crate::config::{Limits, Proxy, Timeouts};
use crate::outcome::{BadRequest, Cause};
use crate::routing;
use crate::telemetry::{ConnectResult, GaugeGuard};
use crate::upstream::{Check, ConnectError, Connection, Mark, Slot, Worker};

use super::downstream::{Downstream, Patience};
use super::encode::{self, Target};
use super::exchange::Exchange;
use super::place::Wanted;
use super::relay::{Bounds, Broken, End, Relay};
use super::request::{Body, Request};
use super::response_head;
use super::tunnel;
use super::upload::Upload;

/// Attempts for one request, the first included.
const MAX_ATTEMPTS: u32 = 3;

/// What is to be forwarded, and by which rules.
pub struct Forward<'a> {
    pub request: &'a Request,
    pub identity: &'a Identity,
    pub action: &'a Proxy,
    pub timeouts: &'a Timeouts,
    pub limits: &'a Limits,
}

/// How forwarding ended.
pub enum Forwarded {
    /// The client has its response, or as much of it as there will be.
    Done(Downstream),
    /// The client has nothing yet, and must be told why.
    Failed(Downstream, Cause),
    /// The connection is gone: broken off, or used up by a tunnel.
    Gone,
}

/// An exchange that went wrong before the client got anything, and how to go on.
struct Attempt {
    cause: Cause,
    retry: Option<Retry>,
}

impl Attempt {
    /// Whether its worker is gone, so that another may be on its way; not merely slow.
    fn found_nobody(&self) -> bool {
        matches!(self.cause, Cause::UpstreamConnect | Cause::UpstreamClosed)
    }
}

/// Why an attempt may be followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// There was no connection, so nothing was sent.
    Connect,
    /// A connection that was kept turned out to be closed, and the request can be sent twice.
    Stale,
    /// A new connection ended without an answer, most likely with its worker, and the request can be sent twice.
    Closed,
}

impl Retry {
    /// The word in logs and metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Stale => "stale",
            Self::Closed => "closed",
        }
    }
}

impl Forward<'_> {
    /// Serves the request from the route's upstream and writes into `exchange` what happened.
    pub async fn run(self, mut client: Downstream, exchange: &mut Exchange) -> Forwarded {
        let snapshot = Arc::clone(&exchange.snapshot);
        let Some(upstream) = snapshot.upstreams.get(self.action.upstream) else {
            return Forwarded::Failed(client, Cause::Internal);
        };
        exchange.upstream = Some(Arc::clone(upstream.pool.name()));
        let _in_flight: GaugeGuard = upstream.metrics.request();
        let Ok(path) = routing::rewrite(&self.action.rewrite, &self.request.path) else {
            return Forwarded::Failed(client, Cause::BadRequest(BadRequest::Path));
        };
        let total = self.timeouts.total.and_then(|total| Instant::now().checked_add(total));
        client.set_patience(Patience { each: self.timeouts.client_write, total });
        let bounds = Bounds { phases: self.timeouts, total, cut: exchange.cut() };
        let mut upload = Upload::new(self.request.body, self.limits.body);
        let mut tried: Vec<Arc<Worker>> = Vec::new();
        let mut avoided: Option<Arc<Worker>> = None;
        let mut last: Option<Attempt> = None;
        loop {
            let wanted = Wanted {
                pool: &upstream.pool,
                tried: &tried,
                avoided: avoided.as_ref(),
                bounds: &bounds,
                watch_client: self.may_watch(),
                may_wait: last.as_ref().is_none_or(Attempt::found_nobody),
            };
            let slot = match wanted.place(&mut client).await {
                Ok((slot, waited)) => {
                    exchange.queue += waited;
                    slot
                }
                Err(Cause::NoWorker) => {
                    let cause = last.map_or(Cause::NoWorker, |attempt| attempt.cause);
                    return Forwarded::Failed(client, cause);
                }
                Err(cause) => return Forwarded::Failed(client, cause),
            };
            let worker = Arc::clone(slot.worker());
            let retry = last.and_then(|attempt| attempt.retry);
            if let Some(retry) = retry {
                exchange.retry_reason = Some(retry.as_str());
                upstream.metrics.retried(retry.as_str());
            }
            exchange.attempts += 1;
            exchange.worker = Some(worker.identity().clone());
            let way = Way { slot, path: &path, bounds: &bounds, retry, upload: &mut upload };
            let attempt = match self.connection(&way, &mut client, exchange).await {
                Ok(connection) => match self.attempt(connection, way, client, exchange).await {
                    Ok(forwarded) => return forwarded,
                    Err((back, attempt)) => {
                        client = back;
                        attempt
                    }
                },
                Err(attempt) => attempt,
            };
            if attempt.retry.is_none() || exchange.attempts >= MAX_ATTEMPTS {
                return Forwarded::Failed(client, attempt.cause);
            }
            match attempt.retry {
                // The worker closed an unused connection, or has just ended.
                Some(Retry::Stale) => avoided = Some(worker),
                _ => tried.push(worker),
            }
            last = Some(attempt);
        }
    }

    /// A connection of `slot`'s worker: one that was kept, or a new one.
    async fn connection(
        &self,
        way: &Way<'_>,
        client: &mut Downstream,
        exchange: &mut Exchange,
    ) -> Result<Connection, Attempt> {
        let check = if self.request.is_replayable() { Check::Notes } else { Check::Kernel };
        // After a stale connection the others are suspect too.
        let kept = if way.retry == Some(Retry::Stale) { None } else { way.slot.reuse(check) };
        if let Some(kept) = kept {
            exchange.connection_reused = Some(true);
            return Ok(kept);
        }
        exchange.connection_reused = Some(false);
        let (limit, late) = self.connect_limit(way.bounds.total);
        let begun = Instant::now();
        let connected = tokio::select! {
            biased;
            connected = way.slot.connect(limit) => connected,
            // The attempt goes on without us and ends in the pool.
            cause = client.left(), if self.may_watch() => {
                return Err(Attempt { cause, retry: None });
            }
            () = way.bounds.cut.cancelled() => {
                return Err(Attempt { cause: Cause::Stopping, retry: None });
            }
        };
        exchange.connect = Some(begun.elapsed());
        way.slot.worker().metrics().connect_ended(result_of(&connected));
        connected.map_err(|error| match error {
            ConnectError::TimedOut => Attempt {
                cause: late,
                retry: (late == Cause::UpstreamConnectTimeout).then_some(Retry::Connect),
            },
            ConnectError::Failed(error) => {
                exchange.error = Some(error.to_string());
                Attempt { cause: Cause::UpstreamConnect, retry: Some(Retry::Connect) }
            }
        })
    }

    /// Whether what the client sends next can only be its leave.
    fn may_watch(&self) -> bool {
        self.request.body == Body::None
    }

    fn connect_limit(&self, total: Option<Instant>) -> (Option<Duration>, Cause) {
        let left = total.map(|total| total.saturating_duration_since(Instant::now()));
        match (self.timeouts.connect, left) {
            (Some(connect), Some(left)) if left < connect => (Some(left), Cause::TotalTimeout),
            (None, Some(left)) => (Some(left), Cause::TotalTimeout),
            (connect, _) => (connect, Cause::UpstreamConnectTimeout),
        }
    }

    /// One exchange on `connection`. Hands the client back when it has got nothing yet.
    async fn attempt(
        &self,
        connection: Connection,
        way: Way<'_>,
        mut client: Downstream,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Downstream, Attempt)> {
        let target = Target {
            path: way.path,
            address: way.slot.worker().address(),
            preserve_host: self.action.preserve_host,
        };
        let head = encode::request_head(self.request, client.headers(), self.identity, &target);
        match head {
            Ok(head) => way.upload.begin(head),
            Err(cause) => {
                way.slot.park(connection, Check::Notes);
                return Err((client, Attempt { cause, retry: None }));
            }
        }
        let relay = Relay {
            client: &mut client,
            request: self.request,
            bounds: way.bounds,
            upload: &mut *way.upload,
            exchange,
        };
        match relay.run(connection).await {
            Ok(End::Complete(connection)) => {
                let status = exchange.sent_status.unwrap_or_default();
                if let Some(connection) = connection {
                    way.slot.park(connection, self.check_after(status));
                }
                exchange.completed(status);
                Ok(Forwarded::Done(client))
            }
            Ok(End::Upgraded(connection, head)) => {
                match response_head::switching(&head, &exchange.request_id) {
                    Ok(head) => {
                        Ok(self.tunnel(client, connection, head, way.bounds, exchange).await)
                    }
                    Err(cause) => Err((client, Attempt { cause, retry: None })),
                }
            }
            Err(broken) => self.broken(broken, &way, client, exchange).await,
        }
    }

    /// How surely a connection must be quiet after a response with `status`. One without a body may be followed by a
    /// body all the same, which the next client would get for an answer.
    fn check_after(&self, status: u16) -> Check {
        let bodiless = self.request.method == Method::HEAD || status == 204 || status == 304;
        if bodiless { Check::Kernel } else { Check::Notes }
    }

    /// What to do about an exchange that went wrong: break the response off, or tell the client, or try again.
    async fn broken(
        &self,
        broken: Broken,
        way: &Way<'_>,
        client: Downstream,
        exchange: &mut Exchange,
    ) -> Result<Forwarded, (Downstream, Attempt)> {
        if let Some(error) = &broken.error {
            exchange.error = Some(error.to_string());
        }
        if exchange.sent_status.is_some() {
            exchange.aborted(broken.cause);
            client.abort().await;
            return Ok(Forwarded::Gone);
        }
        let retry = match broken.unanswered && way.upload.can_begin_again() {
            true => self.again(&broken, way, exchange).await,
            false => None,
        };
        Err((client, Attempt { cause: broken.cause, retry }))
    }

    /// Whether a request that nothing was answered to may be sent once more, and why.
    async fn again(&self, broken: &Broken, way: &Way<'_>, exchange: &Exchange) -> Option<Retry> {
        let worker = way.slot.worker();
        let was_kept = exchange.connection_reused == Some(true);
        if !self.request.method.is_idempotent() {
            // A connection that its worker never accepted says nothing to it, whatever was written.
            let unaccepted = !was_kept && broken.is_reset() && worker.has_lost_its_listener().await;
            return unaccepted.then_some(Retry::Connect);
        }
        // What ended two workers is what ends workers. A kept connection may just have been stale.
        if exchange.attempts > 1 && (!was_kept || worker.is_marked(Mark::Silent)) {
            return None;
        }
        Some(if was_kept { Retry::Stale } else { Retry::Closed })
    }

    async fn tunnel(
        &self,
        mut client: Downstream,
        connection: Connection,
        head: ResponseHeader,
        bounds: &Bounds<'_>,
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
        let (worker_stream, worker_read_ahead, _counted) = connection.into_parts();
        let traffic = tunnel::run(
            tunnel::Side { stream, read_ahead },
            tunnel::Side { stream: worker_stream, read_ahead: worker_read_ahead },
            bounds,
        )
        .await;
        exchange.request_body = traffic.from_client;
        exchange.response_body = traffic.to_client;
        exchange.tunnelled(traffic.cause);
        Forwarded::Gone
    }
}

/// Where one attempt goes.
struct Way<'a> {
    slot: Slot,
    path: &'a str,
    bounds: &'a Bounds<'a>,
    /// Why it is not the first.
    retry: Option<Retry>,
    upload: &'a mut Upload,
}

fn result_of(connected: &Result<Connection, ConnectError>) -> ConnectResult {
    match connected {
        Ok(_) => ConnectResult::Connected,
        Err(ConnectError::TimedOut) => ConnectResult::TimedOut,
        Err(ConnectError::Failed(error))
            if error.kind() == std::io::ErrorKind::ConnectionRefused =>
        {
            ConnectResult::Refused
        }
        Err(ConnectError::Failed(_)) => ConnectResult::Failed,
    }
}
