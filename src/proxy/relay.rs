//! One exchange with one worker: the request goes up, the response comes down, both at once, each under its deadline.
//!
//! Everything happens in one task that waits for whichever comes next: the worker takes bytes, the worker sends bytes,
//! the client sends bytes or leaves, a deadline passes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};
use tokio::time::Instant;

use crate::config::Timeouts;
use crate::http1::response::{self, ResponseHead};
use crate::net::deadline::Deadline;
use crate::outcome::Cause;
use crate::upstream::Connection;

use super::download::{Download, Piece};
use super::downstream::Downstream;
use super::request::Request;
use super::response_head;
use super::upload::Upload;

/// How an exchange with a worker ended well.
pub enum End {
    /// The response is complete and sent; the worker's connection may be used again if there is one.
    Complete(Option<Connection>),
    /// The worker agreed to speak another protocol on this connection.
    Upgraded(Connection, Box<ResponseHead>),
}

/// How an exchange with a worker went wrong.
#[derive(Debug)]
pub struct Broken {
    pub cause: Cause,
    /// The worker ended the connection and no byte of a response had come.
    pub unanswered: bool,
    /// For the log.
    pub error: Option<std::io::Error>,
}

/// What was seen on the way, whatever the end.
#[derive(Debug, Default)]
pub struct Seen {
    /// The status sent to the client, once its head is.
    pub status: Option<StatusCode>,
    /// From the first byte sent to the worker to the head of its response.
    pub first_byte: Option<Duration>,
}

/// One exchange in progress.
pub struct Relay<'a> {
    pub client: &'a mut Downstream,
    pub request: &'a Request,
    pub timeouts: &'a Timeouts,
    /// When the whole exchange must be over.
    pub total: Option<Instant>,
    pub upload: &'a mut Upload,
    pub request_id: &'a http::HeaderValue,
    pub deadline: &'a mut Deadline,
    pub seen: &'a mut Seen,
    progress: Progress,
}

/// What the deadline is set by.
struct Progress {
    begun: Instant,
    /// The last time a byte moved to or from the worker, or came from the client.
    moved: Instant,
    /// The client may wait for `100 Continue` and send nothing before.
    awaiting_continue: bool,
    response: Response,
}

enum Response {
    Awaited,
    Body(Download),
}

/// What came next.
enum Event {
    Sent(std::io::Result<usize>),
    Received(std::io::Result<usize>),
    Body(Result<Option<Bytes>, Cause>),
    Late,
}

/// What a batch of received bytes led to.
enum Step {
    /// More is to come.
    Continue,
    Complete {
        reusable: bool,
    },
    Upgraded(Box<ResponseHead>),
}

