//! Where the cryptography of TLS comes from. `pki` judges private keys by the same.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ProducesTickets;

/// Ciphers, key exchanges and signatures, best first.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What seals and opens session tickets, with keys that nobody else has: new ones every 6 hours, and those of the
/// 6 hours before still open what they sealed.
///
/// # Errors
/// The system gives no random bytes.
pub fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    aws_lc_rs::Ticketer::new()
}
