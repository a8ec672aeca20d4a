//! What the worker says, on its way to the client.

use http::{StatusCode, Version};
use tokio::time::Instant;

use crate::http1::download::{Download, Piece};
use crate::http1::response::{self, Framing, ResponseHead};
use crate::outcome::Cause;
use crate::proxy::retry::Retry;
use crate::proxy::{cookies, private, response_head};
use crate::upstream::Connection;

use super::{Broken, Opening, Relay, Response, Running, Step};

impl Running<'_> {
    /// Passes on what was received.
    pub(super) async fn received(&mut self, connection: &mut Connection) -> Result<Step, Broken> {
        if let Response::Nothing = self.response {
            self.response = Response::Awaited;
        }
        while let Response::Awaited = self.response {
            let parsed = response::parse(connection.input()).map_err(|_| Cause::UpstreamInvalid)?;
            let Some((head, length)) = parsed else {
                return Ok(Step::Continue);
            };
            let _ = connection.input().split_to(length);
            match head.status {
                StatusCode::SWITCHING_PROTOCOLS if self.relay.request.websocket => {
                    self.relay.exchange.first_byte = Some(self.asked.elapsed());
                    return Ok(Step::Upgraded(Box::new(head)));
                }
                StatusCode::SWITCHING_PROTOCOLS => return Err(Cause::UpstreamInvalid.into()),
                status if status.is_informational() => self.inform(head).await?,
                _ => {
                    if private::asks_to_authenticate_connection(&head.headers) {
                        connection.bind();
                    }
                    self.relay.exchange.first_byte = Some(self.asked.elapsed());
                    if let Some(retry) = self.judge(&head) {
                        return Err(Broken::turned_down(retry));
                    }
                    self.relay.upload.forget();
                    self.begin_response(head).await?;
                }
            }
        }
        Ok(self.pass_body_on(connection, false).await?)
    }

    /// Shows the beginning of a final answer to those who judge it.
    fn judge(&self, head: &ResponseHead) -> Option<Retry> {
        let waited = self.relay.exchange.first_byte.unwrap_or_default();
        (self.relay.answers.judge)(Opening { head, upload: self.relay.upload, waited })
    }

    /// Passes a 1xx response on (RFC 9110 §15.2). HTTP/1.0 has none, and Pingora's HTTP/2 sends none.
    async fn inform(&mut self, head: ResponseHead) -> Result<(), Cause> {
        if head.status == StatusCode::CONTINUE {
            self.awaiting_continue = false;
            self.moved = Instant::now();
        }
        if self.relay.request.version != Version::HTTP_11 {
            return Ok(());
        }
        let client = &mut *self.relay.client;
        client.write_head(response_head::informational(&head)?).await?;
        client.flush().await
    }

    async fn begin_response(&mut self, head: ResponseHead) -> Result<(), Cause> {
        let Relay { client, request, exchange, answers, .. } = &mut self.relay;
        let framing = head.framing(&request.method).map_err(|_| Cause::UpstreamInvalid)?;
        self.response = Response::Body(Download::new(framing, head.keep_alive));
        // A WebSocket that was not agreed to: Uvicorn with wsproto closes then and has not said so.
        self.is_doubtful = head.is_doubtful(&request.method) || request.websocket;
        let status = head.status.as_u16();
        let cookie = answers.cookie.as_ref();
        let cookie = cookie.filter(|_| !cookies::is_disabled(&head.headers));
        let mut head = response_head::last(&head, request, framing, &exchange.request_id, cookie)?;
        exchange.dress(&mut head);
        if request.version == Version::HTTP_10 && !matches!(framing, Framing::Length(_)) {
            // The end of the connection is the end of the body.
            client.close_after();
        }
        exchange.sent_status = Some(status);
        client.write_head(head).await
    }

    /// Passes on the body as far as it was received; `closed`: the worker will send no more.
    async fn pass_body_on(
        &mut self,
        connection: &mut Connection,
        closed: bool,
    ) -> Result<Step, Cause> {
        let Response::Body(download) = &mut self.response else {
            return Ok(Step::Continue);
        };
        let Relay { client, exchange, upload, .. } = &mut self.relay;
        let Ok(Piece { data, complete }) = download.take(connection.input(), closed) else {
            // The head may wait for its body: it goes before the connection breaks off.
            client.flush().await?;
            return Err(Cause::UpstreamInvalid);
        };
        if !data.is_empty() {
            exchange.response_body += data.len() as u64;
            client.write_body(data).await?;
        }
        if !complete {
            client.flush().await?;
            return Ok(Step::Continue);
        }
        let clean = !closed && connection.input().is_empty() && upload.is_sent();
        // A new connection costs a client that signs on with it a new sign-on.
        let trusted = !self.is_doubtful || connection.is_bound();
        Ok(Step::Complete { reusable: clean && download.leaves_reusable() && trusted })
    }

    /// The worker closed its side, or reset the connection.
    pub(super) async fn worker_ended(
        &mut self,
        connection: &mut Connection,
        error: Option<std::io::Error>,
    ) -> Result<Step, Broken> {
        match &self.response {
            Response::Body(download) if error.is_none() && download.ends_with_connection() => {
                self.pass_body_on(connection, true).await.map_err(Broken::from)
            }
            response => Err(Broken {
                unanswered: matches!(response, Response::Nothing),
                unsent: self.relay.upload.is_unsent(),
                after: self.begun.elapsed(),
                error,
                ..Cause::UpstreamClosed.into()
            }),
        }
    }
}
