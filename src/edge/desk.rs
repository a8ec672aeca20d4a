//! The admin API's own listener: open before the workers start, closed after they have stopped, so that both can be
//! watched.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::admin::Admin;
use crate::client::TrustedProxies;
use crate::config::{self, Address};
use crate::listener::{BindError, Bounds, Listener};
use crate::net;
use crate::proxy;
use crate::telemetry::Telemetry;

use super::operations::Operator;

/// Bounds of the connections.
const CONNECTIONS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last answers may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The admin API while it is served.
pub struct Desk {
    address: Address,
    end: watch::Sender<bool>,
    tasks: TaskTracker,
}

impl Desk {
    /// Listens at `address`; nobody is answered before [`Desk::open`].
    ///
    /// # Errors
    /// The address is in use, not of this machine, or not allowed.
    pub fn bind(address: &Address, telemetry: &Telemetry) -> Result<Listener, BindError> {
        let listener = config::Listener {
            address: address.clone(),
            http2: false,
            max_connections: CONNECTIONS,
            max_connections_per_address: None,
            header_timeout: PATIENCE,
            idle_timeout: PATIENCE,
            redirect_to_https: None,
            proxy_protocol: false,
            tls: None,
        };
        let metrics = telemetry.metrics().listener("admin");
        let socket = net::Listener::bind_private(address)?;
        let bounds = Bounds {
            max_head: config::DEFAULT_HEAD,
            max_lines: config::DEFAULT_LINES.into(),
            trusted: TrustedProxies::default(),
        };
        Listener::over(socket, &listener, &bounds, metrics)
    }

    /// Answers what comes to `listener`.
    pub fn open(listener: Listener, operator: Arc<Operator>) -> Self {
        let (end, ending) = watch::channel(false);
        let (address, tasks) = (listener.address().clone(), TaskTracker::new());
        let (admin, shutdown) = (Arc::new(Admin::new(operator)), ending.clone());
        let serve = move |stream| proxy::serve_local(Arc::clone(&admin), stream, shutdown.clone());
        tasks.spawn(listener.run(serve, tasks.clone(), ending));
        Self { address, end, tasks }
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Takes no more requests, and gives the last answers a moment.
    pub async fn close(self) {
        self.end.send_replace(true);
        self.tasks.close();
        // Nothing that is left may hold up the end: what it holds goes with the process.
        let _ = timeout(LAST_WORDS, self.tasks.wait()).await;
    }
}
