//! `asgate status`, `asgate reload`, `asgate restart` and `asgate stop`: questions to the admin API of the running instance.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::{Instant, sleep};

use crate::admin::{self, State};
use crate::config::Address;

use super::admin_client::{AdminClient, NoReply, Reply};
use super::target::Target;
use super::{PROBLEMS, USAGE, complain, table};

/// `status`: something is wrong with what runs.
const DEGRADED: u8 = 1;
/// `status`: nothing runs.
const NOT_RUNNING: u8 = 3;

/// For every answer but that of a restart, which takes as long as the workers take to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a stop may take at most: requests in flight and workers have time-outs of their own, which are shorter.
const STOP_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How often a stop is looked after, and how often it is said that it still goes on.
const STOP_LOOK: Duration = Duration::from_millis(100);
const STOP_WORD: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    target: Target,
    /// Print the answer of the admin API as it is
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Restart {
    /// The upstream whose workers are replaced
    #[arg(value_name = "UPSTREAM")]
    upstream: String,
    /// Only this one
    #[arg(long, value_name = "W")]
    worker: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Status {
    pub fn run(self) -> ExitCode {
        // 1 would say that it is degraded, and that is not known.
        let address = match self.target.address(USAGE) {
            Ok(address) => address,
            Err(code) => return code,
        };
        let (reply, status) = match on_runtime(ask_status(&AdminClient::new(address))) {
            Ok(answer) => answer,
            Err(error) => {
                let gone = matches!(error, Failure::NoReply(NoReply::NotRunning { .. }));
                return complain(&error.to_string(), if gone { NOT_RUNNING } else { DEGRADED })
                    .into();
            }
        };
        let mut stdout = std::io::stdout();
        // A closed stdout is nobody's problem.
        let _ = match self.json {
            true => stdout.write_all(&reply.body).and_then(|()| writeln!(stdout)),
            false => write!(stdout, "{}", table::render(&status)),
        };
        match status.state {
            State::Ready => ExitCode::SUCCESS,
            State::Degraded | State::Stopping => DEGRADED.into(),
        }
    }
}

impl Restart {
    pub fn run(self) -> ExitCode {
        let encoded = |name| utf8_percent_encode(name, NON_ALPHANUMERIC);
        let upstream = encoded(&self.upstream);
        let path = match &self.worker {
            Some(worker) => format!("/upstreams/{upstream}/workers/{}/restart", encoded(worker)),
            None => format!("/upstreams/{upstream}/restart"),
        };
        finish(self.target, async |client| {
            client.ask(Method::POST, &path, None).await?.expect(StatusCode::OK)
        })
    }
}

/// Lets the running instance read its certificates again, and says what changed.
pub fn reload(target: Target) -> ExitCode {
    finish(target, async |client| {
        client.ask(Method::POST, "/reload", Some(PATIENCE)).await?.expect(StatusCode::OK)
    })
}

/// Stops the running instance and waits until it is gone.
pub fn stop(target: Target) -> ExitCode {
    finish(target, async |client| {
        let (_, running) = ask_status(client).await?;
        client.ask(Method::POST, "/stop", Some(PATIENCE)).await?.expect(StatusCode::ACCEPTED)?;
        wait_for_end(client, running.pid).await?;
        Ok(format!("stopped (pid {})", running.pid))
    })
}

/// Why a command did not do what it says.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    NoReply(#[from] NoReply),
    #[error("{0}")]
    Refused(String),
    #[error("this is not the admin API of asgate: {0}")]
    Stranger(String),
    #[error("asgate (pid {pid}) is still stopping; this command waits no longer")]
    StillStopping { pid: u32 },
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

impl Reply {
    /// What a reply with this status says to people.
    fn expect(self, status: StatusCode) -> Result<String, Failure> {
        if self.status == status { Ok(self.words()) } else { Err(Failure::Refused(self.words())) }
    }
}

/// Does `command`, and says what came of it.
fn finish(
    target: Target,
    command: impl AsyncFnOnce(&AdminClient) -> Result<String, Failure>,
) -> ExitCode {
    let address: Address = match target.address(PROBLEMS) {
        Ok(address) => address,
        Err(code) => return code,
    };
    let client = AdminClient::new(address);
    match on_runtime(command(&client)) {
        Ok(message) => {
            let _ = writeln!(std::io::stdout(), "{message}");
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error.to_string(), PROBLEMS).into(),
    }
}

fn on_runtime<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

async fn ask_status(client: &AdminClient) -> Result<(Reply, admin::Status), Failure> {
    let reply = client.ask(Method::GET, "/status", Some(PATIENCE)).await?;
    if reply.status != StatusCode::OK {
        return Err(Failure::Stranger(reply.words()));
    }
    let status = serde_json::from_slice(&reply.body)
        .map_err(|error| Failure::Stranger(format!("its status cannot be read: {error}")))?;
    Ok((reply, status))
}

/// Waits until the process `pid` answers no more; another may have taken its place already.
async fn wait_for_end(client: &AdminClient, pid: u32) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut said = begun;
    while begun.elapsed() < STOP_PATIENCE {
        match ask_status(client).await {
            Err(Failure::NoReply(NoReply::NotRunning { .. }) | Failure::Stranger(_)) => {
                return Ok(());
            }
            Ok((_, status)) if status.pid != pid => return Ok(()),
            Ok((_, status)) if said.elapsed() >= STOP_WORD => {
                said = Instant::now();
                let requests: u64 =
                    status.upstreams.iter().map(|upstream| upstream.requests_in_flight).sum();
                let mut stderr = std::io::stderr();
                let _ = writeln!(stderr, "stopping (pid {pid}): {requests} requests in flight");
            }
            // Cut off in the middle of an answer, it is about to end.
            Ok(_) | Err(_) => {}
        }
        sleep(STOP_LOOK).await;
    }
    Err(Failure::StillStopping { pid })
}
