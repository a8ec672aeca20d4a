//! Connections to workers that serve the requests of one client connection only.
//!
//! A worker that authenticates connections and not requests (NTLM and Negotiate, RFC 4559) takes whatever comes over such
//! a connection for the same user's. So it must never serve another client, and the client's next request must go over it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use parking_lot::Mutex;

use crate::upstream::{Client, Upstream, Worker};

/// The schemes that authenticate a connection.
const OF_CONNECTIONS: [&[u8]; 2] = [b"ntlm", b"negotiate"];

/// Where connections are kept for one client connection. The workers have them; they are closed when this is dropped.
pub struct PrivateConnections {
    connection: u64,
    homes: Mutex<Vec<Home>>,
    /// Whether there was ever one, which for most clients is never.
    used: AtomicBool,
}

/// A worker that has connections for one client.
struct Home {
    upstream: Arc<str>,
    client: Client,
    worker: Arc<Worker>,
}

impl PrivateConnections {
    /// `connection`: a number that no other client connection has.
    pub fn new(connection: u64) -> Self {
        Self { connection, homes: Mutex::default(), used: AtomicBool::new(false) }
    }

    /// The client at this address: a proxy may send several over one connection.
    pub fn client(&self, address: Option<IpAddr>) -> Client {
        Client { connection: self.connection, address }
    }

    /// The name of the worker of `upstream` that keeps connections for `client`.
    pub fn worker_of(&self, upstream: &Upstream, client: Client) -> Option<Arc<str>> {
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        let homes = self.homes.lock();
        let home = homes.iter().find(|home| home.is_of(upstream, client))?;
        let is_there = home.worker.keeps_for(client);
        is_there.then(|| Arc::clone(&home.worker.identity().name))
    }

    /// From now on `worker` has connections of `client`, and no other worker of `upstream` has.
    pub fn move_to(&self, upstream: &Upstream, client: Client, worker: &Arc<Worker>) {
        self.used.store(true, Ordering::Relaxed);
        let mut homes = self.homes.lock();
        // What is left behind is closed when it is too old, or with the client's connection.
        homes.retain(|home| !home.worker.is_retired());
        match homes.iter_mut().find(|home| home.is_of(upstream, client)) {
            Some(home) => home.worker = Arc::clone(worker),
            None => homes.push(Home {
                upstream: Arc::clone(upstream.name()),
                client,
                worker: Arc::clone(worker),
            }),
        }
    }
}

impl Home {
    fn is_of(&self, upstream: &Upstream, client: Client) -> bool {
        self.client == client && self.upstream == *upstream.name()
    }
}

impl Drop for PrivateConnections {
    fn drop(&mut self) {
        for home in self.homes.get_mut() {
            home.worker.forget(self.connection);
        }
    }
}

/// Whether a request carries the proof of who sends it for its connection.
pub fn authenticates_connection(request: &HeaderMap) -> bool {
    names_scheme(request, &AUTHORIZATION)
}

/// Whether an answer asks for such a proof, or is one.
pub fn asks_to_authenticate_connection(response: &HeaderMap) -> bool {
    names_scheme(response, &WWW_AUTHENTICATE)
}

/// Whether a challenge or credentials in `headers` (RFC 9110 section 11.4) are of a scheme that authenticates
/// connections. Several challenges may stand on one line, where a comma also separates the parameters of one.
fn names_scheme(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| {
        value.as_bytes().split(|&byte| byte == b',').any(|part| {
            let part = part.trim_ascii_start();
            let end = part.iter().position(|byte| !byte.is_ascii_alphanumeric());
            let scheme = part.get(..end.unwrap_or(part.len())).unwrap_or_default();
            OF_CONNECTIONS.iter().any(|known| scheme.eq_ignore_ascii_case(known))
        })
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn schemes_that_authenticate_connections_are_known() {
        let cases: [(&[&str], bool); 9] = [
            (&["NTLM"], true),
            (&["Negotiate"], true),
            (&["negotiate YIIB=="], true),
            (&["Basic realm=\"x\"", "NTLM TlRM="], true),
            (&["Basic realm=\"x\", Negotiate"], true),
            (&["Bearer ntlm"], false),
            (&["NTLMv2"], false),
            (&["Basic realm=\"a b\""], false),
            (&[], false),
        ];
        for (lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
            }
            assert_eq!(asks_to_authenticate_connection(&headers), expected, "{lines:?}");
        }
    }
}
