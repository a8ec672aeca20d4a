//! A small HTTP client for the admin API. Knows no endpoint.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::time::timeout;

use crate::config::Address;
use crate::net::{self, Stream};

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer: far more than the status of any edge.
const LARGEST_ANSWER: usize = 64 << 20;

/// The admin API at one address. Each request has a connection of its own.
#[derive(Debug)]
pub struct AdminClient {
    address: Address,
}

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoReply {
    /// Nobody listens there.
    #[error("asgate is not running: cannot connect to {address}: {source}")]
    NotRunning { address: Address, source: io::Error },
    /// Somebody may.
    #[error("cannot connect to {address}: {source}")]
    Connect { address: Address, source: io::Error },
    #[error("{address} did not answer within {} s", .patience.as_secs())]
    TooLate { address: Address, patience: Duration },
    #[error("{address} did not answer: {source}")]
    Broken { address: Address, source: Box<dyn std::error::Error + Send + Sync> },
}

/// The members of a success and of a problem (RFC 9457) that are for people.
#[derive(Debug, Deserialize)]
struct Words {
    message: Option<String>,
    detail: Option<String>,
}

impl Reply {
    /// What it says to people.
    pub fn words(&self) -> String {
        let words = serde_json::from_slice(&self.body).ok();
        words
            .and_then(|words: Words| words.message.or(words.detail))
            .unwrap_or_else(|| format!("the answer is {}", self.status))
    }
}

impl AdminClient {
    pub fn new(address: Address) -> Self {
        Self { address }
    }

    /// Asks, and waits for the whole answer at most for `patience`, or for ever.
    ///
    /// # Errors
    /// [`NoReply`]; an answer that refuses is a [`Reply`].
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        patience: Option<Duration>,
    ) -> Result<Reply, NoReply> {
        let stream = self.connect().await?;
        let exchange = self.exchange(stream, method, path);
        let Some(patience) = patience else {
            return exchange.await;
        };
        let address = self.address.clone();
        timeout(patience, exchange)
            .await
            .unwrap_or_else(|_| Err(NoReply::TooLate { address, patience }))
    }

    async fn connect(&self) -> Result<Stream, NoReply> {
        let connected = timeout(CONNECT_PATIENCE, Stream::connect(&self.address)).await;
        let address = || self.address.clone();
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => Ok(stream),
            Err(source) if net::nobody_listens(&source) => {
                Err(NoReply::NotRunning { address: address(), source })
            }
            Err(source) => Err(NoReply::Connect { address: address(), source }),
        }
    }

    async fn exchange(&self, stream: Stream, method: Method, path: &str) -> Result<Reply, NoReply> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.host())
            .header(CONTENT_LENGTH, 0)
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.broken(error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        // Its end, good or bad, is told by the answer.
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        driver.abort();
        let body = body.map_err(|error| self.broken(error))?.to_bytes();
        Ok(Reply { status: head.status, body })
    }

    fn host(&self) -> String {
        match &self.address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(_) => "localhost".to_owned(),
        }
    }

    fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NoReply {
        NoReply::Broken { address: self.address.clone(), source: source.into() }
    }
}
