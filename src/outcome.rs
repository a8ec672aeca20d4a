//! What a client is answered when the app did not answer, and what the log calls it.
//!
//! One table: every [`Cause`] has one [`Outcome`]. No other module writes the status code of an error, but for the admin
//! API, and the line for clients that speak HTTP to an HTTPS port (`listener::tls`).
//! Pure: it knows neither sockets nor the HTTP engine; whoever meets a cause answers with
//! [`body::render`] and logs the outcome.

pub mod body;
mod termination;

pub use termination::Termination;

use std::time::Duration;

use http::StatusCode;

#[cfg(test)]
mod tests;

/// How long a client should wait before it tries again: about what a worker takes to start.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// "Client Closed Request", nginx's convention; only ever in the log.
const CLIENT_CLOSED: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// Why asgate answers a request itself, or why an exchange ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No route takes the request.
    NoRoute,
    /// The route does not serve the client's address.
    Denied,
    /// The route has had more requests of this kind than it may have.
    RateLimited,
    BadRequest(BadRequest),
    /// CONNECT and TRACE, which a reverse proxy has no use for.
    MethodRefused,
    /// The header block has more bytes than the limit.
    HeaderTooLarge,
    /// The header block has more lines than the limit.
    TooManyHeaders,
    /// The request target has more bytes than the limit.
    UriTooLong,
    /// The request body has more bytes than the limit.
    BodyTooLarge,
    /// The header block took longer than the listener's `header_timeout`.
    HeaderTimeout,
    /// No byte of the request body for longer than `request_body`, or fewer than `min_request_rate`.
    BodyTimeout,
    /// The client took no byte of the response for longer than `client_write`, or fewer than `min_response_rate`.
    ClientWriteTimeout,
    /// The client closed its connection before it had its answer.
    ClientClosed,
    /// The upstream has no worker that may get traffic.
    NoWorker,
    /// Too many requests wait for a worker already.
    QueueFull,
    /// No worker could take the request within the time that it may wait.
    QueueTimeout,
    /// asgate is stopping.
    Stopping,
    /// The connection to the worker failed.
    UpstreamConnect,
    /// The connection to the worker took longer than `connect`.
    UpstreamConnectTimeout,
    /// The worker closed its connection before the end of its answer.
    UpstreamClosed,
    /// The worker's answer is not HTTP, or not one to this request.
    UpstreamInvalid,
    /// No response header for longer than `first_byte`.
    FirstByteTimeout,
    /// No byte of the response body for longer than `idle`.
    IdleTimeout,
    /// The exchange took longer than `total`.
    TotalTimeout,
    /// No byte in either direction of an upgraded connection for longer than `websocket_idle`.
    WebsocketIdle,
    /// asgate itself failed.
    Internal,
}

/// What is wrong with a request that cannot be taken as HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadRequest {
    RequestLine,
    Version,
    Path,
    Host,
    Header,
    /// `Content-Length` or `Transfer-Encoding`, or the chunks of the body.
    Framing,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Answered and logged, as long as no response header was sent. When one was, the response is
    /// aborted, never completed as if whole, and the status that was sent is logged. 499 is logged,
    /// never sent.
    pub status: StatusCode,
    pub termination: Termination,
    /// Whether the client's HTTP/1.1 connection may take another request, once the rest of the
    /// request body was read. False where it is not known where the next request begins, where the
    /// client was too slow, and where the connection has to end anyway. Never applies after a
    /// response was aborted.
    pub keep_client: bool,
    /// For `Retry-After`; whole seconds. How long a rate limit lasts is not known here.
    pub retry_after: Option<Duration>,
    /// The reason phrase of the status (RFC 9457 §4.2.1).
    pub title: &'static str,
    /// One sentence for a person, without internals.
    pub detail: &'static str,
}

impl Cause {
    /// Every cause, in the order of the enum.
    pub const ALL: [Self; 31] = [
        Self::NoRoute,
        Self::Denied,
        Self::RateLimited,
        Self::BadRequest(BadRequest::RequestLine),
        Self::BadRequest(BadRequest::Version),
        Self::BadRequest(BadRequest::Path),
        Self::BadRequest(BadRequest::Host),
        Self::BadRequest(BadRequest::Header),
        Self::BadRequest(BadRequest::Framing),
        Self::MethodRefused,
        Self::HeaderTooLarge,
        Self::TooManyHeaders,
        Self::UriTooLong,
        Self::BodyTooLarge,
        Self::HeaderTimeout,
        Self::BodyTimeout,
        Self::ClientWriteTimeout,
        Self::ClientClosed,
        Self::NoWorker,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::Stopping,
        Self::UpstreamConnect,
        Self::UpstreamConnectTimeout,
        Self::UpstreamClosed,
        Self::UpstreamInvalid,
        Self::FirstByteTimeout,
        Self::IdleTimeout,
        Self::TotalTimeout,
        Self::WebsocketIdle,
        Self::Internal,
    ];

