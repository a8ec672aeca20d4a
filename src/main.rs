//! The asgate program: see [`asgate::cli`].

use std::process::ExitCode;

/// Returns memory of closed connections to the system sooner and costs less per request than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    asgate::cli::main()
}
