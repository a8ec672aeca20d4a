//! Requests that asgate answers itself on a listener of their own: the admin API.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method};
use pingora::server::ShutdownWatch;

use crate::listener::ClientStream;

use super::answer::Answer;
use super::connection::{self, Serve};
use super::downstream::Downstream;
use super::exchange::new_id;
use super::refusal;
use super::request::Request;

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
    stream: Box<ClientStream>,
    shutdown: ShutdownWatch,
) {
    let transport = match stream.connection().peer.ip() {
        Some(_) => Transport::Tcp,
        None => Transport::Unix,
    };
    connection::run(Local { respond, transport }, stream, shutdown).await;
}

struct Local<R> {
    respond: Arc<R>,
    transport: Transport,
}

#[async_trait]
impl<R: Respond> Serve for Local<R> {
    async fn serve(&self, mut client: Box<Downstream>) -> Option<Box<ClientStream>> {
        let id = new_id();
        let answer = match Request::read(&mut client) {
            Ok(request) => self.respond(&request, client.headers(), &id).await,
            Err(cause) => Answer::error(cause, &id, None),
        };
        answer.send(&mut client, &id).await.ok()?;
        client.into_next().await
    }

    async fn refuse(&self, mut stream: Box<ClientStream>) {
        let id = new_id();
        let (refusal, _) = stream.refusal();
        let answer = Answer::error(refusal::cause_of(refusal), &id, None);
        if let Ok(answer) = answer.into_bytes(&id, |_| ()) {
            // The client may be gone already.
            let _ = stream.answer(&answer).await;
        }
        stream.close().await;
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
