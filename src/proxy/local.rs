//! Requests that asgate answers itself on a listener of their own: the admin API.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method};
use pingora::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use uuid::Uuid;

use crate::listener::ClientStream;

use super::answer::Answer;
use super::downstream::Downstream;
use super::request::Request;
use super::{read_head, refusal_cause};

/// One request without its body.
#[derive(Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    /// Canonical and without query.
    pub path: &'a str,
    /// Lower case, without port; empty when an HTTP/1.0 client named none.
    pub host: &'a str,
    pub headers: &'a HeaderMap,
    pub transport: Transport,
    /// For the body of an error; the header is set for every answer.
    pub id: &'a HeaderValue,
}

/// What a request came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Unix,
}

/// Answers requests; their bodies are not read.
#[async_trait]
pub trait Respond: Send + Sync + 'static {
    /// May take its time: while it does, no deadline of the connection passes.
    async fn respond(&self, asked: &Asked<'_>) -> Answer;
}

/// Serves one connection with the answers of `respond`.
pub async fn serve_local<R: Respond>(
    respond: Arc<R>,
    stream: ClientStream,
    shutdown: ShutdownWatch,
) {
    let transport = match stream.connection().peer.ip() {
        Some(_) => Transport::Tcp,
        None => Transport::Unix,
    };
    Arc::new(Local { respond, transport }).process_new(Box::new(stream), &shutdown).await;
}

struct Local<R> {
    respond: Arc<R>,
    transport: Transport,
}

#[async_trait]
impl<R: Respond> HttpServerApp for Local<R> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let id = HeaderValue::try_from(Uuid::now_v7().to_string()).ok()?;
        let session = match read_head(session, shutdown).await? {
            Ok(session) => session,
            Err((mut stream, refusal, _)) => {
                let answer = Answer::error(refusal_cause(refusal), &id, None).into_bytes(&id);
                let _ = stream.answer(&answer).await;
                stream.close().await;
                return None;
            }
        };
        let mut client = Downstream::new(session, shutdown.clone());
        let answer = match Request::read(&mut client) {
            Ok(request) => self.respond(&request, client.headers(), &id).await,
            Err(cause) => Answer::error(cause, &id, None),
        };
        answer.send(&mut client, &id).await.ok()?;
        let stream = client.into_next().await?;
        Some(ReusedHttpStream::new(stream, None))
    }
}

impl<R: Respond> Local<R> {
    async fn respond(&self, request: &Request, headers: &HeaderMap, id: &HeaderValue) -> Answer {
        let asked = Asked {
            method: &request.method,
            path: &request.path,
            host: &request.host,
            headers,
            transport: self.transport,
            id,
        };
        self.respond.respond(&asked).await
    }
}
