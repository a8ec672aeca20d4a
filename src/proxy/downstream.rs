//! The client's side of one request: Pingora's HTTP/1.1 and HTTP/2 sessions behind what the proxy needs of them.

mod incoming;
mod writing;

use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::server::HttpSession;
use pingora::server::ShutdownWatch;
use tokio::time::Instant;

use crate::http1::chunked::Decoded;
use crate::listener::{ClientStream, Head};
use crate::outcome::{BadRequest, Cause};
use incoming::Incoming;
pub use writing::Patience;
use writing::{Taken, Writing};

/// The parts of a request head that a header map does not hold.
#[derive(Debug)]
pub enum Line {
    Http1(Head),
    Http2 { target: Vec<u8>, authority: Option<String>, bodiless: bool },
}

/// Bytes of a later request that are kept while one is served; more stay with the client until it is their turn.
const MAX_AHEAD: usize = 64 * 1024;

/// Bytes that an HTTP/2 client has to take for it to count as news of it: those of a frame.
const HTTP2_PIECE: usize = 16 * 1024;

/// Before a route is known, which has timeouts of its own.
const DEFAULT_PATIENCE: Patience =
    Patience { each: Some(super::PATIENCE), total: None, rate: None };

/// One request's client. Goes from phase to phase in a [`Box`], for it is large.
pub struct Downstream {
    session: ServerSession,
    /// Of HTTP/1.1; the engine knows of an HTTP/2 body.
    incoming: Incoming,
    /// Body bytes of the response written so far, `tail` included.
    sent: u64,
    /// Of HTTP/2: the last of them, kept until it is known whether they are the end, which then goes with them. A client
    /// that knows the length may leave once it has it.
    tail: Bytes,
    writing: Writing,
    shutdown: ShutdownWatch,
}

impl Downstream {
    /// The client that sent the head which `stream` holds. A response that begins after `shutdown` ends its connection.
    ///
    /// # Errors
    /// The stream, when the engine does not take the head.
    pub async fn http1(
        stream: Box<ClientStream>,
        shutdown: ShutdownWatch,
    ) -> Result<Box<Self>, Option<Box<ClientStream>>> {
        let framing = stream.head().map(|head| head.parts.framing);
        let incoming = framing.map_or(Incoming::Over, Incoming::of);
        let writing = Writing::new(DEFAULT_PATIENCE, Taken::ByClient(stream.taken()));
        let session = ServerSession::new_http1(stream);
        let tail = Bytes::new();
        let mut client = Box::new(Self { session, incoming, sent: 0, tail, writing, shutdown });
        if client.read_head().await { Ok(client) } else { Err(client.into_stream()) }
    }

    /// The same with HTTP/2; `delivered` counts what the client takes of all its streams.
    pub fn http2(
        session: ServerSession,
        delivered: Arc<AtomicU64>,
        shutdown: ShutdownWatch,
    ) -> Box<Self> {
        let writing = Writing::new(DEFAULT_PATIENCE, Taken::OnAllStreams(delivered));
        let (incoming, tail) = (Incoming::Over, Bytes::new());
        Box::new(Self { session, incoming, sent: 0, tail, writing, shutdown })
    }

    /// Whether the engine takes the head, too.
    async fn read_head(&mut self) -> bool {
        let ServerSession::H1(session) = &mut self.session else {
            return false;
        };
        // The stream keeps the deadlines of a head; the engine's are per read and would not.
        session.set_read_timeout(None);
        // Whether the body was read is known here and not to the engine.
        session.set_close_on_response_before_downstream_finish(false);
        match session.read_request().await {
            Ok(read) => read.is_some(),
            Err(error) => {
                log::debug!("The engine refused a request that the gate let pass: {error}");
                false
            }
        }
    }

