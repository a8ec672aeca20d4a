//! Connections to workers that serve the requests of one client connection only.
//!
//! A worker that authenticates connections and not requests (NTLM and Negotiate, RFC 4559) takes whatever comes over such
//! a connection for the same user's. So it must never serve another client, and the client's next request must go over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use parking_lot::Mutex;

use crate::upstream::{Check, Connection, Parked, Upstream, Worker};

/// The schemes that authenticate a connection.
const OF_CONNECTIONS: [&[u8]; 2] = [b"ntlm", b"negotiate"];

/// What is kept for one client connection.
#[derive(Default)]
pub struct PrivateConnections {
    kept: Mutex<Vec<Kept>>,
    /// Whether something ever was, which for most clients is never.
    used: AtomicBool,
}

struct Kept {
    upstream: Arc<str>,
    worker: Arc<Worker>,
    parked: Parked,
}

impl PrivateConnections {
    /// The name of the worker of `upstream` that a connection is kept to.
    pub fn worker_of(&self, upstream: &Upstream) -> Option<Arc<str>> {
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        let kept = self.kept.lock();
        let kept = kept.iter().rev().find(|kept| kept.upstream == *upstream.name())?;
        Some(Arc::clone(&kept.worker.identity().name))
    }

    /// A connection to `worker` that was kept and is still good.
    pub fn take(&self, worker: &Arc<Worker>, check: Check) -> Option<Connection> {
        if !self.used.load(Ordering::Relaxed) {
            return None;
        }
        loop {
            let kept = {
                let mut all = self.kept.lock();
                let index = all.iter().rposition(|kept| Arc::ptr_eq(&kept.worker, worker))?;
                all.swap_remove(index)
            };
            if let Some(connection) = kept.worker.revive(kept.parked, check) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, if it may serve another request.
    pub fn keep(
        &self,
        upstream: &Upstream,
        worker: &Arc<Worker>,
        connection: Connection,
        check: Check,
    ) {
        if let Some(parked) = worker.park_privately(connection, check) {
            let (upstream, worker) = (Arc::clone(upstream.name()), Arc::clone(worker));
            self.used.store(true, Ordering::Relaxed);
            let mut all = self.kept.lock();
            // What was kept to a generation that is gone would lie here as long as the client stays.
            all.retain(|kept| !kept.worker.is_retired());
            all.push(Kept { upstream, worker, parked });
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
