//! The configuration of `asgate serve MODULE:APP`: no file, one app behind one listener.
//!
//! It goes through the same checks as a file; the messages name the options of the command.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use super::check::check;
use super::checked::Config;
use super::model;
use super::place::Place;
use super::problem::{Problem, Severity, quoted};

/// Name of the upstream and of the route.
const NAME: &str = "app";

/// Path of a key in the model, the option that sets it, in the words of the command line.
const OPTIONS: [(&str, &str); 5] = [
    ("listeners[0].address", "--listen"),
    ("upstreams.app.app.asgi", "MODULE:APP"),
    ("upstreams.app.app.workers", "--workers"),
    ("upstreams.app.app.directory", "--directory"),
    ("upstreams.app.app.python", "--python"),
];

impl Config {
    /// One listener on `listen`, with HTTP/2, and `workers` supervised Uvicorn workers for `asgi`
    /// (`module:attribute`) in `directory`. Relative paths are relative to the current directory.
    ///
    /// # Errors
    /// One message for each option that is wrong: `--listen: what is wrong (got X, allowed Y)`.
    pub fn for_app(
        asgi: &str,
        listen: &str,
        workers: NonZeroU16,
        directory: &Path,
        python: Option<&Path>,
    ) -> Result<Self, Vec<String>> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let values = [
            listen.to_owned(),
            asgi.to_owned(),
            workers.to_string(),
            path(directory),
            python.map(path).unwrap_or_default(),
        ];
        let app = model::App {
            asgi: Some(asgi.to_owned()),
            directory: Some(path(directory)),
            python: python.map(path),
            workers,
            ..model::App::default()
        };
        let base = std::path::absolute(".").unwrap_or_else(|_| PathBuf::from("."));
        let (config, problems) = check(&file(listen, app), &Place::nowhere(), None, &base);
        let message = |problem: &Problem| message(problem, &values);
        match config {
            // No option can bring a warning about.
            Some(config) if problems.iter().all(|p| p.severity == Severity::Warning) => Ok(config),
            _ => Err(problems.iter().map(message).collect()),
        }
    }
}

fn file(listen: &str, app: model::App) -> model::File {
    let listener = model::Listener {
        address: Some(listen.to_owned()),
        http2: Some(true),
        ..model::Listener::default()
    };
    let upstream = model::Upstream { app: Some(app), ..model::Upstream::default() };
    let route = model::Route {
        name: Some(NAME.to_owned()),
        upstream: Some(NAME.to_owned()),
        ..model::Route::default()
    };
    model::File {
        listeners: vec![listener],
        upstreams: BTreeMap::from([(NAME.to_owned(), upstream)]),
        routes: vec![route],
        ..model::File::default()
    }
}

/// `problem` in the words of the command line.
fn message(problem: &Problem, values: &[String; 5]) -> String {
    let option = OPTIONS.iter().zip(values).find(|((path, _), _)| *path == problem.path);
    match option {
        Some(((_, option), value)) => {
            let (what, allowed) = (&problem.what, &problem.allowed);
            format!("{option}: {what} (got {}, allowed {allowed})", quoted(value))
        }
        None => problem.to_string(),
    }
}
