//! One exchange with one worker: the request goes up, the response comes down, both at once, each under its deadline.
//!
//! Everything happens in one task that waits for whichever comes next: the worker takes bytes, the worker sends bytes,
//! the client sends bytes or leaves, a deadline passes.

mod response;
mod waiting;

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Timeouts;
use crate::http1::download::Download;
use crate::http1::response::ResponseHead;
use crate::net::deadline::Deadline;
use crate::outcome::Cause;
use crate::upstream::Connection;

use super::downstream::Downstream;
use super::exchange::Exchange;
use super::pace::Pace;
use super::request::Request;
use super::retry::Retry;
use super::upload::Upload;

/// How long a client is waited for whatever its pace, before the first bytes of a body.
const SLOW_START: Duration = Duration::from_secs(10);

/// How an exchange with a worker ended well.
pub enum End {
    /// The response is complete, its end not sent; the worker's connection may be used again if there is one.
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
    /// Not a byte of the request was taken by the connection.
    pub unsent: bool,
    /// Since the exchange began.
    pub after: Duration,
    /// The answer was not passed on, because the request is to be sent again.
    pub turned_down: Option<Retry>,
    /// For the log.
    pub error: Option<std::io::Error>,
}

/// What is done about an answer before the client gets it.
pub struct Answers<'a> {
    /// Whether it is not passed on because another worker is to be tried, and why.
    pub judge: &'a (dyn Fn(Opening<'_>) -> Option<Retry> + Sync),
    /// Set with it, unless the app does not want that.
    pub cookie: Option<HeaderValue>,
}

/// The beginning of a final answer.
pub struct Opening<'a> {
    pub head: &'a ResponseHead,
    /// What it is the answer to.
    pub upload: &'a Upload,
    /// Since the last byte of the request was sent.
    pub waited: Duration,
}

/// By when a request must have come how far.
#[derive(Debug, Clone)]
pub struct Bounds<'a> {
    pub phases: &'a Timeouts,
    /// When all of it must be over.
    pub total: Option<Instant>,
    /// Bytes per second that its body has to come with.
    pub min_request_rate: Option<u64>,
    /// Cancelled when requests in flight have no more time.
    pub cut: CancellationToken,
}

/// One exchange in progress.
pub struct Relay<'a> {
    pub client: &'a mut Downstream,
    pub request: &'a Request,
    pub bounds: &'a Bounds<'a>,
    pub upload: &'a mut Upload,
    pub answers: &'a Answers<'a>,
    /// Where what happens is written down.
    pub exchange: &'a mut Exchange,
}

/// An exchange under way.
struct Running<'a> {
    relay: Relay<'a>,
    deadline: Deadline,
    begun: Instant,
    /// The last time a byte of the request was sent.
    asked: Instant,
    /// The last time a byte moved to or from the worker, or came from the client.
    moved: Instant,
    /// How fast the client sends its body.
    pace: Pace,
    /// The client may wait for `100 Continue` and send nothing before.
    awaiting_continue: bool,
    /// Why the worker takes no more of the request. Reading may report an end then, and not the reset that it was.
    write_error: Option<std::io::Error>,
    response: Response,
    /// The worker may do more with the connection than it says ([`ResponseHead::is_doubtful`], for one).
    is_doubtful: bool,
}

/// How far the response is.
enum Response {
    /// Not a byte of it has come.
    Nothing,
    /// No final head has come.
    Awaited,
    Body(Download),
}

/// What came next.
enum Event {
    Sent(std::io::Result<usize>),
    Received(std::io::Result<usize>),
    Body(Result<Option<Bytes>, Cause>),
    Late,
    Cut,
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

impl Relay<'_> {
    /// Carries the exchange out on `connection`, which is closed unless it is given back. The end of the response is left
    /// to be sent ([`Downstream::finish`]): what is done with the connection is done before its client can ask again.
    pub async fn run(self, mut connection: Connection) -> Result<End, Broken> {
        let now = Instant::now();
        let mut running = Running {
            deadline: Deadline::default(),
            begun: now,
            asked: now,
            moved: now,
            pace: Pace::new(self.bounds.min_request_rate, SLOW_START),
            awaiting_continue: self.request.expects_continue && !self.upload.has_body(),
            write_error: None,
            response: Response::Nothing,
            is_doubtful: false,
            relay: self,
        };
        match running.carry(&mut connection).await {
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
}

impl Running<'_> {
    async fn carry(&mut self, connection: &mut Connection) -> Result<Step, Broken> {
        let cut = self.relay.bounds.cut.clone();
        let mut cut = pin!(cut.cancelled());
        // What of the body came with the head goes with it: a worker that answers before would leave it unread, and that
        // would end the client's connection.
        while !self.relay.upload.has_ended()
            && let Some(body) = self.relay.client.body_at_hand()
        {
            self.heard_of_body(body)?;
        }
        loop {
            let event = self.next(connection, cut.as_mut()).await;
            let step = self.handle(event, connection).await?;
            if !matches!(step, Step::Continue) {
                return Ok(step);
            }
        }
    }

    async fn handle(&mut self, event: Event, connection: &mut Connection) -> Result<Step, Broken> {
        match event {
            Event::Sent(Ok(sent)) => {
                self.relay.upload.advance(sent);
                self.moved = Instant::now();
                self.asked = self.moved;
            }
            // It may have answered before it closed: what it said is still to be read.
            Event::Sent(Err(error)) => {
                self.write_error = Some(error);
                self.relay.upload.give_up();
            }
            Event::Received(Ok(1..)) => {
                self.moved = Instant::now();
                return self.received(connection).await;
            }
            Event::Received(ended) => {
                let error = ended.err().or(self.write_error.take());
                return self.worker_ended(connection, error).await;
            }
            Event::Body(body) => self.heard_of_body(body)?,
            Event::Late => return Err(self.phase().1.into()),
            Event::Cut => return Err(Cause::Stopping.into()),
        }
        Ok(Step::Continue)
    }

    fn heard_of_body(&mut self, body: Result<Option<Bytes>, Cause>) -> Result<(), Cause> {
        let piece = body?;
        self.moved = Instant::now();
        // It does not wait for leave, or no longer.
        self.awaiting_continue = false;
        let Relay { upload, exchange, .. } = &mut self.relay;
        let Some(piece) = piece else {
            upload.end();
            return Ok(());
        };
        self.pace.earn(piece.len() as u64);
        exchange.request_body += piece.len() as u64;
        upload.push(&piece)
    }
}

impl Broken {
    /// An answer that the client does not get. It is told so when there is no better one after all.
    fn turned_down(retry: Retry) -> Self {
        Self { turned_down: Some(retry), ..Cause::NoWorker.into() }
    }

    /// Whether the connection was reset, not closed in order.
    pub fn is_reset(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        let kind = self.error.as_ref().map(std::io::Error::kind);
        matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset))
    }
}

impl From<Cause> for Broken {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            unanswered: false,
            unsent: false,
            after: Duration::ZERO,
            turned_down: None,
            error: None,
        }
    }
}
