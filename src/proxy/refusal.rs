//! What is answered to a head that is no request.

use crate::http1::Fault;
use crate::listener::Refusal;
use crate::outcome::{BadRequest, Cause};

/// Why such a head is refused.
pub fn cause_of(refusal: Refusal) -> Cause {
    let fault = match refusal {
        Refusal::HeadTooLarge => return Cause::HeaderTooLarge,
        Refusal::TargetTooLong => return Cause::UriTooLong,
        Refusal::TooSlow => return Cause::HeaderTimeout,
        Refusal::Left => return Cause::ClientClosed,
        Refusal::Engine => return Cause::BadRequest(BadRequest::Header),
        Refusal::Fault(fault) => fault,
    };
    Cause::BadRequest(match fault {
        Fault::TooManyHeaders => return Cause::TooManyHeaders,
        Fault::Connect => return Cause::MethodRefused,
        Fault::Version => BadRequest::Version,
        Fault::Host => BadRequest::Host,
        Fault::ContentLength | Fault::TransferEncoding | Fault::Chunk => BadRequest::Framing,
        Fault::Header => BadRequest::Header,
        Fault::RequestLine | Fault::LineEnd | Fault::StatusLine => BadRequest::RequestLine,
    })
}
