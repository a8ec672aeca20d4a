//! The event loop of Uvicorn workers: which one they are given, and the module `asgate_loop` that holds ours.
//!
//! On Windows, asyncio's proactor loop closes its listening socket when a client resets a connection before it was
//! accepted (CPython issue 93821); `asgate_loop.py` says more. Only writes the module to a directory and names it;
//! the command line is `command`'s.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

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
pub(super) struct LoopModule(PrivateDirectory);

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
        let module = match option.or(wanted.as_deref()) {
            Some(factory) if is_ours(factory) => Some(LoopModule::install(guardian)?),
            _ => None,
        };
        Ok(Self { option, module })
    }
}

/// The loop that the user asks for; arguments win over variables, and `env` over what is inherited.
fn wanted(app: &App) -> Option<Cow<'_, str>> {
    let argument = uvicorn::last_value(&app.args, OPTION);
    let given = argument.or_else(|| app.env.get(VARIABLE).map(String::as_str));
    given.map(Cow::Borrowed).or_else(|| std::env::var(VARIABLE).ok().map(Cow::Owned))
}

impl LoopModule {
    fn install(guardian: &Guardian) -> Result<Self, LoopError> {
        let directory = PrivateDirectory::create(guardian).map_err(LoopError::Directory)?;
        let path = directory.path().join(format!("{MODULE}.py"));
        match std::fs::write(&path, SOURCE) {
            Ok(()) => Ok(Self(directory)),
            Err(source) => Err(LoopError::Write { path, source }),
        }
    }

    /// Where Python has to look for it.
    pub(super) fn directory(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