    /// The request line and what else of the head is not in its headers.
    pub fn line(&self) -> Line {
        if let Some(head) = self.stream().and_then(ClientStream::head) {
            return Line::Http1(head);
        }
        let request = self.session.req_header();
        Line::Http2 {
            target: request.raw_path().to_vec(),
            authority: request.uri.authority().map(|authority| authority.as_str().to_owned()),
            bodiless: self.session.as_http2().is_none_or(|session| session.is_body_empty()),
        }
    }

    /// When the first byte of the request came; HTTP/2 does not tell.
    pub fn began(&self) -> Option<Instant> {
        self.stream().and_then(ClientStream::began)
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.session.req_header().headers
    }

    pub fn method(&self) -> &Method {
        &self.session.req_header().method
    }

    pub fn version(&self) -> Version {
        self.session.req_header().version
    }

    /// Sets the one `Host`.
    ///
    /// # Errors
    /// [`BadRequest::Host`] when it is no header value.
    pub fn set_host(&mut self, host: &str) -> Result<(), Cause> {
        let host = HeaderValue::from_str(host).map_err(|_| Cause::BadRequest(BadRequest::Host))?;
        let request = self.session.req_header_mut();
        request.insert_header(HOST, host).map_err(|_| Cause::BadRequest(BadRequest::Host))
    }

    /// Takes the headers away that `goes` says so of.
    pub fn remove_headers(&mut self, goes: impl Fn(&HeaderName) -> bool) {
        let names: Vec<_> = self.headers().keys().filter(|name| goes(name)).cloned().collect();
        for name in &names {
            self.session.req_header_mut().remove_header(name);
        }
    }

    /// Takes no other request on this connection.
    pub fn close_after(&mut self) {
        self.session.set_keepalive(None);
    }

    /// Body bytes of the response that were written.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The next piece of the request body; `None` at its end.
    ///
    /// # Errors
    /// The client left, or broke the framing of its body.
    pub async fn body(&mut self) -> Result<Option<Bytes>, Cause> {
        if self.session.as_http1().is_none() {
            return self.session.read_request_body().await.map_err(|_| Cause::ClientClosed);
        }
        loop {
            match self.body_at_hand() {
                Some(body) => return body,
                None => self.fill().await?,
            }
        }
    }

    /// The same without waiting: `None` when the client has to send more first. HTTP/2 does not tell.
    pub fn body_at_hand(&mut self) -> Option<Result<Option<Bytes>, Cause>> {
        let stream = self.session.as_http1().and_then(client_stream_of)?;
        match stream.with_input(|input| self.incoming.take(input)) {
            Ok(Decoded::Data(piece)) => Some(Ok(Some(piece))),
            Ok(Decoded::End) => Some(Ok(None)),
            Ok(Decoded::More) => None,
            Err(cause) => Some(Err(cause)),
        }
    }

    async fn fill(&self) -> Result<(), Cause> {
        match self.stream() {
            Some(stream) if stream.fill().await.is_ok_and(|read| read > 0) => Ok(()),
            _ => Err(Cause::ClientClosed),
        }
    }

    /// Waits until the client leaves. What it sends meanwhile is kept for later.
    pub async fn left(&mut self) -> Cause {
        let Some(stream) = self.stream() else {
            // HTTP/2: ends only when the client resets the stream or the connection.
            let _ = self.session.read_body_or_idle(true).await;
            return Cause::ClientClosed;
        };
        while stream.with_input(|input| input.len() < MAX_AHEAD) {
            if !stream.overhear().await.is_ok_and(|read| read > 0) {
                return Cause::ClientClosed;
            }
        }
        stream.closed().await;
        Cause::ClientClosed
    }

    /// Whether the client has reset its HTTP/2 stream. Of HTTP/1.1 it would take a system call to know.
    pub async fn is_reset(&mut self) -> bool {
        if self.stream().is_some() {
            return false;
        }
        let mut left = pin!(self.left());
        poll_fn(|cx| Poll::Ready(left.as_mut().poll(cx).is_ready())).await
    }

