//! Watches the listener of a worker that somebody else started on this machine, in the system's table of listening
//! sockets: no connection is opened for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::platform;
use crate::config::Address;
use crate::upstream::{Mark, Worker};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A listener that is gone is looked for again before that is believed: its server may be starting again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Marks `worker` deaf while its listener is gone. Returns at once where the table says nothing about it.
///
/// A listener that was never seen is no sign: connections may reach the worker in ways that the table does not know,
/// such as a container's forwarded port.
pub async fn watch_listener(upstream: Arc<str>, worker: Arc<Worker>) {
    let is_here = match worker.address() {
        Address::Tcp(address) => address.ip().is_loopback(),
        Address::Unix(_) => true,
    };
    if !is_here {
        return;
    }
    let name = &worker.identity().name;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = false;
    loop {
        looks.tick().await;
        let listed = is_listed(&worker).await;
        seen |= listed == Some(true);
        let is_gone = listed == Some(false) && seen && {
            sleep(LOOK_AGAIN).await;
            is_listed(&worker).await == Some(false)
        };
        if !worker.mark(Mark::Deaf, is_gone) {
            continue;
        }
        if is_gone {
            log::warn!(
                "Nobody listens at the address of a worker: upstream={upstream} worker={name}"
            );
        } else {
            log::info!("Worker listens again: upstream={upstream} worker={name}");
        }
    }
}

/// `None` where the system does not tell.
async fn is_listed(worker: &Worker) -> Option<bool> {
    let address = worker.address().clone();
    tokio::task::spawn_blocking(move || platform::is_listed(&address)).await.ok().flatten()
}
