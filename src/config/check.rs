//! Model → [`super::checked`]: what the types cannot say.
//!
//! Every check reports what it finds and goes on. A function returns `None` when, and only when,
//! something was reported, here or before; nothing is reported twice. What is only warned of is not
//! refused. Looks at the file system (does a directory exist?), never at the network.

use std::collections::HashMap;
use std::path::Path;

use super::checked::{AccessLog, Address, Config, Logging};
use super::model;
use super::place::Place;
use super::problem::{Problem, Severity};
use super::structure::Shaped;
use super::yaml::Kind;

mod access;
mod actions;
mod address;
mod app;
mod arguments;
mod balance;
mod certificates;
mod files;
mod headers;
mod health;
mod lifecycle;
mod listeners;
mod matches;
mod network;
mod pool;
mod reach;
mod routes;
mod servers;
mod text;
mod tls;
mod upstreams;

/// What the checks share.
struct Check<'a> {
    /// Relative paths start here; absolute.
    base: &'a Path,
    /// What the structure left out; `None` when the model did not come from a file.
    shaped: Option<&'a Shaped>,
    problems: Vec<Problem>,
}

/// Names of the upstreams in the order of the file.
struct Names<'a> {
    list: Vec<&'a str>,
    index: HashMap<&'a str, usize>,
    /// Whether all are known: an upstream may be missing because its section was refused.
    complete: bool,
}

/// Check the whole. `root` is the tree that `file` was read from, `base` the directory that
/// relative paths start from. The configuration is `None` only when there are problems; without a
/// problem here it may still be incomplete if `shaped` left something out.
pub fn check(
    file: &model::File,
    root: &Place<'_>,
    shaped: Option<&Shaped>,
    base: &Path,
) -> (Option<Config>, Vec<Problem>) {
    let mut check = Check { base, shaped, problems: Vec::new() };
    let config = check.file(file, root);
    (config, check.problems)
}

/// Check the `admin` section alone; no address where there is none.
pub fn check_admin(
    file: &model::File,
    root: &Place<'_>,
    base: &Path,
) -> (Option<Address>, Vec<Problem>) {
    let mut check = Check { base, shaped: None, problems: Vec::new() };
    let place = root.key("admin");
    let address = file.admin.as_ref().and_then(|admin| check.admin(admin, &place));
    (address.map(|(address, _)| address), check.problems)
}

impl Check<'_> {
    fn file(&mut self, file: &model::File, root: &Place<'_>) -> Option<Config> {
        let (listeners, mut listening) = self.listeners(file, root);
        let admin = match &file.admin {
            Some(admin) => self.admin(admin, &root.key("admin")).map(Some),
            None => Some(None),
        };
        listening.extend(admin.clone().flatten());
        self.no_overlap(&listening);
        let trusted_proxies = self.networks(&file.trusted_proxies, &root.key("trusted_proxies"));
        let trusted_headers = self.trusted_headers(file, root);
        let ordered = upstreams::in_order(&file.upstreams, &root.key("upstreams"));
        let names = self.names(&ordered, root);
        let upstreams = self.upstreams(&ordered);
        let resolver = self.resolver(&file.resolver, &root.key("resolver"));
        let routes = self.routes(&file.routes, &root.key("routes"), &names);
        self.clients_without_address(file, root);
        Some(Config {
            listeners: listeners?,
            trusted_proxies: trusted_proxies?,
            trusted_headers: trusted_headers?,
            upstreams: upstreams?,
            resolver: resolver?,
            routes: routes?,
            shutdown_timeout: file.shutdown_timeout.0,
            admin: admin?.map(|(address, _)| address),
            logging: logging(&file.logging),
        })
    }

    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Of `problem`, what is allowed is what is advised.
    fn warn(&mut self, problem: Problem) {
        self.problems.push(Problem { severity: Severity::Warning, ..problem });
    }

    /// Whether something at `place` was refused before, so that what seems missing may be there.
    fn is_damaged(&self, place: &Place<'_>) -> bool {
        self.shaped.is_some_and(|shaped| shaped.is_damaged(place))
    }

    /// Complain of an empty list; of what was never there, or is no list, somebody else has.
    fn not_empty<T>(&mut self, list: &[T], place: &Place<'_>, allowed: &str) -> Option<()> {
        if !list.is_empty() {
            return Some(());
        }
        let kind = place.node().map(|node| &node.kind);
        if matches!(kind, Some(Kind::List(items)) if items.is_empty()) {
            self.report(place.problem("is empty", allowed));
        }
        None
    }
}

/// Every value, unless one is missing.
fn all<T>(values: Vec<Option<T>>) -> Option<Vec<T>> {
    values.into_iter().collect()
}

fn logging(logging: &model::Logging) -> Logging {
    use log::LevelFilter;
    let level = match logging.level {
        model::Level::Off => LevelFilter::Off,
        model::Level::Error => LevelFilter::Error,
        model::Level::Warn => LevelFilter::Warn,
        model::Level::Info => LevelFilter::Info,
        model::Level::Debug => LevelFilter::Debug,
        model::Level::Trace => LevelFilter::Trace,
    };
    let access = match (logging.access.format, logging.access.output) {
        (_, model::AccessOutput::Off) => AccessLog::Off,
        (model::AccessFormat::Ecs, model::AccessOutput::Stdout) => AccessLog::Stdout,
    };
    Logging { level, access }
}
