//! From a route to a worker: get a slot, try, and try again where that is safe.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::HeaderMap;
use tokio::time::Instant;

use crate::client::Identity;
use crate::config::{Balance, HeaderChanges, Limits, Proxy, Reuse, Timeouts};
use crate::outcome::{BadRequest, Cause};
use crate::routing;
use crate::telemetry::GaugeGuard;
use crate::upstream::{Client, End, Upstream, Wish};

use super::attempt::Failure;
use super::cookies;
use super::downstream::{Downstream, Patience};
use super::exchange::Exchange;
use super::hash_key;
use super::place::Wanted;
use super::private::{self, PrivateConnections};
use super::relay::Bounds;
use super::request::Request;
use super::retry::{Retries, Retry};
use super::snapshot::ServedUpstream;
use super::upload::Upload;

/// What is to be forwarded, and by which rules.
#[derive(Clone, Copy)]
pub struct Forward<'a> {
    pub request: &'a Request,
    pub identity: &'a Identity,
    pub action: &'a Proxy,
    pub timeouts: &'a Timeouts,
    pub limits: &'a Limits,
    pub headers: &'a HeaderChanges,
    /// Connections that serve this client only.
    pub private: &'a PrivateConnections,
}

/// How forwarding ended.
pub enum Forwarded {
    /// The client has its response, or as much of it as there will be.
    Done(Box<Downstream>),
    /// The client has nothing yet, and must be told why.
    Failed(Box<Downstream>, Cause),
    /// The connection is gone: broken off, or used up by a tunnel.
    Gone,
}

/// One request on its way.
pub(super) struct Errand<'a> {
    pub(super) forward: Forward<'a>,
    pub(super) upstream: &'a ServedUpstream,
    pub(super) retries: Retries<'a>,
    pub(super) bounds: Bounds<'a>,
    /// After rewriting.
    pub(super) path: Cow<'a, str>,
    pub(super) upload: Upload,
    pub(super) wish: Wish,
    /// Whether there may be connections that serve this client only.
    pub(super) has_own: bool,
    /// Who those would be kept for.
    pub(super) client: Client,
    /// Whether its connection is to serve nobody else from now on.
    pub(super) is_private: bool,
    /// Workers on which a new connection ended without an answer.
    pub(super) deaths: u32,
}

impl<'a> Forward<'a> {
    /// Serves the request from the route's upstream and writes into `exchange` what happened.
    pub async fn run(self, mut client: Box<Downstream>, exchange: &mut Exchange) -> Forwarded {
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
        client.set_patience(Patience {
            each: self.timeouts.client_write,
            total,
            rate: self.limits.min_response_rate,
        });
        let headers = client.headers();
        let authenticates = private::authenticates_connection(headers);
        let is_private = authenticates || upstream.pool.policy().reuse == Reuse::PerClient;
        let of = self.private.client(self.identity.ip);
        let own = self.private.worker_of(&upstream.pool, of);
        let mut errand = Errand {
            upstream,
            retries: Retries {
                policy: &upstream.retry,
                pool: &upstream.pool,
                metrics: &upstream.metrics,
            },
            bounds: Bounds {
                phases: self.timeouts,
                total,
                min_request_rate: self.limits.min_request_rate,
                cut: exchange.cut(),
            },
            path,
            upload: Upload::new(self.request.body, self.limits.body, upstream.retry.body_buffer),
            wish: self.wish(&upstream.pool, headers, own.clone()),
            has_own: own.is_some(),
            client: of,
            is_private,
            deaths: 0,
            forward: self,
        };
        errand.run(client, exchange).await
    }

    /// Which worker the request wants before any was tried. `own`: the one that the client has connections of its own to.
    fn wish(&self, pool: &Upstream, headers: &HeaderMap, own: Option<Arc<str>>) -> Wish {
        let key = match pool.balance() {
            Balance::Hash(kind) => hash_key::of(kind, self.request, headers, self.identity),
            Balance::LeastRequests | Balance::RoundRobin | Balance::Random | Balance::Latency => {
                None
            }
        };
        let belongs_to = own.or_else(|| cookies::worker(headers, pool));
        Wish { key, belongs_to, ..Wish::default() }
    }
}

impl Errand<'_> {
    async fn run(&mut self, mut client: Box<Downstream>, exchange: &mut Exchange) -> Forwarded {
        let mut last: Option<Failure> = None;
        loop {
            let wanted = Wanted {
                pool: &self.upstream.pool,
                metrics: &self.upstream.metrics,
                wish: &self.wish,
                bounds: &self.bounds,
                end: if last.is_none() { End::Back } else { End::Front },
                may_hope: last.as_ref().is_none_or(Failure::found_nobody),
            };
            let slot = match wanted.place(&mut client, &mut exchange.queue).await {
                Ok(slot) => slot,
                Err(Cause::NoWorker) => {
                    let cause = last.map_or(Cause::NoWorker, |failure| failure.cause);
                    return Forwarded::Failed(client, cause);
                }
                Err(cause) => return Forwarded::Failed(client, cause),
            };
            let retry = last.and_then(|failure| failure.retry);
            if let Some(retry) = retry {
                exchange.retry_reason = Some(retry.as_str());
                self.upstream.metrics.retried(retry.as_str());
            }
            exchange.attempts += 1;
            // Of the attempt before.
            (exchange.error, exchange.connect, exchange.first_byte) = (None, None, None);
            let worker = Arc::clone(slot.worker());
            exchange.worker = Some(worker.identity().clone());
            let failure = match self.attempt(slot, retry, client, exchange).await {
                Ok(forwarded) => return forwarded,
                Err((back, failure)) => {
                    client = back;
                    failure
                }
            };
            match failure.retry {
                None => return Forwarded::Failed(client, failure.cause),
                // The worker closed an unused connection, or has just ended. Who is attached to it finds out which.
                Some(Retry::Stale) if self.wish.is_attached() => {}
                Some(Retry::Stale) => self.wish.avoided = Some(worker),
                Some(_) => self.wish.tried.push(worker),
            }
            last = Some(failure);
        }
    }
}
