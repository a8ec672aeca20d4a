//! Whether each route can be reached, or others take all its requests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter::repeat;

use http::Method;

use super::super::checked::{HostPattern, Match, PathPattern};
use super::super::place::Place;
use super::Check;

/// Host and path of a route: those that share them are told apart by their conditions, and by their order.
type Spot<'a> = (Option<&'a HostPattern>, (Kind, &'a str));

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Exact,
    Prefix,
    Regex,
}

/// Every path.
const ALL: (Kind, &str) = (Kind::Prefix, "/");

impl Check<'_> {
    /// Refuses a route that says the same as one before it, and warns of one that takes nothing because others take all
    /// that it could. Of `matches`, `None` is what was refused before.
    pub(super) fn each_is_reached(&mut self, matches: &[Option<Match>], place: &Place<'_>) {
        let twins = self.refuse_twins(matches, place);
        let spots = Spots::of(matches);
        for (index, route) in matches.iter().enumerate() {
            let Some(route) = route.as_ref().filter(|_| !twins.contains(&index)) else { continue };
            let Some(others) = spots.before(index, route) else { continue };
            let names: Vec<_> = others.keys().map(|other| format!("routes[{other}]")).collect();
            let names = names.join(" or ");
            let is_hopeless = others.values().any(|by| *by == By::EveryPath);
            let advised = if is_hopeless {
                "a prefix or an exact path: any prefix comes before a regular expression".to_owned()
            } else {
                format!("other conditions, or a place before {names}")
            };
            let got = format!("only requests that {names} takes first");
            let place = place.item(index).key("match");
            self.warn(place.problem_with("is never reached", got, advised));
        }
    }

    /// Refuses routes that say the same as one before them; returns which.
    fn refuse_twins(&mut self, matches: &[Option<Match>], place: &Place<'_>) -> BTreeSet<usize> {
        let mut first = HashMap::new();
        let mut twins = BTreeSet::new();
        for (index, matches) in matches.iter().enumerate() {
            let Some(matches) = matches else { continue };
            if let Some(other) = first.insert(identity(matches), index) {
                let what = format!("matches the same requests as routes[{other}]");
                let problem = place.item(index).key("match");
                let allowed = "other conditions: the first of the two takes all requests";
                self.report(problem.problem_with(what, "the same conditions", allowed));
                twins.insert(index);
            }
        }
        twins
    }
}

/// Why a route comes before another and takes all its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// It takes every path, before any regular expression is asked.
    EveryPath,
    /// It has the same path and stands before it.
    Order,
}

/// The routes with the same host and path, in the order of the file.
struct Spots<'a>(HashMap<Spot<'a>, Vec<(usize, &'a Match)>>);

impl<'a> Spots<'a> {
    fn of(matches: &'a [Option<Match>]) -> Self {
        let mut spots: HashMap<_, Vec<_>> = HashMap::new();
        for (index, matches) in matches.iter().enumerate() {
            let Some(matches) = matches else { continue };
            for host in hosts(matches) {
                spots.entry((host, path(matches))).or_default().push((index, matches));
            }
        }
        Self(spots)
    }

    /// Who takes all that the route at `index` could, one for each of its hosts; `None` when something is left to it.
    fn before(&self, index: usize, route: &Match) -> Option<BTreeMap<usize, By>> {
        hosts(route).into_iter().map(|host| self.before_at(host, index, route)).collect()
    }

    fn before_at(
        &self,
        host: Option<&HostPattern>,
        index: usize,
        route: &Match,
    ) -> Option<(usize, By)> {
        let at = |path| self.0.get(&(host, path)).into_iter().flatten();
        let (kind, text) = path(route);
        let general = at(ALL).filter(|_| kind == Kind::Regex);
        let earlier = at((kind, text)).take_while(|(other, _)| *other < index);
        let all = general.zip(repeat(By::EveryPath)).chain(earlier.zip(repeat(By::Order)));
        let mut found = all.filter(|((_, other), _)| asks_no_more(other, route));
        found.next().map(|((other, _), by)| (*other, by))
    }
}

/// The hosts that a route is looked up under.
fn hosts(matches: &Match) -> Vec<Option<&HostPattern>> {
    if matches.hosts.is_empty() {
        return vec![None];
    }
    matches.hosts.iter().map(Some).collect()
}

fn path(matches: &Match) -> (Kind, &str) {
    match &matches.path {
        PathPattern::Exact(path) => (Kind::Exact, path),
        PathPattern::Prefix(path) => (Kind::Prefix, path),
        PathPattern::Regex(regex) => (Kind::Regex, regex.as_str()),
    }
}

/// The same for two matches that take the same requests because they say the same.
fn identity(matches: &Match) -> String {
    let mut hosts: Vec<String> = matches
        .hosts
        .iter()
        .map(|host| match host {
            HostPattern::Exact(name) | HostPattern::Wildcard(name) => name.clone(),
        })
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    let mut methods: Vec<&str> = matches.methods.iter().map(Method::as_str).collect();
    methods.sort_unstable();
    methods.dedup();
    let mut headers: Vec<_> =
        matches.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    headers.sort_unstable();
    format!("{:?}", (hosts, path(matches), methods, headers, &matches.query))
}

/// Whether the method, header and query conditions of `other` hold wherever those of `route` do.
fn asks_no_more(other: &Match, route: &Match) -> bool {
    let methods = other.methods.is_empty()
        || !route.methods.is_empty()
            && route.methods.iter().all(|method| other.methods.contains(method));
    methods
        && other.headers.iter().all(|header| route.headers.contains(header))
        && other.query.iter().all(|parameter| route.query.contains(parameter))
}
