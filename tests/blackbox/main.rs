//! Black-box tests: the real program, real sockets, real Uvicorn. One file per promise.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on stops with a message"
)]

mod support;

mod edge_answers;