impl<'a> Relay<'a> {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one exchange, named at its one call"
    )]
    pub fn new(
        client: &'a mut Downstream,
        request: &'a Request,
        timeouts: &'a Timeouts,
        total: Option<Instant>,
        upload: &'a mut Upload,
        request_id: &'a http::HeaderValue,
        deadline: &'a mut Deadline,
        seen: &'a mut Seen,
    ) -> Self {
        let now = Instant::now();
        let progress = Progress {
            begun: now,
            moved: now,
            awaiting_continue: request.expects_continue,
            response: Response::Awaited,
        };
        Self {
            client,
            request,
            timeouts,
            total,
            upload,
            request_id,
            deadline,
            seen,
            progress,
        }
    }

    /// Carries the exchange out on `connection`, which is closed unless it is given back.
    pub async fn run(mut self, mut connection: Connection) -> Result<End, Broken> {
        match self.exchange(&mut connection).await {
            Ok(Step::Upgraded(head)) => Ok(End::Upgraded(connection, head)),
            Ok(Step::Complete { reusable: true }) => Ok(End::Complete(Some(connection))),
            Ok(_) => {
                connection.close();
                Ok(End::Complete(None))
            }
            Err(broken) => {
                connection.close();
                Err(broken)
            }
        }
    }

    async fn exchange(&mut self, connection: &mut Connection) -> Result<Step, Broken> {
        loop {
            let step = match self.next(connection).await {
                Event::Sent(Ok(sent)) => {
                    self.upload.advance(sent);
                    self.progress.moved = Instant::now();
                    Step::Continue
                }
                Event::Sent(Err(_)) => {
                    // It may have answered before it closed: what it said is still to be read.
                    self.upload.give_up();
                    Step::Continue
                }
                Event::Received(Ok(1..)) => {
                    self.progress.moved = Instant::now();
                    self.received(connection).await.map_err(Broken::from)?
                }
                Event::Received(ended) => self.worker_ended(connection, ended.err()).await?,
                Event::Body(Ok(Some(piece))) => {
                    // It does not wait for leave, or no longer.
                    self.progress.awaiting_continue = false;
                    self.progress.moved = Instant::now();
                    self.upload.push(&piece)?;
                    Step::Continue
                }
                Event::Body(Ok(None)) => {
                    self.progress.moved = Instant::now();
                    self.upload.end();
                    Step::Continue
                }
                Event::Body(Err(cause)) => return Err(cause.into()),
                Event::Late => return Err(self.phase().1.into()),
            };
            if !matches!(step, Step::Continue) {
                return Ok(step);
            }
        }
    }

    /// Waits for whatever comes next.
    async fn next(&mut self, connection: &mut Connection) -> Event {
        self.deadline.arm_at(self.phase().0);
        let Self {
            client,
            upload,
            deadline,
            ..
        } = self;
        let (wants_body, is_over) = (upload.wants_body(), upload.is_over());
        let mut from_client = pin!(async move {
            match (wants_body, is_over) {
                (true, _) => client.body().await,
                (_, true) => Err(client.left().await),
                // The worker must take what is there first.
                (false, false) => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            if !upload.pending().is_empty()
                && let Poll::Ready(sent) = connection.poll_write(cx, upload.pending())
            {
                return Poll::Ready(Event::Sent(sent));
            }
            if let Poll::Ready(received) = connection.poll_fill(cx) {
                return Poll::Ready(Event::Received(received));
            }
            if let Poll::Ready(body) = from_client.as_mut().poll(cx) {
                return Poll::Ready(Event::Body(body));
            }
            deadline.poll(cx).map(|()| Event::Late)
        })
        .await
    }

    /// The deadline of the phase the exchange is in, and what it means when it passes.
    fn phase(&self) -> (Option<Instant>, Cause) {
        let Progress {
            moved,
            awaiting_continue,
            ref response,
            ..
        } = self.progress;
        let (after, cause) = match response {
            _ if self.upload.wants_body() && !awaiting_continue => {
                (self.timeouts.request_body, Cause::BodyTimeout)
            }
            Response::Awaited => (self.timeouts.first_byte, Cause::FirstByteTimeout),
            Response::Body(_) => (self.timeouts.idle, Cause::IdleTimeout),
        };
        let at = after.and_then(|after| moved.checked_add(after));
        match (at, self.total) {
            (Some(at), Some(total)) if total < at => (Some(total), Cause::TotalTimeout),
            (None, Some(total)) => (Some(total), Cause::TotalTimeout),
            (at, _) => (at, cause),
        }
    }

    /// Passes on what was received.
    async fn received(&mut self, connection: &mut Connection) -> Result<Step, Cause> {
        while matches!(self.progress.response, Response::Awaited) {
            let parsed = response::parse(connection.input()).map_err(|_| Cause::UpstreamInvalid)?;
            let Some((head, length)) = parsed else {
                return Ok(Step::Continue);
            };
            let _ = connection.input().split_to(length);
            match head.status {
                StatusCode::SWITCHING_PROTOCOLS if self.request.websocket => {
                    self.seen.first_byte = Some(self.progress.begun.elapsed());
                    return Ok(Step::Upgraded(Box::new(head)));
                }
                StatusCode::SWITCHING_PROTOCOLS => return Err(Cause::UpstreamInvalid),
                status if status.is_informational() => self.inform(head).await?,
                _ => self.begin_response(head).await?,
            }
        }
        self.pass_body_on(connection, false).await
    }

    /// Passes a 1xx response on (RFC 9110 §15.2). HTTP/1.0 has none, and Pingora's HTTP/2 sends none.
    async fn inform(&mut self, head: ResponseHead) -> Result<(), Cause> {
        if head.status == StatusCode::CONTINUE {
            self.progress.awaiting_continue = false;
        }
        if self.request.version != Version::HTTP_11 {
            return Ok(());
        }
        let head = response_head::informational(&head)?;
        self.write(async |client| {
            client.write_head(head).await?;
            client.flush().await
        })
        .await
    }

    async fn begin_response(&mut self, head: ResponseHead) -> Result<(), Cause> {
        let framing = head
            .framing(&self.request.method)
            .map_err(|_| Cause::UpstreamInvalid)?;
        let download = Download::new(framing, head.keep_alive);
        let status = head.status;
        let head = response_head::last(head, self.request, framing, self.request_id)?;
        self.seen.first_byte = Some(self.progress.begun.elapsed());
        self.seen.status = Some(status);
        self.progress.response = Response::Body(download);
        self.write(async |client| client.write_head(head).await)
            .await
    }

    /// Passes on the body as far as it was received; `closed`: the worker will send no more.
    async fn pass_body_on(
        &mut self,
        connection: &mut Connection,
        closed: bool,
    ) -> Result<Step, Cause> {
        let Response::Body(download) = &mut self.progress.response else {
            return Ok(Step::Continue);
        };
        let Ok(Piece { data, complete }) = download.take(connection.input(), closed) else {
            // The head may wait for its body: it goes before the connection breaks off.
            self.write(async |client| client.flush().await).await?;
            return Err(Cause::UpstreamInvalid);
        };
        let reusable = download.leaves_reusable() && !closed && connection.input().is_empty();
        self.write(async |client| {
            if !data.is_empty() {
                client.write_body(data).await?;
            }
            if complete {
                client.finish().await
            } else {
                client.flush().await
            }
        })
        .await?;
        if !complete {
            return Ok(Step::Continue);
        }
        Ok(Step::Complete {
            reusable: reusable && self.upload.is_sent(),
        })
    }

    /// The worker closed its side, or reset the connection.
    async fn worker_ended(
        &mut self,
        connection: &mut Connection,
        error: Option<std::io::Error>,
    ) -> Result<Step, Broken> {
        let clean = error.is_none();
        match &self.progress.response {
            Response::Awaited => Err(Broken {
                cause: Cause::UpstreamClosed,
                unanswered: connection.input().is_empty(),
                error,
            }),
            Response::Body(download) if clean && download.ends_with_connection() => self
                .pass_body_on(connection, true)
                .await
                .map_err(Broken::from),
            Response::Body(_) => Err(Broken {
                cause: Cause::UpstreamClosed,
                unanswered: false,
                error,
            }),
        }
    }

    /// Writes to the client within its deadline.
    async fn write<F>(&mut self, write: F) -> Result<(), Cause>
    where
        F: AsyncFnOnce(&mut Downstream) -> Result<(), Cause>,
    {
        let limit = self.timeouts.client_write;
        let at = limit.and_then(|limit| Instant::now().checked_add(limit));
        let (at, cause) = match (at, self.total) {
            (Some(at), Some(total)) if total < at => (Some(total), Cause::TotalTimeout),
            (None, Some(total)) => (Some(total), Cause::TotalTimeout),
            (at, _) => (at, Cause::ClientWriteTimeout),
        };
        self.deadline.arm_at(at);
        tokio::select! {
            biased;
            written = write(self.client) => written,
            () = self.deadline.passed() => Err(cause),
        }
    }
}

impl From<Cause> for Broken {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            unanswered: false,
            error: None,
        }
    }
}
