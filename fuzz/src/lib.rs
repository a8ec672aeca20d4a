//! What holds whatever bytes come in: a module for each target, each with one function `check` that panics when it
//! does not hold.
//!
//! libFuzzer calls them (`fuzz_targets/`, `scripts/fuzz`), and `tests/fuzz_corpus.rs` replays the kept inputs with
//! them in every test run. A check holds asgate's answer against another implementation, against a slow one that is
//! plainly right, or against asgate's answer to the same input put differently.

pub mod certificates;
pub mod chunked;
pub mod config;
pub mod cookies;
pub mod forwarded;
pub mod header_template;
pub mod http2_gate;
pub mod proxy_protocol;
pub mod request_head;
pub mod response_head;
pub mod target;

/// `input` in quotes, for messages.
fn shown(input: impl AsRef<[u8]>) -> String {
    format!("\"{}\"", input.as_ref().escape_ascii())
}
