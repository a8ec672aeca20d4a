//! Of every request that servers are known to read differently, a client is told no, or a worker gets exactly the bytes that
//! have one meaning.
//!
//! `every_input` and `every_answer` have each input that the HTTP engine alone was measured with, in that order. More of what
//! is refused is in `requests_are_unambiguous`, more of what workers answer in `responses_are_sane`, how HTTP/2 is turned
//! into HTTP/1.1 in `pingora_edges::http2`, and what header lists of HTTP/2 may be in `http2_floods_are_bounded`.

mod desync;
mod every_answer;
mod every_input;
mod in_order;

use std::net::SocketAddr;

use crate::support::client::Response;

/// What the worker must get of a request, byte for byte. The edge adds its own lines behind those of the client.
#[derive(Clone, Copy)]
struct Forwarded {
    /// The request line.
    first: &'static str,
    /// The client's lines as they are passed on, with their CRLFs.
    own: &'static str,
    /// What the app is told of the Host, if the client had one.
    host: Option<&'static str>,
    /// The line that frames the body, and the body.
    framing: &'static str,
    body: &'static str,
}

impl Forwarded {
    const fn get(first: &'static str) -> Self {
        Self { first, own: "host: a\r\n", host: Some("a"), framing: "", body: "" }
    }

    const fn post(framing: &'static str, body: &'static str) -> Self {
        Self { framing, body, ..Self::get("POST /x HTTP/1.1") }
    }

    /// The bytes for a request that came from this machine to `edge` and was given this id.
    fn bytes(&self, edge: SocketAddr, id: &str, worker: SocketAddr) -> Vec<u8> {
        let own = self.own.replace("WORKER", &worker.to_string());
        let host =
            self.host.map(|host| format!("x-forwarded-host: {host}\r\n")).unwrap_or_default();
        let framing = if self.framing.is_empty() { "" } else { "\r\n" };
        let head = format!(
            "{}\r\n{own}x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\n{host}\
             x-forwarded-port: {}\r\nx-request-id: {id}\r\n{}{framing}\r\n{}",
            self.first,
            edge.port(),
            self.framing,
            self.body
        );
        // Bytes that are no UTF-8 are written as the characters of Latin-1.
        head.chars().map(|letter| u8::try_from(u32::from(letter)).expect("Latin-1")).collect()
    }
}

/// The id that a response names its request by.
fn id(response: &Response) -> &str {
    response.header("x-request-id").expect("a request id")
}
