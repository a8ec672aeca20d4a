//! Requests that asgate answers itself on a listener of their own: the admin API.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Method};
use pingora::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use uuid::Uuid;

use crate::listener::ClientStream;

use super::answer::Answer;
use super::downstream::Downstream;
use super::request::Request;
use super::{read_head, refusal_cause};

/// Answers requests without a body.
pub trait Respond: Send + Sync + 'static {
    /// `path` is canonical and without query.
    fn respond(&self, method: &Method, path: &str) -> Answer;
}

/// Serves one connection with the answers of `respond`.
pub async fn serve_local<R: Respond>(
    respond: Arc<R>,
    stream: ClientStream,
    shutdown: ShutdownWatch,
) {
    Arc::new(Local(respond)).process_new(Box::new(stream), &shutdown).await;
}

struct Local<R>(Arc<R>);

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
            Ok(request) => self.0.respond(&request.method, &request.path),
            Err(cause) => Answer::error(cause, &id, None),
        };
        answer.send(&mut client, &id).await.ok()?;
        let stream = client.into_next().await?;
        Some(ReusedHttpStream::new(stream, None))
    }
}
