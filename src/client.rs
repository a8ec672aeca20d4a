//! Who the client is, and which headers may say so.
//!
//! Pure: no I/O, no clock, nothing of the HTTP engine. [`identify`] decides from the peer, its
//! headers and the listener; [`strip`] tells which of a client's headers must not reach a worker
//! and which of a worker's not the client. A client can choose nothing in an [`Identity`] but its
//! own `Host`, unless its peer is a trusted proxy.

mod chain;
mod identity;
mod peer;
pub mod strip;

pub use identity::{
    Certificate, Facts, Identity, Scheme, X_CLIENT_CERT_FINGERPRINT, X_CLIENT_CERT_SUBJECT,
    X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO, X_REQUEST_ID, identify,
};
pub use peer::{Peer, TrustedProxies, network_of};
