//! The response head that a client gets: the app's, less what only concerned the worker's connection.

use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, SET_COOKIE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{Response, StatusCode, Version};
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
    head: &ResponseHead,
    request: &Request,
    framing: Framing,
    request_id: &HeaderValue,
    cookie: Option<&HeaderValue>,
) -> Result<ResponseHeader, Cause> {
    let mut headers = end_to_end(&head.headers)?;
    match (framing, head.headers.get(CONTENT_LENGTH)) {
        // A 204 has no length to tell (RFC 9110 §8.6); a HEAD or 304 tells the one it would have had.
        (Framing::Length(_), Some(length)) if head.status != StatusCode::NO_CONTENT => {
            headers.insert(CONTENT_LENGTH, length.clone());
        }
        (Framing::Chunked | Framing::UntilClose, _) if request.version == Version::HTTP_11 => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        // HTTP/1.0 bodies end with their connection, HTTP/2 bodies with their stream.
        _ => {}
    }
    if let Some(cookie) = cookie {
        headers.append(SET_COOKIE, cookie.clone());
    }
    headers.insert(X_REQUEST_ID.clone(), request_id.clone());
    Ok(made_of(head.status, headers))
}

/// A 1xx head.
///
/// # Errors
/// As [`last`].
pub fn informational(head: &ResponseHead) -> Result<ResponseHeader, Cause> {
    Ok(made_of(head.status, end_to_end(&head.headers)?))
}

/// The head that switches to another protocol.
///
/// # Errors
/// As [`last`].
pub fn switching(head: &ResponseHead, request_id: &HeaderValue) -> Result<ResponseHeader, Cause> {
    let mut headers = end_to_end(&head.headers)?;
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(X_REQUEST_ID.clone(), request_id.clone());
    Ok(made_of(head.status, headers))
}

/// All headers but those of the worker's connection, those that frame the body, and those that asgate (`X-Request-Id`) and
/// the engine (`Date`) set.
fn end_to_end(headers: &HeaderMap) -> Result<HeaderMap, Cause> {
    let nominated = Nominated::read(headers).map_err(|_| Cause::UpstreamInvalid)?;
    let mut kept = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        let is_ours = name == CONTENT_LENGTH || name == DATE || *name == X_REQUEST_ID;
        if !is_ours && strip::keep_response(name) && !nominated.contains(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    Ok(kept)
}

/// The engine makes a head of `http`'s parts, which only a whole response can be taken apart into.
fn made_of(status: StatusCode, headers: HeaderMap) -> ResponseHeader {
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.into_parts().0.into()
}