    /// Sets how long the client may take for what is written from now on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.writing.set_patience(patience);
    }

    /// Writes a response head; it is sent with the next [`Self::flush`] at the latest.
    ///
    /// # Errors
    /// The client left, or takes nothing.
    pub async fn write_head(&mut self, head: ResponseHeader) -> Result<(), Cause> {
        self.hold();
        // What is left of the body would stand before the next request.
        let unread = !matches!(self.incoming, Incoming::Over);
        if !head.status.is_informational() && (unread || *self.shutdown.borrow()) {
            self.close_after();
        }
        let Self { session, writing, .. } = self;
        let write = session.write_response_header(Box::new(head));
        writing.within(write).await
    }

    /// Writes a piece of the response body; it is sent with the next [`Self::flush`] at the latest.
    ///
    /// # Errors
    /// The client left, or takes nothing.
    pub async fn write_body(&mut self, mut piece: Bytes) -> Result<(), Cause> {
        self.hold();
        self.sent += piece.len() as u64;
        let Self { session, tail, writing, .. } = self;
        if !session.is_http2() {
            return writing.within(session.write_response_body(piece, false)).await;
        }
        while !piece.is_empty() {
            let part = piece.split_to(piece.len().min(HTTP2_PIECE));
            let before = mem::replace(tail, part);
            writing.within(session.write_response_body(before, false)).await?;
        }
        Ok(())
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// The client left, or takes nothing.
    pub async fn flush(&mut self) -> Result<(), Cause> {
        let Self { session, tail, writing, .. } = self;
        let Some(stream) = session.as_http1().and_then(client_stream_of) else {
            // HTTP/2 sends what it has by itself.
            return writing.within(session.write_response_body(mem::take(tail), false)).await;
        };
        stream.release();
        writing.within(stream.flush()).await
    }

    /// Ends the response and sends what is left of it.
    ///
    /// # Errors
    /// The client left, or takes nothing.
    pub async fn finish(&mut self) -> Result<(), Cause> {
        let Self { session, tail, writing, .. } = self;
        if let Some(stream) = session.as_http1().and_then(client_stream_of) {
            stream.release();
        }
        let write = session.write_response_body(mem::take(tail), true);
        writing.within(write).await
    }

    /// Breaks the response off, so that the client cannot take it for complete.
    pub async fn abort(mut self: Box<Self>) {
        match self.session.as_http1() {
            Some(session) => {
                let framed = session.response_written().is_some_and(|head| {
                    head.headers.contains_key(http::header::CONTENT_LENGTH)
                        || head.headers.contains_key(http::header::TRANSFER_ENCODING)
                });
                // The end of the connection is the end of a body without framing: only a reset says otherwise.
                if let (false, Some(stream)) = (framed, self.stream()) {
                    stream.reset_on_close();
                }
            }
            None => self.session.shutdown().await,
        }
    }

    /// The connection, ready for its next request; `None` when it is closed or was HTTP/2.
    pub async fn into_next(self: Box<Self>) -> Option<Box<ClientStream>> {
        let keep = self.session.as_http1()?.will_keepalive();
        let mut stream = self.into_stream()?;
        if keep {
            stream.expect_head();
            return Some(stream);
        }
        stream.close().await;
        None
    }

    /// The bare connection; `None` for HTTP/2.
    pub fn into_stream(self: Box<Self>) -> Option<Box<ClientStream>> {
        match self.session {
            // It is ours: the listener made it.
            ServerSession::H1(session) => session.into_inner().into_any().downcast().ok(),
            _ => None,
        }
    }

    fn hold(&self) {
        if let Some(stream) = self.stream() {
            stream.hold();
        }
    }

    fn stream(&self) -> Option<&ClientStream> {
        self.session.as_http1().and_then(client_stream_of)
    }
}

fn client_stream_of(session: &HttpSession) -> Option<&ClientStream> {
    session.stream().as_any().downcast_ref()
}
