//! What is executed for a worker: the interpreter and Uvicorn's options, or the user's own command filled in.
//!
//! Pure but for the interpreter look-up. The environment is set here too and appears nowhere else: it may hold
//! secrets, so neither errors nor logs ever show it.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use tokio::process::Command;

use super::interpreter::{self, InterpreterError};
use super::platform;
use crate::config::{Address, App, Start, Transport};

/// Seconds that a worker keeps an unused connection. Above the 60 s after which the edge lets go of it, so that
/// the edge is always the one to close and no request is sent into a connection that the worker is closing.
const KEEP_ALIVE_SECONDS: u64 = 75;

/// Set for every worker unless asgate's environment or `env` has them: lines are to appear when they are printed,
/// and in the encoding in which they are read (Python on Windows writes to pipes in the ANSI code page).
const DEFAULT_ENV: [(&str, &str); 2] = [("PYTHONUNBUFFERED", "1"), ("PYTHONIOENCODING", "utf-8")];

/// A command line that cannot be built.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CommandError {
    #[error(transparent)]
    Interpreter(InterpreterError),
    #[error("command: is empty")]
    Empty,
    #[error("command: says nowhere where to listen; put {{port}} or {{socket}} into it")]
    NoAddress,
    #[error("command: has both {{port}} and {{socket}}; a worker listens at one address")]
    TwoAddresses,
    #[error("command: {{socket}} needs Unix sockets, which workers do not have here; use {{port}}")]
    NoSockets,
}

/// How the edge reaches the workers, once decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Socket,
    Port,
}

/// How to build the command line of any worker of an app; everything that can be wrong with it is found when it
/// is made.
#[derive(Debug)]
pub(super) struct Recipe {
    program: PathBuf,
    args: Args,
    reach: Reach,
}

#[derive(Debug)]
enum Args {
    Uvicorn { app: String, root_path: String, stop_seconds: u64 },
    Template(Vec<String>),
}

/// A program and its arguments. `Display` quotes as a POSIX shell would want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
}

// === impl Recipe ===

impl Recipe {
    pub(super) fn new(app: &App) -> Result<Self, CommandError> {
        match &app.start {
            Start::Asgi(target) => Self::uvicorn(app, target),
            Start::Command(words) => Self::template(app, words),
        }
    }

    /// How workers of this recipe are reached.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// The command line of worker number `worker`, which is to listen at `address`.
    pub(super) fn command_line(&self, worker: u16, address: &Address) -> CommandLine {
        let args = match &self.args {
            Args::Uvicorn { app, root_path, stop_seconds } => {
                uvicorn_args(app, root_path, *stop_seconds, address)
            }
            Args::Template(words) => words.iter().map(|w| fill(w, worker, address)).collect(),
        };
        CommandLine { program: self.program.clone(), args }
    }

    fn uvicorn(app: &App, target: &str) -> Result<Self, CommandError> {
        let path = app.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
        let python = interpreter::find(app.python.as_deref(), &app.directory, path.as_deref())
            .map_err(CommandError::Interpreter)?;
        let args = Args::Uvicorn {
            app: target.to_owned(),
            root_path: app.root_path.clone(),
            // Uvicorn takes whole seconds and must be done before asgate loses patience.
            stop_seconds: app.stop_timeout.as_secs().max(1),
        };
        let reach = match app.transport {
            Transport::Auto if platform::UNIX_SOCKETS => Reach::Socket,
            Transport::Auto | Transport::Tcp => Reach::Port,
        };
        Ok(Self { program: python, args, reach })
    }

    fn template(app: &App, words: &[String]) -> Result<Self, CommandError> {
        let (program, args) = words.split_first().ok_or(CommandError::Empty)?;
        let has = |placeholder| args.iter().any(|word| word.contains(placeholder));
        let reach = match (has("{socket}"), has("{port}")) {
            (true, true) => return Err(CommandError::TwoAddresses),
            (false, false) => return Err(CommandError::NoAddress),
            (true, false) if !platform::UNIX_SOCKETS => return Err(CommandError::NoSockets),
            (true, false) => Reach::Socket,
            (false, true) => Reach::Port,
        };
        let program = Path::new(program);
        // Whether a relative program is meant relative to the parent's or the child's directory differs between
        // systems; a bare name is left alone and looked up on the PATH.
        let program = match program.components().count() {
            0 | 1 => program.to_owned(),
            _ => app.directory.join(program),
        };
        Ok(Self { program, args: Args::Template(args.to_vec()), reach })
    }
}

fn uvicorn_args(app: &str, root_path: &str, stop_seconds: u64, address: &Address) -> Vec<String> {
    let mut args: Vec<String> = ["-m", "uvicorn", app].map(str::to_owned).into();
    let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
    match address {
        Address::Unix(socket) => {
            option("--uds", socket.to_string_lossy().into_owned());
        }
        Address::Tcp(address) => {
            option("--host", address.ip().to_string());
            option("--port", address.port().to_string());
        }
    }
    // The edge says who the client is, first in a chain that it cleaned. Uvicorn takes the first of a chain whose hops it
    // all trusts, and a Unix socket's peer has no address that anything narrower than `*` would match.
    option("--forwarded-allow-ips", "*".to_owned());
    // Said aloud because WEB_CONCURRENCY in the environment would make it start a process tree of its own.
    option("--workers", "1".to_owned());
    option("--timeout-keep-alive", KEEP_ALIVE_SECONDS.to_string());
    option("--timeout-graceful-shutdown", stop_seconds.to_string());
    if !root_path.is_empty() {
        option("--root-path", root_path.to_owned());
    }
    // The edge writes the access log, and knows more.
    args.push("--no-access-log".to_owned());
    args
}

/// The socket comes last: a path that happens to contain a placeholder is left as it is.
fn fill(word: &str, worker: u16, address: &Address) -> String {
    let word = word.replace("{worker}", &worker.to_string());
    match address {
        Address::Tcp(address) => word.replace("{port}", &address.port().to_string()),
        Address::Unix(socket) => word.replace("{socket}", &socket.to_string_lossy()),
    }
}

// === impl CommandLine ===

impl CommandLine {
    /// Ready to be spawned as a worker of `app`: directory, environment, captured output, no input.
    pub(super) fn to_command(&self, app: &App) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(&app.directory)
            .envs(DEFAULT_ENV.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()))
            .envs(&app.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(self.program.as_os_str()))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(OsStr::new(arg))))
    }
}

fn quoted(word: &OsStr) -> Cow<'_, str> {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "_@%+=:,./\\-{}".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word,
        false => Cow::Owned(format!("'{}'", word.replace('\'', r"'\''"))),
    }
}

#[cfg(test)]
mod tests;
