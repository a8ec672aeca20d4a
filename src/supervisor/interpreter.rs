//! Finds the Python interpreter of an app.
//!
//! Only looks at the file system; does not run anything. The path is returned as found: following the symbolic
//! link `.venv/bin/python` to the system's interpreter would leave the virtual environment.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::platform;

/// Names that a virtual environment has by custom, in the order in which they are tried.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

/// No usable interpreter.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InterpreterError {
    #[error("python: {} is not there or not executable", .0.display())]
    NotExecutable(PathBuf),
    #[error("python: {0} is not on the PATH")]
    NotOnPath(String),
    #[error(
        "no Python interpreter: neither .venv nor venv in {} has one, and none of {} is on the PATH (set `python`)",
        directory.display(),
        tried.join(", ")
    )]
    None { directory: PathBuf, tried: &'static [&'static str] },
}

/// The interpreter for an app in `directory`: `configured` if given (a bare name is looked up on `path`, anything
/// else is taken as it is); else that of the directory's virtual environment; else the system's, from `path`.
/// `path` has the form of the environment variable `PATH`.
///
/// # Errors
/// None of them exists and is executable. A configured one is never replaced by another.
pub(super) fn find(
    configured: Option<&Path>,
    directory: &Path,
    path: Option<&OsStr>,
) -> Result<PathBuf, InterpreterError> {
    if let Some(configured) = configured {
        return find_configured(configured, path);
    }
    ENVIRONMENTS
        .iter()
        .map(|name| directory.join(name).join(platform::INTERPRETER_IN_ENVIRONMENT))
        .find(|candidate| platform::is_executable(candidate))
        .or_else(|| platform::INTERPRETERS.iter().find_map(|name| search(name, path)))
        .ok_or_else(|| InterpreterError::None {
            directory: directory.to_owned(),
            tried: platform::INTERPRETERS,
        })
}

fn find_configured(configured: &Path, path: Option<&OsStr>) -> Result<PathBuf, InterpreterError> {
    if configured.components().count() > 1 {
        return match platform::is_executable(configured) {
            true => Ok(configured.to_owned()),
            false => Err(InterpreterError::NotExecutable(configured.to_owned())),
        };
    }
    let name = configured.to_string_lossy();
    search(&name, path).ok_or_else(|| InterpreterError::NotOnPath(name.into_owned()))
}

/// The first executable of this name in the directories of `path`. Relative and empty entries are skipped: they
/// would mean asgate's working directory, which is not the app's.
fn search(name: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    let file = match name.ends_with(EXE_SUFFIX) {
        true => name.to_owned(),
        false => format!("{name}{EXE_SUFFIX}"),
    };
    std::env::split_paths(path?)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(&file))
        .find(|candidate| platform::is_executable(candidate))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
