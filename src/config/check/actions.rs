//! What a route does: exactly one of `upstream`, `redirect` and `respond`.

use bytes::Bytes;
use http::StatusCode;
use regex::Regex;

use super::super::checked::{Action, Proxy, Redirect, Respond, Rewrite};
use super::super::model;
use super::super::place::Place;
use super::super::problem::{nearest, one_of, with_hint};
use super::matches::regex;
use super::text::{PATH, is_path};
use super::{Check, Names};

/// What a redirect's target may hold.
const PLACEHOLDERS: [&str; 4] = ["{scheme}", "{host}", "{path}", "{query}"];

impl Check<'_> {
    pub(super) fn action(
        &mut self,
        model: &model::Route,
        place: &Place<'_>,
        upstreams: &Names<'_>,
    ) -> Option<Action> {
        let given: Vec<&str> = [
            ("upstream", model.upstream.is_some()),
            ("redirect", model.redirect.is_some()),
            ("respond", model.respond.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_given)| is_given.then_some(key))
        .collect();
        const ONE: &str = "exactly one of upstream, redirect and respond";
        if given.is_empty() && !self.is_damaged(place) {
            self.report(place.problem_with("has no action", "none", ONE));
        }
        if given.len() > 1 {
            self.report(place.problem_with("has several actions", given.join(" and "), ONE));
        }
        if model.upstream.is_none() && !given.is_empty() {
            self.only_with_upstream(model, place);
        }
        let proxy = self.proxy(model, place, upstreams).map(Action::Proxy);
        let redirect = model.redirect.as_ref().and_then(|redirect| {
            self.redirect(redirect, &place.key("redirect")).map(Action::Redirect)
        });
        let respond = model
            .respond
            .as_ref()
            .and_then(|respond| self.respond(respond, &place.key("respond")).map(Action::Respond));
        if given.len() == 1 { proxy.or(redirect).or(respond) } else { None }
    }

    /// Keys that change what the worker sees.
    fn only_with_upstream(&mut self, model: &model::Route, place: &Place<'_>) {
        let request = &model.headers.request;
        let changes_request =
            !(request.set.is_empty() && request.add.is_empty() && request.remove.is_empty());
        let given = [
            (place.key("rewrite"), model.rewrite.is_some()),
            (place.key("preserve_host"), model.preserve_host.is_some()),
            (place.key("headers").key("request"), changes_request),
        ];
        for (place, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            let what = "has no effect without an upstream";
            self.report(place.problem(what, "this key with upstream only"));
        }
    }

    fn proxy(
        &mut self,
        model: &model::Route,
        place: &Place<'_>,
        upstreams: &Names<'_>,
    ) -> Option<Proxy> {
        let rewrite = match &model.rewrite {
            Some(rewrite) => self.rewrite(rewrite, &place.key("rewrite")),
            None => Some(Rewrite::default()),
        };
        let name = model.upstream.as_deref()?;
        let upstream = upstreams.index.get(name).copied();
        if upstream.is_none() && upstreams.complete {
            let known = upstreams.list.iter().copied();
            let allowed = with_hint(one_of(known.clone()), nearest(name, known));
            self.report(place.key("upstream").problem("is not the name of an upstream", allowed));
        }
        let preserve_host = model.preserve_host.unwrap_or(true);
        Some(Proxy { upstream: upstream?, rewrite: rewrite?, preserve_host })
    }

    fn rewrite(&mut self, model: &model::Rewrite, place: &Place<'_>) -> Option<Rewrite> {
        let strip_prefix = self.prefix(&model.strip_prefix, &place.key("strip_prefix"));
        let add_prefix = self.prefix(&model.add_prefix, &place.key("add_prefix"));
        let replacement = self.replacement(model, place);
        Some(Rewrite { strip_prefix: strip_prefix?, regex: replacement?, add_prefix: add_prefix? })
    }

    /// A path without the `/` at its end; empty for none.
    fn prefix(&mut self, text: &str, place: &Place<'_>) -> Option<String> {
        if text.is_empty() || is_path(text) {
            return Some(text.trim_end_matches('/').to_owned());
        }
        self.report(place.problem("is not a path", PATH));
        None
    }

    /// `regex` and `replace`: both or neither; `Some(None)` is neither.
    fn replacement(
        &mut self,
        model: &model::Rewrite,
        place: &Place<'_>,
    ) -> Option<Option<(Regex, String)>> {
        let is_whole = !self.is_damaged(place);
        match (&model.regex, &model.replace) {
            (None, None) => Some(None),
            (Some(pattern), Some(replace)) => {
                let regex = self.parsed(regex(pattern), &place.key("regex"))?;
                self.groups(&regex, replace, &place.key("replace"))?;
                Some(Some((regex, replace.clone())))
            }
            (Some(_), None) if is_whole => {
                let allowed = "regex and replace together";
                self.report(place.key("replace").problem("is missing", allowed));
                None
            }
            (None, Some(_)) if is_whole => {
                let allowed = "regex and replace together";
                self.report(place.key("regex").problem("is missing", allowed));
                None
            }
            _ => None,
        }
    }

    /// The regex crate puts nothing in the place of a group that does not exist, `$1x` (a group
    /// named `1x`) included. That is never what was meant.
    fn groups(&mut self, regex: &Regex, replace: &str, place: &Place<'_>) -> Option<()> {
        let missing = group_references(replace).find(|reference| {
            let by_number = reference.parse::<usize>().is_ok_and(|n| n < regex.captures_len());
            !by_number && !regex.capture_names().flatten().any(|name| name == *reference)
        });
        match missing {
            None => Some(()),
            Some(_) => {
                let last = regex.captures_len().saturating_sub(1);
                let allowed = format!("groups $0 to ${last}, as ${{1}} before a letter or digit");
                self.report(place.problem("refers to a group that regex does not have", allowed));
                None
            }
        }
    }

    fn redirect(&mut self, model: &model::Redirect, place: &Place<'_>) -> Option<Redirect> {
        let to = model.to.as_deref().and_then(|to| self.redirect_to(to, &place.key("to")));
        let status = match model.status {
            301 | 302 | 303 | 307 | 308 => StatusCode::from_u16(model.status).ok(),
            _ => None,
        };
        if status.is_none() {
            let allowed = "301, 302, 303, 307 or 308";
            self.report(place.key("status").problem("is not a redirect", allowed));
        }
        Some(Redirect { to: to?, status: status? })
    }

    fn redirect_to(&mut self, to: &str, place: &Place<'_>) -> Option<String> {
        let starts = ["http://", "https://", "{scheme}://", "/", "{path}"];
        let is_target = starts.iter().any(|start| to.starts_with(start))
            && to.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_target {
            let allowed = "https://…, http://…, {scheme}://… or a path, in printable ASCII";
            self.report(place.problem("is not a redirect target", allowed));
        }
        let unknown = placeholders(to).find(|found| !PLACEHOLDERS.contains(found));
        if let Some(unknown) = unknown {
            let allowed = with_hint(one_of(PLACEHOLDERS), nearest(unknown, PLACEHOLDERS));
            self.report(place.problem("has an unknown placeholder", allowed));
        }
        (is_target && unknown.is_none()).then(|| to.to_owned())
    }

    fn respond(&mut self, model: &model::Respond, place: &Place<'_>) -> Option<Respond> {
        // The model keeps it within 200 to 599.
        let status = StatusCode::from_u16(model.status).ok()?;
        if matches!(model.status, 204 | 205 | 304) && !model.body.is_empty() {
            let allowed = format!("no body with status {}", model.status);
            self.report(place.key("body").problem("is never sent", allowed));
            return None;
        }
        Some(Respond { status, body: Bytes::from(model.body.clone()) })
    }
}

/// `{…}` in a redirect's target, braces included.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').map(|(start, _)| {
        let rest = text.get(start..).unwrap_or_default();
        rest.find('}').and_then(|end| rest.get(..=end)).unwrap_or(rest)
    })
}

/// Group names in a replacement, as the regex crate finds them: `$name` takes all letters, digits
/// and `_` that follow, `${name}` ends at the brace, `$$` is none.
fn group_references(replace: &str) -> impl Iterator<Item = &str> {
    let mut rest = replace;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('$')?;
            if let Some(after) = after.strip_prefix('$') {
                rest = after;
                continue;
            }
            if let Some((name, after)) = after.strip_prefix('{').and_then(|r| r.split_once('}')) {
                rest = after;
                return Some(name);
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
            let (name, after) = after.split_at_checked(end)?;
            rest = after;
            if !name.is_empty() {
                return Some(name);
            }
        }
    })
}
