//! Workers that something else started: put into their upstream, checked, and followed when their name moves.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::config::{Address, Health};
use crate::supervisor::watch_listener;
use crate::telemetry::Telemetry;
use crate::upstream::names::{self, NameState, Roster};
use crate::upstream::{Identity, Location, Upstream, Worker, health};

/// A host name that workers are behind.
#[derive(Clone)]
pub struct Name {
    pub upstream: Arc<str>,
    pub host: Arc<str>,
    pub state: Arc<NameState>,
}

/// The workers of one `servers` entry.
pub(super) struct Fixed {
    upstream: Arc<Upstream>,
    weight: NonZeroU16,
    health: Option<Health>,
    telemetry: Arc<Telemetry>,
    /// What they are behind, if a host name was written.
    name: Option<Name>,
    /// What looks after each of them; ended when dropped.
    watches: Mutex<HashMap<Arc<str>, JoinSet<()>>>,
}

impl Fixed {
    pub(super) fn new(
        upstream: &Arc<Upstream>,
        weight: NonZeroU16,
        health: Option<&Health>,
        telemetry: &Arc<Telemetry>,
    ) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            weight,
            health: health.cloned(),
            telemetry: Arc::clone(telemetry),
            name: None,
            watches: Mutex::default(),
        }
    }

    /// The same, for workers behind a host name.
    pub(super) fn behind(self, name: Name) -> Self {
        Self { name: Some(name), ..self }
    }

    /// The name of the upstream that they are in.
    pub(super) fn upstream(&self) -> &Arc<str> {
        self.upstream.name()
    }

    /// Puts the worker at `address` into rotation; a newcomer joins others that serve already.
    pub(super) fn join(&self, address: Address, is_newcomer: bool) {
        let name = self.name_of(&address);
        let metrics = self.telemetry.metrics().worker(self.upstream.name(), &name);
        let identity = Identity { name: Arc::clone(&name), generation: 0, pid: None };
        let host = self.name.as_ref().map(|name| Arc::clone(&name.host));
        let location = Location { address, host };
        let terms = self.upstream.terms();
        let worker = Worker::new(identity, location, self.weight, terms, metrics);
        let worker = Arc::new(if is_newcomer { worker.newcomer() } else { worker });
        self.upstream.join(Arc::clone(&worker));
        let mut watches = JoinSet::new();
        watches.spawn(Arc::clone(&worker).prewarm());
        watches.spawn(watch_listener(Arc::clone(self.upstream.name()), Arc::clone(&worker)));
        if let Some(health) = self.health.clone() {
            watches.spawn(check(Arc::clone(self.upstream.name()), worker, health));
        }
        self.watches.lock().insert(name, watches);
    }

    fn name_of(&self, address: &Address) -> Arc<str> {
        match (&self.name, address) {
            (Some(name), Address::Tcp(address)) => names::worker_name(&name.host, *address).into(),
            (_, address) => address.to_string().into(),
        }
    }
}

impl Roster for Fixed {
    fn join(&self, address: SocketAddr) {
        // Those of the first answer begin together.
        let is_first = self.name.as_ref().is_none_or(|name| !name.state.was_asked());
        Self::join(self, Address::Tcp(address), !is_first);
    }

    fn leave(&self, address: SocketAddr) {
        let name = self.name_of(&Address::Tcp(address));
        self.watches.lock().remove(&name);
        self.upstream.leave(&name, 0);
    }
}

async fn check(upstream: Arc<str>, worker: Arc<Worker>, health: Health) {
    let name = Arc::clone(&worker.identity().name);
    let tell = |news: Result<(), &health::Failure>| match news {
        Ok(()) => log::info!("Worker is ready again: upstream={upstream} worker={name}"),
        Err(failure) => {
            log::warn!(
                "Worker is unready: upstream={upstream} worker={name} health check: {failure}"
            );
        }
    };
    health::watch(worker, &health, tell).await;
}
