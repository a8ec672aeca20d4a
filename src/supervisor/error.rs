//! Why a worker could not be started, told so that one message is enough to mend it.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

use super::addresses::AddressError;
use super::command::CommandError;
use super::readiness::Silence;

/// A worker that did not come up: who, why, the command (never the environment), and its own last lines.
///
/// `Display` gives all of it, over several lines; [`StartError::headline`] only the first.
#[derive(Debug)]
pub struct StartError(Box<Account>);

#[derive(Debug)]
struct Account {
    upstream: String,
    /// `None`: it concerns every worker of the upstream.
    worker: Option<u16>,
    cause: StartCause,
    command: Option<String>,
    last_lines: Vec<String>,
}

/// What went wrong with a start.
#[derive(Debug, Error)]
pub enum StartCause {
    #[error(transparent)]
    Command(CommandError),
    #[error(transparent)]
    Address(AddressError),
    #[error("cannot start the process: {0}")]
    Spawn(io::Error),
    #[error("ended before it was ready ({0})")]
    Exited(ExitStatus),
    #[error("the process cannot be waited for: {0}")]
    Lost(io::Error),
    #[error("not ready within startup_timeout ({}s): {silence}", within.as_secs_f64())]
    NotReady { within: Duration, silence: Silence },
    #[error("stopped before all workers were ready")]
    Abandoned,
}

impl StartError {
    pub(super) fn of_upstream(upstream: &str, cause: StartCause) -> Self {
        Self(Box::new(Account {
            upstream: upstream.to_owned(),
            worker: None,
            cause,
            command: None,
            last_lines: Vec::new(),
        }))
    }

    pub(super) fn of_worker(upstream: &str, worker: u16, cause: StartCause) -> Self {
        let mut error = Self::of_upstream(upstream, cause);
        error.0.worker = Some(worker);
        error
    }

    /// Adds what the worker was started with.
    pub(super) fn with_command(mut self, command: &impl fmt::Display) -> Self {
        self.0.command = Some(command.to_string());
        self
    }

    /// Adds what the worker said last, oldest line first.
    pub(super) fn with_last_lines(mut self, last_lines: Vec<String>) -> Self {
        self.0.last_lines = last_lines;
        self
    }

    /// What went wrong.
    pub fn cause(&self) -> &StartCause {
        &self.0.cause
    }

    /// The first line of the message: upstream, worker, cause.
    pub fn headline(&self) -> String {
        let Account { upstream, worker, cause, .. } = self.0.as_ref();
        match worker {
            Some(worker) => format!("upstream {upstream}, worker {worker}: {cause}"),
            None => format!("upstream {upstream}: {cause}"),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        let Some(command) = &self.0.command else {
            return Ok(());
        };
        write!(f, "\n  command: {command}")?;
        if !self.0.last_lines.is_empty() {
            f.write_str("\n  its last lines:")?;
        }
        self.0.last_lines.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// No `source`: the message above holds the whole chain already.
impl std::error::Error for StartError {}
