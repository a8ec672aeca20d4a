//! Whether each route can be reached, or others take all its requests.

use std::collections::{BTreeSet, HashMap};

use super::super::checked::{HostPattern, Match, PathPattern};
use super::super::place::Place;
use super::Check;
use super::matches::identity;

/// Within one host, what comes before is decided by the path (`routing::table` has the order).
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
        let twins = self.no_twins(matches, place);
        let spots = Spots::of(matches);
        for (index, route) in matches.iter().enumerate() {
            let Some(route) = route.as_ref().filter(|_| !twins.contains(&index)) else { continue };
            let Some(others) = spots.before(index, route) else { continue };
            // What takes every path does so before any regular expression is asked.
            let is_general = |other: &usize| {
                matches.get(*other).and_then(Option::as_ref).is_some_and(|other| path(other) == ALL)
            };
            let advised = if path(route) != ALL && others.iter().any(is_general) {
                "a prefix or an exact path: any prefix comes before a regular expression"
            } else {
                "other conditions, or a place before it"
            };
            let others: Vec<_> = others.iter().map(|other| format!("routes[{other}]")).collect();
            let got = format!("only requests that {} takes before it", others.join(" or "));
            let place = place.item(index).key("match");
            self.warn(place.problem_with("is never reached", got, advised));
        }
    }

    /// The routes that were refused because they say the same as another.
    fn no_twins(&mut self, matches: &[Option<Match>], place: &Place<'_>) -> BTreeSet<usize> {
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
    fn before(&self, index: usize, route: &Match) -> Option<BTreeSet<usize>> {
        hosts(route).into_iter().map(|host| self.before_at(host, index, route)).collect()
    }

    fn before_at(&self, host: Option<&HostPattern>, index: usize, route: &Match) -> Option<usize> {
        let at = |path| self.0.get(&(host, path)).into_iter().flatten();
        let (kind, text) = path(route);
        let earlier = at((kind, text)).take_while(|(other, _)| *other < index);
        let general = at(ALL).filter(|_| kind == Kind::Regex);
        let mut found = earlier.chain(general).filter(|(_, other)| asks_no_more(other, route));
        found.next().map(|(other, _)| *other)
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

/// Whether the method, header and query conditions of `other` hold wherever those of `route` do.
fn asks_no_more(other: &Match, route: &Match) -> bool {
    let methods = other.methods.is_empty()
        || !route.methods.is_empty()
            && route.methods.iter().all(|method| other.methods.contains(method));
    methods
        && other.headers.iter().all(|header| route.headers.contains(header))
        && other.query.iter().all(|parameter| route.query.contains(parameter))
}
