//! The event loop of Uvicorn workers: which one they are given, and the module `asgate_loop` that holds ours.
//!
//! On Windows, asyncio's proactor loop closes its listening socket when a client resets a connection before it was
//! accepted (CPython issue 93821); `asgate_loop.py` says more. Only writes the module to a directory and names it;
//! the command line is `command`'s.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use thiserror::Error;

use super::command;
use super::platform::Guardian;
use super::private_directory::{DirectoryError, PrivateDirectory};
use crate::config::{App, uvicorn};

/// What Uvicorn's `--loop` is called among its arguments and in the environment.
const OPTION: &str = "--loop";
const VARIABLE: &str = "UVICORN_LOOP";

const MODULE: &str = "asgate_loop";
const SOURCE: &str = include_str!("asgate_loop.py");
/// The factory in it.
pub(super) const FACTORY: &str = "asgate_loop:new_event_loop";

/// What workers are given unless the user wants something else. `None`: Uvicorn's own choice.
pub(super) const DEFAULT: Option<&str> = if cfg!(windows) { Some(FACTORY) } else { None };

/// The module cannot be put where workers find it.
#[derive(Debug, Error)]
pub enum LoopError {
    #[error("cannot create a private directory for the event loop, {0}")]
    Directory(DirectoryError),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What an app's workers need for their event loop.
#[derive(Debug)]
pub(super) struct EventLoop {
    /// What asgate passes as `--loop`, if anything.
    pub(super) option: Option<&'static str>,
    /// There when the workers load it.
    pub(super) module: Option<LoopModule>,
}

/// The module in a directory of its own, which goes away with this.
#[derive(Debug)]
pub(super) struct LoopModule(Mutex<PrivateDirectory>);

impl EventLoop {
    /// The user's choice, in `args` or a variable, else `default`. Someone who names our module gets it on any system.
    pub(super) fn choose(
        app: &App,
        default: Option<&'static str>,
        guardian: &Guardian,
    ) -> Result<Self, LoopError> {
        let wanted = wanted(app);
        let option = if wanted.is_some() { None } else { default };
        let is_ours = |factory: &str| factory.split(':').next() == Some(MODULE);
        let module = match option.or(wanted.as_ref().and_then(|wanted| wanted.to_str())) {
            Some(factory) if is_ours(factory) => Some(LoopModule::install(guardian)?),
            _ => None,
        };
        Ok(Self { option, module })
    }
}

/// The loop that the user asks for; arguments win over variables, and `env` over what is inherited.
fn wanted(app: &App) -> Option<OsString> {
    let argument = uvicorn::last_value(&app.args, OPTION);
    argument.map(OsString::from).or_else(|| command::variable(app, VARIABLE))
}

impl LoopModule {
    fn install(guardian: &Guardian) -> Result<Self, LoopError> {
        let directory = PrivateDirectory::create(guardian).map_err(LoopError::Directory)?;
        write_into(directory.path())?;
        Ok(Self(Mutex::new(directory)))
    }

    /// Where Python has to look for it, to be asked for before each start: the module is written again if it is not
    /// there any more, since cleaners of temporary files take what nobody wrote to for long.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn directory(&self) -> Result<PathBuf, LoopError> {
        // Held for as long as it takes, so that nobody starts a worker while another's start has written half of it.
        let mut directory = self.0.lock();
        directory.restore().map_err(LoopError::Directory)?;
        write_into(directory.path())?;
        Ok(directory.path().to_owned())
    }
}

/// Leaves a module that is whole as it is: a worker may just be reading it.
fn write_into(directory: &Path) -> Result<(), LoopError> {
    let path = directory.join(format!("{MODULE}.py"));
    if std::fs::read(&path).is_ok_and(|there| there == SOURCE.as_bytes()) {
        return Ok(());
    }
    std::fs::write(&path, SOURCE).map_err(|source| LoopError::Write { path, source })
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
