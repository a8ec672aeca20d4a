//! One client connection: its HTTP/1.1 requests one after the other, or its HTTP/2 streams side by side.
//!
//! Owns the life of the connection between requests. While it waits for a request it holds the stream and nothing
//! else: the engine's session and all that serving takes are made when a head is there, and gone before the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::server::ShutdownWatch;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::listener::{Arrival, ClientStream};

use super::downstream::Downstream;

/// Bytes of an HTTP/2 response that wait in memory for a client that does not take them, of up to 100 streams each. The
/// engine's default is 400 KiB, and a response that fits in there counts as sent.
const SEND_BUFFER: usize = 32 * 1024;
/// Bytes of request bodies that an HTTP/2 connection may have sent and no worker taken; a stream's are 64 KiB. With the
/// engine's default, which is that too, one request whose worker does not read would hold up all others.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of answers that an HTTP/2 client takes each second, at least, while one is on its way to it.
const PROGRESS: u64 = 240;
/// How long an HTTP/2 client without requests may take to end its connection once it is told to.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the requests of a connection are served by.
#[async_trait]
pub trait Serve: Send + Sync + 'static {
    /// Serves one request. The stream comes back when another one may follow on it.
    async fn serve(&self, client: Box<Downstream>) -> Option<Box<ClientStream>>;

    /// Answers what came in the place of a request; the connection ends with it.
    async fn refuse(&self, stream: Box<ClientStream>);
}

/// Serves a connection until it ends.
pub async fn run<S: Serve>(service: S, mut stream: Box<ClientStream>, mut shutdown: ShutdownWatch) {
    let speaks_http2 = tokio::select! {
        biased;
        // It may be silent, and must not hold up a stop.
        speaks = stream.speaks_http2() => speaks,
        _ = shutdown.wait_for(|stop| *stop) => (!stream.is_idle()).then_some(false),
    };
    match speaks_http2 {
        None => stream.close().await,
        Some(false) => http1(&service, stream, shutdown).await,
        Some(true) => Http2::new(service, &mut stream).run(stream, shutdown).await,
    }
}

async fn http1<S: Serve>(service: &S, stream: Box<ClientStream>, mut shutdown: ShutdownWatch) {
    let mut next = Some(stream);
    while let Some(mut stream) = next.take() {
        let arrival = tokio::select! {
            biased;
            arrival = stream.arrival() => arrival,
            _ = shutdown.wait_for(|stop| *stop) => Arrival::Nothing,
        };
        // A request that has begun is still served, whatever the hour.
        let arrival = match arrival {
            Arrival::Nothing if !stream.is_idle() => stream.arrival().await,
            arrival => arrival,
        };
        next = match arrival {
            Arrival::Request => service_of(service, stream, &shutdown).await,
            Arrival::Refused => {
                service.refuse(stream).await;
                None
            }
            Arrival::Nothing => {
                stream.close().await;
                None
            }
        };
    }
}

/// Has the engine read the head that `stream` holds, and the request served.
async fn service_of<S: Serve>(
    service: &S,
    stream: Box<ClientStream>,
    shutdown: &ShutdownWatch,
) -> Option<Box<ClientStream>> {
    match Downstream::http1(stream, shutdown.clone()).await {
        Ok(client) => service.serve(client).await,
        Err(stream) => {
            service.refuse(stream?).await;
            None
        }
    }
}

/// A connection on which HTTP/2 is spoken, as the engine's application.
struct Http2<S> {
    service: S,
    idle_timeout: Duration,
    /// Bytes of a request's headers.
    max_header_list: u32,
    /// Requests in flight.
    active: watch::Sender<usize>,
    /// Bytes of responses that were written.
    delivered: Arc<AtomicU64>,
}

impl<S: Serve> Http2<S> {
    fn new(service: S, stream: &mut ClientStream) -> Arc<Self> {
        let facts = &stream.connection().listener;
        let (idle_timeout, max_header_list) = (facts.idle_timeout, facts.max_header_list());
        let delivered = stream.expect_frames();
        let active = watch::Sender::new(0);
        Arc::new(Self { service, idle_timeout, max_header_list, active, delivered })
    }

    async fn run(self: Arc<Self>, stream: Box<ClientStream>, shutdown: ShutdownWatch) {
        // What the engine takes for a stop: it says GOAWAY, and waits for what it was asked before.
        let (end, ending) = watch::channel(false);
        tokio::select! {
            _ = self.process_new(stream, &ending) => {}
            () = self.end(shutdown, end) => {}
        }
    }

    /// Has the connection ended in order when asgate stops, or when it was idle for long enough. Returns when the client
    /// has had its time to end it: the engine would wait for ever for one that does not answer its GOAWAY.
    async fn end(&self, mut shutdown: ShutdownWatch, end: watch::Sender<bool>) {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = self.idle_for(self.idle_timeout) => {}
        }
        end.send_replace(true);
        self.idle_for(FAREWELL).await;
    }

    /// Waits until no request was in flight for `time`, in which the client took next to nothing, of an answer that is
    /// on its way perhaps: the engine's own timer does not see the latter.
    async fn idle_for(&self, time: Duration) {
        let mut active = self.active.subscribe();
        loop {
            // The sender is ours.
            let _ = active.wait_for(|active| *active == 0).await;
            let before = self.delivered.load(Ordering::Relaxed);
            tokio::select! {
                _ = active.changed() => continue,
                () = sleep(time) => {}
            }
            let since = self.delivered.load(Ordering::Relaxed).saturating_sub(before);
            if since <= time.as_secs().saturating_mul(PROGRESS) {
                return;
            }
        }
    }
}

/// Counts one request until it is dropped.
struct InFlight<'a>(&'a watch::Sender<usize>);

impl<'a> InFlight<'a> {
    fn enter(active: &'a watch::Sender<usize>) -> Self {
        active.send_modify(|active| *active += 1);
        Self(active)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|active| *active -= 1);
    }
}

#[async_trait]
impl<S: Serve> HttpServerApp for Http2<S> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _in_flight = InFlight::enter(&self.active);
        // The engine goes on with the connection by itself.
        let delivered = Arc::clone(&self.delivered);
        let client = Downstream::http2(session, delivered, shutdown.clone());
        let _ = self.service.serve(client).await;
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_send_buffer_size(SEND_BUFFER);
        options.max_header_list_size(self.max_header_list);
        options.initial_connection_window_size(CONNECTION_WINDOW);
        Some(options)
    }
}