    /// What becomes of a request that met this cause.
    pub fn outcome(self) -> Outcome {
        let (status, termination, connection) = self.row();
        Outcome {
            status,
            termination,
            keep_client: matches!(connection, Keep),
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER),
            title: status.canonical_reason().unwrap_or("Client Closed Request"),
            detail: self.detail(),
        }
    }

    /// The table.
    const fn row(self) -> (StatusCode, Termination, Connection) {
        use StatusCode as S;
        use Termination as T;
        match self {
            Self::NoRoute => (S::NOT_FOUND, T::NoRoute, Keep),
            Self::Denied => (S::FORBIDDEN, T::Denied, Keep),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, T::RateLimited, Keep),
            Self::BadRequest(_) => (S::BAD_REQUEST, T::BadRequest, Close),
            Self::MethodRefused => (S::METHOD_NOT_ALLOWED, T::BadRequest, Close),
            Self::HeaderTooLarge => (S::REQUEST_HEADER_FIELDS_TOO_LARGE, T::Limit, Close),
            Self::TooManyHeaders => (S::REQUEST_HEADER_FIELDS_TOO_LARGE, T::Limit, Close),
            Self::UriTooLong => (S::URI_TOO_LONG, T::Limit, Close),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, T::Limit, Close),
            Self::HeaderTimeout => (S::REQUEST_TIMEOUT, T::ClientTimeout, Close),
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, T::ClientTimeout, Close),
            Self::ClientWriteTimeout => (S::REQUEST_TIMEOUT, T::ClientTimeout, Close),
            Self::ClientClosed => (CLIENT_CLOSED, T::ClientClosed, Close),
            Self::NoWorker => (S::SERVICE_UNAVAILABLE, T::NoWorker, Keep),
            Self::QueueFull => (S::SERVICE_UNAVAILABLE, T::QueueFull, Keep),
            Self::QueueTimeout => (S::SERVICE_UNAVAILABLE, T::QueueTimeout, Keep),
            Self::Stopping => (S::SERVICE_UNAVAILABLE, T::Stopping, Close),
            Self::UpstreamConnect => (S::BAD_GATEWAY, T::UpstreamConnect, Keep),
            Self::UpstreamConnectTimeout => (S::GATEWAY_TIMEOUT, T::UpstreamTimeout, Keep),
            Self::UpstreamClosed => (S::BAD_GATEWAY, T::UpstreamClosed, Keep),
            Self::UpstreamInvalid => (S::BAD_GATEWAY, T::UpstreamInvalid, Keep),
            Self::FirstByteTimeout => (S::GATEWAY_TIMEOUT, T::UpstreamTimeout, Keep),
            Self::IdleTimeout => (S::GATEWAY_TIMEOUT, T::UpstreamTimeout, Close),
            Self::TotalTimeout => (S::GATEWAY_TIMEOUT, T::UpstreamTimeout, Close),
            Self::WebsocketIdle => (S::SWITCHING_PROTOCOLS, T::WebsocketIdle, Close),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, T::Internal, Close),
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::NoRoute => "Nothing is served under this host and path.",
            Self::Denied => "This is not served to your address.",
            Self::RateLimited => "There were too many requests. Try again later.",
            Self::BadRequest(kind) => kind.detail(),
            Self::MethodRefused => "This method is not served.",
            Self::HeaderTooLarge => "The request header is too large.",
            Self::TooManyHeaders => "The request has too many header fields.",
            Self::UriTooLong => "The address of the request is too long.",
            Self::BodyTooLarge => "The request body is too large.",
            Self::HeaderTimeout => "The request header took too long to arrive.",
            Self::BodyTimeout => "The request body took too long to arrive.",
            Self::ClientWriteTimeout => "The client did not take the response.",
            Self::ClientClosed => "The client closed the connection.",
            Self::NoWorker | Self::QueueFull | Self::QueueTimeout => {
                "The application is not available at the moment."
            }
            Self::Stopping => "The server is stopping.",
            Self::UpstreamConnect => "The application could not be reached.",
            Self::UpstreamConnectTimeout => "The application could not be reached in time.",
            Self::UpstreamClosed => "The application closed the connection before it answered.",
            Self::UpstreamInvalid => "The application sent an invalid answer.",
            Self::FirstByteTimeout => "The application did not answer in time.",
            Self::IdleTimeout => "The application stopped sending its answer.",
            Self::TotalTimeout => "The request took longer than it may take.",
            Self::WebsocketIdle => "Nothing was sent for too long.",
            Self::Internal => "The server failed.",
        }
    }
}

/// See [`Outcome::keep_client`].
enum Connection {
    Keep,
    Close,
}
use Connection::{Close, Keep};

impl BadRequest {
    const fn detail(self) -> &'static str {
        match self {
            Self::RequestLine => "The request line is malformed.",
            Self::Version => "The HTTP version is not supported.",
            Self::Path => "The path of the request is malformed.",
            Self::Host => "The host of the request is missing or malformed.",
            Self::Header => "A header field of the request is malformed.",
            Self::Framing => "The length of the request body is malformed or ambiguous.",
        }
    }
}
