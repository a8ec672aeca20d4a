//! What the module promises: every kind of mistake with the exact line it is reported in, and what
//! a file without mistakes becomes.

use std::path::Path;

use super::{Config, Problems, parse};

mod accepted;
mod certificates;
mod documents;
mod front;
mod fuzz;
mod problems;
mod units;
mod unreadable;
mod upstreams;
mod warnings;
mod yaml;

/// A file name that is in no directory but the current one.
const FILE: &str = "asgate.yaml";

/// The environment of the tests.
fn env(name: &str) -> Option<String> {
    match name {
        "ADDRESS" => Some("127.0.0.1:8080".to_owned()),
        "SECRET" => Some("hunter2".to_owned()),
        "FOUR" => Some("4".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, Problems> {
    parse(text, Path::new(FILE), &env).map(|loaded| loaded.config)
}

/// All that is said about `text`, warnings included; empty when it is fine.
fn said(text: &str) -> String {
    match parse(text, Path::new(FILE), &env) {
        Ok(loaded) => loaded.warnings.to_string(),
        Err(problems) => problems.to_string(),
    }
}

/// A valid file with one listener, one upstream of each kind, one route; what a test is about is
/// put in by replacing a line.
const VALID: &str = "\
listeners:
  - address: 127.0.0.1:8080
upstreams:
  app:
    app:
      asgi: main:app
  backend:
    servers:
      - address: 127.0.0.1:8001
routes:
  - upstream: app
";

/// `VALID` with the only occurrence of `old` replaced.
fn with(old: &str, new: &str) -> String {
    assert_eq!(VALID.matches(old).count(), 1, "{old:?} must be there once");
    VALID.replace(old, new)
}
