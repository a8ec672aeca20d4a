//! The response head that a client gets: the app's, less what only concerned the worker's connection.

use http::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, SET_COOKIE, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use pingora::http::ResponseHeader;

use crate::client::X_REQUEST_ID;
use crate::client::strip::{self, Nominated};
use crate::http1::response::{Framing, ResponseHead};
use crate::outcome::Cause;

use super::request::Request;

/// The final head, framed for the client, with a `cookie` of asgate's own beside the app's.
///
/// # Errors
/// [`Cause::UpstreamInvalid`] when the worker's headers cannot be passed on.
pub fn last(
    head: ResponseHead,
    request: &Request,
    framing: Framing,
    request_id: &HeaderValue,
    cookie: Option<&HeaderValue>,
) -> Result<ResponseHeader, Cause> {
    let status = head.status;
    let length = head.headers.get(CONTENT_LENGTH).cloned();
    let mut response = copy(status, &head.headers)?;
    let invalid = |_| Cause::UpstreamInvalid;
    match (framing, length) {
        // A 204 has no length to tell (RFC 9110 §8.6); a HEAD or 304 tells the one it would have had.
        (Framing::Length(_), Some(length)) if status != StatusCode::NO_CONTENT => {
            response.insert_header(CONTENT_LENGTH, length).map_err(invalid)?;
        }
        (Framing::Chunked | Framing::UntilClose, _) if request.version == Version::HTTP_11 => {
            response
                .insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
                .map_err(invalid)?;
        }
        // HTTP/1.0 bodies end with their connection, HTTP/2 bodies with their stream.
        _ => {}
    }
    if let Some(cookie) = cookie {
        response.append_header(SET_COOKIE, cookie.clone()).map_err(invalid)?;
    }
    response.insert_header(X_REQUEST_ID.clone(), request_id.clone()).map_err(invalid)?;
    Ok(response)
}

/// A 1xx head.
///
/// # Errors
/// As [`last`].
pub fn informational(head: &ResponseHead) -> Result<ResponseHeader, Cause> {
    copy(head.status, &head.headers)
}

/// The head that switches to another protocol.
///
/// # Errors
/// As [`last`].
pub fn switching(head: &ResponseHead, request_id: &HeaderValue) -> Result<ResponseHeader, Cause> {
    let mut response = copy(head.status, &head.headers)?;
    let invalid = |_| Cause::UpstreamInvalid;
    response.insert_header(http::header::CONNECTION, "Upgrade").map_err(invalid)?;
    response.insert_header(http::header::UPGRADE, "websocket").map_err(invalid)?;
    response.insert_header(X_REQUEST_ID.clone(), request_id.clone()).map_err(invalid)?;
    Ok(response)
}

/// Copies all end-to-end headers but those that frame the body. The engine sets `Date`.
fn copy(status: StatusCode, headers: &HeaderMap) -> Result<ResponseHeader, Cause> {
    let nominated = Nominated::read(headers).map_err(|_| Cause::UpstreamInvalid)?;
    let mut response = ResponseHeader::build_no_case(status, Some(headers.len() + 2))
        .map_err(|_| Cause::UpstreamInvalid)?;
    for (name, value) in headers {
        let framing = name == CONTENT_LENGTH || name == DATE || *name == X_REQUEST_ID;
        if !framing && strip::keep_response(name) && !nominated.contains(name) {
            response
                .append_header(name.clone(), value.clone())
                .map_err(|_| Cause::UpstreamInvalid)?;
        }
    }
    Ok(response)
}
