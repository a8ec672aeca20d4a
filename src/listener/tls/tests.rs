//! Real handshakes over loopback, with certificates that are made anew for each test.

mod agreement;
mod choice;
mod clients;
mod doors;
mod reload;
mod source;
mod staple;
mod visitor;
mod world;

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

/// Waits until `check` says so, at most [`LONG`].
async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let checked = timeout(LONG, async {
        while !check() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    checked.await.unwrap_or_else(|_| panic!("{what}: not in time"));
}
