//! What is executed for a worker: the interpreter and Uvicorn's options, or the user's own command filled in.
//!
//! Only looks for the interpreter and puts the event loop's module in its place; starts nothing. The environment is set
//! here too and appears nowhere else: it may hold secrets, so neither errors nor logs ever show it.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::process::Command;

use super::event_loop::{self, EventLoop, LoopError, LoopModule};
use super::interpreter::{self, InterpreterError};
use super::platform::{self, Guardian};
use crate::config::uvicorn::{is_limit, refused_variable};
use crate::config::{Address, App, Start, Transport};
use uvicorn::Uvicorn;

mod uvicorn;

/// Where Python looks for modules, beside its own directories.
const PYTHON_PATH: &str = "PYTHONPATH";

/// Set for every worker unless asgate's environment or `env` has them: lines are to appear when they are printed,
/// and in the encoding in which they are read (Python on Windows writes to pipes in the ANSI code page).
const DEFAULT_ENV: [(&str, &str); 2] = [("PYTHONUNBUFFERED", "1"), ("PYTHONIOENCODING", "utf-8")];

/// A command line that cannot be built.
#[derive(Debug, Error)]
pub enum CommandError {
    #[error(transparent)]
    Interpreter(InterpreterError),
    #[error(transparent)]
    EventLoop(LoopError),
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
    /// What the workers load; it is there for as long as this is.
    loop_module: Option<LoopModule>,
}

#[derive(Debug)]
enum Args {
    Uvicorn(Uvicorn),
    Template(Vec<String>),
}

/// A program and its arguments. `Display` quotes as a POSIX shell would want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    /// Goes first on `PYTHONPATH`.
    loop_directory: Option<PathBuf>,
}

// === impl Recipe ===

impl Recipe {
    /// `idle_timeout`: how long the edge keeps an unused connection to a worker.
    pub(super) fn new(
        app: &App,
        idle_timeout: Duration,
        guardian: &Guardian,
    ) -> Result<Self, CommandError> {
        match &app.start {
            Start::Asgi(target) => Self::uvicorn(app, target, idle_timeout, guardian),
            Start::Command(words) => Self::template(app, words),
        }
    }

    /// How workers of this recipe are reached.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// The command line of worker number `worker`, which is to listen at `address`. To be made for each start: what it
    /// needs beside the program is there from then on.
    ///
    /// # Errors
    /// The event loop's module is gone and cannot be written again.
    pub(super) fn command_line(
        &self,
        worker: u16,
        address: &Address,
    ) -> Result<CommandLine, CommandError> {
        let args = match &self.args {
            Args::Uvicorn(uvicorn) => uvicorn.args(address),
            Args::Template(words) => words.iter().map(|w| fill(w, worker, address)).collect(),
        };
        let loop_directory = self.loop_module.as_ref().map(LoopModule::directory).transpose();
        Ok(CommandLine {
            program: self.program.clone(),
            args,
            loop_directory: loop_directory.map_err(CommandError::EventLoop)?,
        })
    }

    fn uvicorn(
        app: &App,
        target: &str,
        idle_timeout: Duration,
        guardian: &Guardian,
    ) -> Result<Self, CommandError> {
        let path = variable(app, "PATH");
        let python = interpreter::find(app.python.as_deref(), &app.directory, path.as_deref())
            .map_err(CommandError::Interpreter)?;
        let EventLoop { option, module } = EventLoop::choose(app, event_loop::DEFAULT, guardian)
            .map_err(CommandError::EventLoop)?;
        let reach = match app.transport {
            Transport::Auto if platform::UNIX_SOCKETS => Reach::Socket,
            Transport::Auto | Transport::Tcp => Reach::Port,
        };
        let args = Args::Uvicorn(Uvicorn::new(target, app, idle_timeout, option));
        Ok(Self { program: python, args, reach, loop_module: module })
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
        Ok(Self { program, args: Args::Template(args.to_vec()), reach, loop_module: None })
    }
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
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Start::Asgi(_) = app.start {
            let inherited = std::env::vars_os().map(|(name, _)| name);
            inherited.filter(|name| breaks_uvicorn(name)).for_each(|name| {
                command.env_remove(name);
            });
        }
        // After that: what is refused in `env` is an error there, and a limit on connections is reckoned with.
        command.envs(&app.env);
        if let Some(directory) = &self.loop_directory {
            command.env(PYTHON_PATH, before(directory, variable(app, PYTHON_PATH)));
        }
        command
    }
}

/// What a variable is for the workers of `app`, asgate's defaults aside.
pub(super) fn variable(app: &App, name: &str) -> Option<OsString> {
    // Where several names are one variable, the last is what the worker gets.
    let given = app.env.iter().rfind(|(given, _)| canonical(given) == canonical(name));
    given.map(|(_, value)| value.into()).or_else(|| std::env::var_os(name))
}

/// Whether a variable that is inherited would make Uvicorn something else than asgate's worker, or refuse requests that it
/// was given a slot for.
fn breaks_uvicorn(name: &OsStr) -> bool {
    let name = name.to_str();
    name.is_some_and(|name| refused_variable(name).is_some() || is_limit(name))
}

/// How a variable is called in Python's `os.environ`: on Windows, where letter case makes no difference to the system,
/// in capitals.
fn canonical(name: &str) -> Cow<'_, str> {
    match cfg!(windows) {
        true => Cow::Owned(name.to_uppercase()),
        false => Cow::Borrowed(name),
    }
}

/// `PYTHONPATH` with `directory` before what is there.
fn before(directory: &Path, existing: Option<OsString>) -> OsString {
    const SEPARATOR: &str = if cfg!(windows) { ";" } else { ":" };
    let mut path = OsString::from(directory);
    // An empty entry would be the working directory; an empty variable is nothing.
    if let Some(existing) = existing.filter(|existing| !existing.is_empty()) {
        path.push(SEPARATOR);
        path.push(existing);
    }
    path
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
