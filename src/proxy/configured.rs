//! Answers that the configuration gives: a text, a redirect, the way to https.

use bytes::Bytes;
use http::StatusCode;

use crate::client::Identity;
use crate::config::{Redirect, Respond};
use crate::outcome::{BadRequest, Cause};
use crate::routing::redirect::{self, Parts};

use super::answer::Answer;
use super::request::Request;

/// The same for every request.
pub fn fixed(respond: &Respond) -> Answer {
    let body = respond.body.clone();
    let kind = (!body.is_empty()).then_some("text/plain; charset=utf-8");
    Answer { content_type: kind, cacheable: true, ..Answer::new(respond.status, "", body) }
}

/// Sends the client to the same place over TLS.
///
/// # Errors
/// [`BadRequest::Host`]: it did not say where it wanted to go.
pub fn secured(request: &Request, port: u16) -> Result<Answer, Cause> {
    if request.host.is_empty() {
        // An HTTP/1.0 client that did not say where it wanted to go.
        return Err(Cause::BadRequest(BadRequest::Host));
    }
    let parts = Parts {
        scheme: "https",
        host: &request.host,
        path: &request.path,
        query: request.query.as_deref(),
    };
    let to = match port {
        443 => "{scheme}://{host}{path}".to_owned(),
        port => format!("{{scheme}}://{{host}}:{port}{{path}}"),
    };
    Ok(moved(StatusCode::PERMANENT_REDIRECT, redirect::location(&to, &parts)))
}

/// Sends the client elsewhere.
pub fn redirected(to: &Redirect, request: &Request, identity: &Identity) -> Answer {
    let parts = Parts {
        scheme: identity.scheme.as_str(),
        host: &request.host,
        path: &request.path,
        query: request.query.as_deref(),
    };
    moved(to.status, redirect::location(&to.to, &parts))
}

fn moved(status: StatusCode, location: String) -> Answer {
    Answer {
        content_type: None,
        location: Some(location),
        cacheable: true,
        ..Answer::new(status, "", Bytes::new())
    }
}
