//! The phases of one request, from the engine's parsed head to the answer and the log line.
//!
//! ```text
//! read ─▶ normalise ─▶ identify ─▶ admit ─▶ respond | redirect | forward ─▶ next request or close
//!  head     request      client   admission          answer              forward
//! ```
//!
//! Built on Pingora's sessions, not on its `ProxyHttp`: that keeps the parser's refusals, the timers of each phase and
//! the reuse of worker connections out of our reach (`docs/architecture.md` says which and why). Decides no policy of
//! its own: who the client is, where a request goes and what a failure means are the pure modules' to say.

mod admission;
mod answer;
mod attempt;
mod configured;
mod connection;
mod cookies;
mod downstream;
mod encode;
mod exchange;
mod forward;
mod hash_key;
mod judge;
mod local;
mod pace;
mod place;
mod private;
mod refusal;
mod relay;
mod request;
mod response_head;
mod retry;
mod snapshot;
mod tunnel;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::client::{self, Identity, strip};
use crate::config::Action;
use crate::listener::{ClientStream, Connection};
use crate::outcome::Cause;
use crate::telemetry::Telemetry;

use admission::Admission;
pub use answer::Answer;
use connection::Serve;
use downstream::Downstream;
use exchange::Exchange;
use forward::{Forward, Forwarded};
pub use local::{Asked, Respond, Transport, serve_local};
use private::PrivateConnections;
use request::Request;
pub use snapshot::Snapshot;

/// Readers of foreign bytes that only this module uses: public for the fuzz targets, and for nothing else.
#[doc(hidden)]
pub mod parsers {
    pub use super::cookies::value as cookie;
    pub use super::request::origin_form;
}

/// How long a client may take no byte of an answer to a request that has no route, and so no timeouts of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all requests share.
pub struct Shared {
    pub snapshot: ArcSwap<Snapshot>,
    pub telemetry: Arc<Telemetry>,
    /// Cancelled when requests in flight have no more time: they end as best they can.
    pub cut: CancellationToken,
    /// Client connections so far; each has its number.
    pub clients: AtomicU64,
}

/// Serves the requests of one client connection, HTTP/1.1 or HTTP/2, until it ends.
pub async fn serve(shared: Arc<Shared>, stream: Box<ClientStream>, shutdown: ShutdownWatch) {
    let private = PrivateConnections::new(shared.clients.fetch_add(1, Ordering::Relaxed));
    let app = App { shared, connection: Arc::clone(stream.connection()), private };
    connection::run(app, stream, shutdown).await;
}

/// What serves the requests of one connection.
struct App {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    /// Connections to workers that serve this client connection only.
    private: PrivateConnections,
}

#[async_trait]
impl Serve for App {
    async fn serve(&self, client: Box<Downstream>) -> Option<Box<ClientStream>> {
        let mut exchange =
            Exchange::begin(Arc::clone(&self.shared), &self.connection, client.began());
        let client = self.handle(client, &mut exchange).await?;
        drop(exchange);
        client.into_next().await
    }

    async fn refuse(&self, mut stream: Box<ClientStream>) {
        let (refusal, input) = stream.refusal();
        let mut exchange =
            Exchange::begin(Arc::clone(&self.shared), &self.connection, stream.began());
        exchange.note_unread(&input);
        let cause = refusal::cause_of(refusal);
        exchange.answered(cause);
        if cause == Cause::ClientClosed {
            return;
        }
        let id = exchange.request_id.clone();
        let answer = Answer::error(cause, &id, None);
        let body = answer.body.len() as u64;
        if let Ok(answer) = answer.into_bytes(&id, |head| exchange.dress(head)) {
            let sent = timeout(PATIENCE, stream.answer(&answer)).await;
            if sent.is_ok_and(|sent| sent.is_ok()) {
                exchange.response_body = body;
            }
        }
        drop(exchange);
        stream.close().await;
    }
}

