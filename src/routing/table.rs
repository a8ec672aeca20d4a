//! From host, path and conditions to a route: compiled once, asked once per request.
//!
//! Precedence, the first that takes the request wins:
//! 1. host: the exact name, then wildcards from the longest to the shortest, then routes without a
//!    host;
//! 2. within a host: the exact path, then prefixes from the longest to the shortest, then regexes in
//!    the order of the file;
//! 3. within the same host and path: the order of the file, among the routes whose method, header
//!    and query conditions hold.
//!
//! When no route of a step takes the request, the search goes on to the next, less specific one.
//!
//! A lookup hashes the host and those of its parents and of the path's parents whose length some
//! pattern has. Its cost therefore grows neither with the number of hosts and prefixes nor, beyond
//! the longest prefix, with the path that a client chose. Only regexes are tried one by one.

use std::collections::HashMap;
use std::sync::Arc;

use memchr::{memchr_iter, memrchr_iter};
use regex::Regex;

use super::conditions::Conditions;
use super::{Request, path};
use crate::config::{HostPattern, PathPattern, Route};

#[cfg(test)]
mod tests;

/// The routes of one configuration, ready for lookups.
#[derive(Debug, Default)]
pub struct Table {
    /// By the whole name.
    exact: Patterns<Paths>,
    /// By the part that stands for itself, with its leading dot: `.example.com`.
    wildcard: Patterns<Paths>,
    any: Paths,
}

/// The routes of one host pattern.
#[derive(Debug, Default)]
struct Paths {
    exact: Patterns<Candidates>,
    prefix: Patterns<Candidates>,
    regex: Vec<(Regex, Candidate)>,
}

/// Routes with the same host and path, in the order of the file.
type Candidates = Vec<Candidate>;

#[derive(Debug, Clone)]
struct Candidate {
    /// Index into the routes that the table was compiled from.
    route: usize,
    /// Shared between the hosts of a route.
    conditions: Option<Arc<Conditions>>,
}

/// Values by pattern text, and which lengths those texts have: most lookups that must fail do so
/// without hashing.
#[derive(Debug)]
struct Patterns<V> {
    by_text: HashMap<Box<str>, V>,
    /// `lengths[n]` tells whether some text has `n` bytes; one longer than the longest text.
    lengths: Vec<bool>,
}

impl Table {
    /// Compiles routes. Path patterns are brought into the form that requests are compared in
    /// ([`path::canonical`]); one that has no such form, such as a prefix with a raw space, matches
    /// nothing.
    pub fn compile(routes: &[Route]) -> Self {
        let mut table = Self::default();
        for (index, route) in routes.iter().enumerate() {
            let candidate = Candidate {
                route: index,
                conditions: Conditions::of(&route.matches).map(Arc::new),
            };
            let path = &route.matches.path;
            if route.matches.hosts.is_empty() {
                table.any.insert(path, candidate.clone());
            }
            for host in &route.matches.hosts {
                let paths = match host {
                    HostPattern::Exact(name) => table.exact.entry(name),
                    HostPattern::Wildcard(suffix) => table.wildcard.entry(suffix),
                };
                paths.insert(path, candidate.clone());
            }
        }
        table
    }

    /// The index of the route that takes the request; `None` when no route does.
    pub fn find(&self, request: &Request<'_>) -> Option<usize> {
        self.exact
            .get(request.host)
            .and_then(|paths| paths.find(request))
            .or_else(|| self.wildcards(request.host).find_map(|paths| paths.find(request)))
            .or_else(|| self.any.find(request))
    }

    /// From the longest to the shortest. At least one label stands before the dot of a wildcard.
    fn wildcards<'t>(&'t self, host: &'t str) -> impl Iterator<Item = &'t Paths> {
        let host = if self.wildcard.is_empty() { "" } else { host };
        memchr_iter(b'.', host.as_bytes())
            .filter(|dot| *dot > 0)
            .filter_map(move |dot| self.wildcard.get(host.get(dot..)?))
    }
}

impl Paths {
    fn insert(&mut self, pattern: &PathPattern, candidate: Candidate) {
        match pattern {
            PathPattern::Exact(path) => self.exact.entry(&canonical(path)).push(candidate),
            PathPattern::Prefix(prefix) => self.prefix.entry(&canonical(prefix)).push(candidate),
            PathPattern::Regex(regex) => self.regex.push((regex.clone(), candidate)),
        }
    }

    fn find(&self, request: &Request<'_>) -> Option<usize> {
        let exact = || self.exact.get(request.path).and_then(|routes| first(routes, request));
        let prefix = || self.prefixes(request.path).find_map(|routes| first(routes, request));
        let regex = || {
            self.regex
                .iter()
                .find(|(regex, route)| route.takes(request) && regex.is_match(request.path))
                .map(|(_, route)| route.route)
        };
        exact().or_else(prefix).or_else(regex)
    }

    /// From the longest to the shortest. A prefix ends with the path, before a `/`, or in one.
    fn prefixes<'t>(&'t self, path: &'t str) -> impl Iterator<Item = &'t Candidates> {
        let reach = path.as_bytes().get(..self.prefix.lengths.len()).unwrap_or(path.as_bytes());
        let whole = (!path.ends_with('/')).then_some(path.len());
        // In `//` one place is looked up twice, which costs less than remembering it.
        let at_slashes = memrchr_iter(b'/', reach).flat_map(|slash| [slash + 1, slash]);
        whole
            .into_iter()
            .chain(at_slashes)
            .filter_map(move |length| self.prefix.get(path.get(..length)?))
    }
}

impl Candidate {
    fn takes(&self, request: &Request<'_>) -> bool {
        self.conditions.as_ref().is_none_or(|conditions| conditions.hold(request))
    }
}

fn first(routes: &[Candidate], request: &Request<'_>) -> Option<usize> {
    routes.iter().find(|route| route.takes(request)).map(|route| route.route)
}

/// A pattern as requests spell it; the empty prefix is that of every path.
fn canonical(pattern: &str) -> String {
    let pattern = if pattern.is_empty() { "/" } else { pattern };
    path::canonical(pattern.as_bytes())
        .map_or_else(|_| pattern.to_owned(), |path| path.into_owned())
}

impl<V: Default> Patterns<V> {
    fn entry(&mut self, text: &str) -> &mut V {
        if self.lengths.len() <= text.len() {
            self.lengths.resize(text.len() + 1, false);
        }
        if let Some(known) = self.lengths.get_mut(text.len()) {
            *known = true;
        }
        self.by_text.entry(text.into()).or_default()
    }

    fn get(&self, text: &str) -> Option<&V> {
        let known = self.lengths.get(text.len()).copied().unwrap_or(false);
        if known { self.by_text.get(text) } else { None }
    }

    fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

impl<V> Default for Patterns<V> {
    fn default() -> Self {
        Self { by_text: HashMap::new(), lengths: Vec::new() }
    }
}
