//! Answers that asgate gives itself: errors, redirects, fixed texts.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER,
};
use http::{Method, StatusCode};
use pingora::http::ResponseHeader;

use crate::outcome::{Cause, body};

use super::downstream::Downstream;
use super::exchange::put_id;

/// What a 405 lists (RFC 9110 §15.5.6): every method of RFC 9110 and 5789 that is passed on.
const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// A whole response of asgate's own.
pub struct Answer {
    pub status: StatusCode,
    pub content_type: Option<&'static str>,
    pub body: Bytes,
    pub location: Option<String>,
    /// The methods that a request may have had.
    pub allow: Option<&'static str>,
    /// Seconds.
    pub retry_after: Option<u64>,
    /// Whether a cache may keep it; an error is nobody's to keep.
    pub cacheable: bool,
}

impl Answer {
    /// A response that is only good for now.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: Some(content_type),
            body: body.into(),
            location: None,
            allow: None,
            retry_after: None,
            cacheable: false,
        }
    }

    /// What a client is told of `cause`.
    pub fn error(cause: Cause, request_id: &HeaderValue, accept: Option<&HeaderValue>) -> Self {
        let outcome = cause.outcome();
        let id = request_id.to_str().unwrap_or_default();
        let (content_type, body) = body::render(&outcome, id, accept);
        Self {
            allow: (outcome.status == StatusCode::METHOD_NOT_ALLOWED).then_some(ALLOWED_METHODS),
            retry_after: outcome.retry_after.map(|after| after.as_secs()),
            ..Self::new(outcome.status, content_type, body)
        }
    }

    /// Problem details (RFC 9457) with a `detail` that says what happened, for the people who operate asgate.
    pub fn problem(status: StatusCode, detail: &str, request_id: &HeaderValue) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        let id = request_id.to_str().unwrap_or_default();
        Self::new(status, body::PROBLEM, body::problem(status, title, detail, id))
    }

    /// Sends it to `client`, whole.
    ///
    /// # Errors
    /// The client left.
    pub(super) async fn send(self, client: &mut Downstream, id: &HeaderValue) -> Result<(), Cause> {
        self.send_dressed(client, id, |_| ()).await
    }

    /// As [`Self::send`], with a head that `dress` has the last word on.
    ///
    /// # Errors
    /// The client left.
    pub(super) async fn send_dressed(
        self,
        client: &mut Downstream,
        id: &HeaderValue,
        dress: impl FnOnce(&mut ResponseHeader),
    ) -> Result<(), Cause> {
        let head = self.dressed_head(id, dress)?;
        let bodiless = client.method() == Method::HEAD || self.body.is_empty();
        client.write_head(head).await?;
        if !bodiless {
            client.write_body(self.body).await?;
        }
        client.finish().await
    }

    fn dressed_head(
        &self,
        id: &HeaderValue,
        dress: impl FnOnce(&mut ResponseHeader),
    ) -> Result<ResponseHeader, Cause> {
        let mut head = self.head(id).map_err(|error| {
            log::error!("Cannot build an answer: {error}");
            Cause::ClientClosed
        })?;
        dress(&mut head);
        Ok(head)
    }

    fn head(&self, id: &HeaderValue) -> pingora::Result<ResponseHeader> {
        let mut head = ResponseHeader::build_no_case(self.status, Some(8))?;
        if let Some(content_type) = self.content_type {
            head.insert_header(CONTENT_TYPE, content_type)?;
        }
        if self.status != StatusCode::NO_CONTENT && self.status != StatusCode::NOT_MODIFIED {
            head.insert_header(CONTENT_LENGTH, self.body.len())?;
        }
        if let Some(location) = &self.location {
            head.insert_header(LOCATION, location.as_str())?;
        }
        if let Some(allow) = self.allow {
            head.insert_header(ALLOW, allow)?;
        }
        if let Some(seconds) = self.retry_after {
            head.insert_header(RETRY_AFTER, seconds.to_string())?;
        }
        if !self.cacheable {
            head.insert_header(CACHE_CONTROL, "no-store")?;
        }
        put_id(&mut head, id);
        Ok(head)
    }

    /// The whole response as HTTP/1.1 bytes, for a request that the engine never got. The connection ends with it.
    ///
    /// # Errors
    /// There is none that could be sent; the log says why.
    pub(super) fn into_bytes(
        self,
        id: &HeaderValue,
        dress: impl FnOnce(&mut ResponseHeader),
    ) -> Result<Vec<u8>, Cause> {
        let head = self.dressed_head(id, dress)?;
        let reason = self.status.canonical_reason().unwrap_or_default();
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut bytes = format!(
            "HTTP/1.1 {} {reason}\r\ndate: {date}\r\nconnection: close\r\n",
            self.status.as_u16()
        )
        .into_bytes();
        for (name, value) in &head.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }
}

/// The `Accept` that decides how an error looks.
pub fn accept(client: &Downstream) -> Option<HeaderValue> {
    client.headers().get(ACCEPT).cloned()
}