impl App {
    /// Serves one request. The client comes back when its connection may be used or closed in order.
    async fn handle(
        &self,
        mut client: Box<Downstream>,
        exchange: &mut Exchange,
    ) -> Option<Box<Downstream>> {
        let request = Request::read(&mut client);
        let identity = self.identify(&mut client, exchange);
        let admitted = match &request {
            Ok(request) => {
                exchange.note_request(request);
                if request.closes {
                    client.close_after();
                }
                admission::admit(request, client.headers(), &identity, exchange)
            }
            Err(cause) => {
                exchange.note_refused(&client.line(), client.method(), client.version());
                Err(*cause)
            }
        };
        match (request, admitted) {
            (Ok(request), Ok(Admission::Route(route))) => {
                self.act(&request, &identity, route, client, exchange).await
            }
            (Ok(request), Ok(Admission::Https(port))) => {
                match configured::secured(&request, port) {
                    Ok(answer) => reply(answer, client, exchange).await,
                    Err(cause) => fail(client, cause, exchange).await,
                }
            }
            (_, Err(cause)) | (Err(cause), _) => fail(client, cause, exchange).await,
        }
    }

    /// Finds out who the client is; what it said of that and may not is gone then.
    fn identify(&self, client: &mut Downstream, exchange: &mut Exchange) -> Identity {
        let identity = client::identify(
            &self.connection.peer,
            client.headers(),
            &exchange.snapshot.trusted,
            &self.connection.identity,
            Uuid::now_v7,
        );
        exchange.note_client(&identity, client.headers());
        client.remove_headers(|name| strip::is_presumed(name, identity.sender()));
        identity
    }

    /// Does what the route says.
    async fn act(
        &self,
        request: &Request,
        identity: &Identity,
        route: usize,
        client: Box<Downstream>,
        exchange: &mut Exchange,
    ) -> Option<Box<Downstream>> {
        let snapshot = Arc::clone(&exchange.snapshot);
        let route = &snapshot.routes.get(route)?.config;
        match &route.action {
            Action::Respond(respond) => reply(configured::fixed(respond), client, exchange).await,
            Action::Redirect(to) => {
                reply(configured::redirected(to, request, identity), client, exchange).await
            }
            Action::Proxy(action) => {
                let forward = Forward {
                    request,
                    identity,
                    action,
                    timeouts: &route.timeouts,
                    limits: &route.limits,
                    headers: &route.headers.request,
                    private: &self.private,
                };
                match forward.run(client, exchange).await {
                    Forwarded::Done(client) => Some(client),
                    Forwarded::Failed(client, cause) => fail(client, cause, exchange).await,
                    Forwarded::Gone => None,
                }
            }
        }
    }
}

/// Sends an answer that the configuration asks for.
async fn reply(
    answer: Answer,
    mut client: Box<Downstream>,
    exchange: &mut Exchange,
) -> Option<Box<Downstream>> {
    let status = answer.status.as_u16();
    let id = exchange.request_id.clone();
    match answer.send_dressed(&mut client, &id, |head| exchange.dress(head)).await {
        Ok(()) => {
            exchange.completed(status);
            exchange.response_body = client.sent();
            Some(client)
        }
        // It has begun: the head goes first.
        Err(cause) => {
            exchange.sent_status = Some(status);
            exchange.aborted(cause);
            exchange.response_body = client.sent();
            client.abort().await;
            None
        }
    }
}

/// Tells the client what went wrong.
async fn fail(
    mut client: Box<Downstream>,
    cause: Cause,
    exchange: &mut Exchange,
) -> Option<Box<Downstream>> {
    exchange.answered(cause);
    if cause == Cause::ClientClosed {
        client.abort().await;
        return None;
    }
    if !cause.outcome().keep_client {
        client.close_after();
    }
    let id = exchange.request_id.clone();
    let answer = Answer::error(cause, &id, answer::accept(&client).as_ref());
    let sent = answer.send_dressed(&mut client, &id, |head| exchange.dress(head)).await;
    exchange.response_body = client.sent();
    sent.ok().map(|()| client)
}
