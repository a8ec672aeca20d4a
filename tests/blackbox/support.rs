//! What the tests are made of: an edge, clients that say exactly what they are told to, workers that do the same.
//!
//! Ports come from the system, waiting is on conditions, and everything that is started ends with its owner.

pub mod app;
pub mod certificates;
pub mod client;
pub mod closed_port;
pub mod dns;
pub mod edge;
pub mod frames;
pub mod front;
pub mod held;
pub mod http2;
pub mod light_load;
pub mod lines;
pub mod load;
pub mod openssl;
pub mod plain_worker;
pub mod pool;
pub mod programs;
pub mod proxied;
pub mod sources;
pub mod status;
pub mod stub;
pub mod tls;
pub mod uvicorn;
pub mod workers;

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Longer than anything a test waits for on a busy machine. It bounds waiting only: no test may need it to pass.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until what is seen `holds`, and fails with `what` and what was seen last when it does not.
pub fn wait_until<T: Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    holds: impl Fn(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}; last seen: {seen:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks again and again until there is something, and fails with `what` when it does not come.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
