//! `asgate run` and `asgate serve`: an edge in the foreground.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use env_logger::Env;

use crate::config::{Config, Problems, Workers};
use crate::edge::{self, Edge, StartError};
use crate::telemetry::Telemetry;

use super::{PROBLEMS, complain};

/// How long work that cannot be cancelled may take once everything else is done.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Starts the edge, serves, and returns when it was stopped. `warnings` are logged; `started` hears of it once it is
/// ready.
pub fn run(config: &Config, warnings: &Problems, started: impl FnOnce(&Edge)) -> ExitCode {
    // The engine calls it an error when a client leaves early. What matters of it is told here.
    let level = format!("{},pingora_core=off", config.logging.level);
    env_logger::Builder::from_env(Env::default().default_filter_or(level)).init();
    for warning in warnings.to_string().lines() {
        log::warn!("Configuration: {warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}"), PROBLEMS).into(),
    };
    let served = runtime.block_on(serve(config, started));
    // Ends what outlived the stop's patience, so that its last words are still written.
    runtime.shutdown_timeout(LAST_WORK);
    match served {
        Ok(telemetry) => {
            edge::close_log(&telemetry);
            ExitCode::SUCCESS
        }
        // Whoever asked for it knows.
        Err(StartError::Stopped) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), PROBLEMS).into(),
    }
}

async fn serve(config: &Config, started: impl FnOnce(&Edge)) -> Result<Arc<Telemetry>, StartError> {
    let edge = Edge::start(config).await?;
    for address in edge.addresses() {
        log::info!("Listening: address={address}");
    }
    if let Some(address) = edge.admin_address() {
        log::info!("Admin API: address={address}");
    }
    for upstream in &config.upstreams {
        match &upstream.workers {
            Workers::Supervised(app) => log::info!(
                "Upstream ready: name={} workers={} directory={}",
                upstream.name,
                app.workers,
                app.directory.display()
            ),
            Workers::Fixed(servers) => {
                log::info!("Upstream: name={} servers={}", upstream.name, servers.len());
            }
        }
    }
    log::info!("Ready");
    started(&edge);
    let telemetry = edge.telemetry();
    edge.run().await;
    Ok(telemetry)
}
