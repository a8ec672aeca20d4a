//! `headers`: names that may be changed, and values with variables.

use std::collections::BTreeMap;

use http::header::HeaderName;

use super::super::checked::{HeaderChanges, HeaderRules, Template, TemplateError, Variable};
use super::super::model;
use super::super::place::Place;
use super::super::problem::{nearest, one_of, quoted, with_hint};
use super::{Check, all};

/// Headers that frame a message or are for one connection (RFC 9110 §7.6.1, RFC 9112 §6): to change them
/// is to change where a message ends. All that begin with `proxy-` are among them.
const OF_THE_CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-*",
];

/// Headers of requests that asgate writes, whatever came in.
const WRITTEN_IN_REQUESTS: [&str; 7] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
    "x-client-cert-fingerprint",
    "x-client-cert-subject",
];

/// Headers of responses that asgate writes; those with which it tells workers about clients belong there
/// and nowhere else.
const WRITTEN_IN_RESPONSES: [&str; 6] = [
    "date",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// Headers about clients that asgate makes of those that trusted proxies send, or compares with them, and those that
/// everybody sends.
const NOT_RESERVED: [&str; 7] = [
    "cookie",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// Which headers are meant.
#[derive(Clone, Copy)]
enum Message {
    Request,
    Response,
    /// Of requests, as a proxy sends them.
    Trusted,
}

impl Check<'_> {
    pub(super) fn header_rules(
        &mut self,
        model: &model::Headers,
        place: &Place<'_>,
    ) -> Option<HeaderRules> {
        let request = self.changes(&model.request, Message::Request, &place.key("request"));
        let response = self.changes(&model.response, Message::Response, &place.key("response"));
        Some(HeaderRules { request: request?, response: response? })
    }

    pub(super) fn trusted_headers(
        &mut self,
        file: &model::File,
        root: &Place<'_>,
    ) -> Option<Vec<HeaderName>> {
        let (list, place) = (&file.trusted_headers, root.key("trusted_headers"));
        if !list.is_empty() && file.trusted_proxies.is_empty() {
            let allowed = "this key with trusted_proxies";
            self.report(
                place.problem("come from nobody while there are no trusted_proxies", allowed),
            );
            return None;
        }
        let mut names = Vec::with_capacity(list.len());
        let checked = list.iter().enumerate().map(|(index, name)| {
            let place = place.item(index);
            let header = self.changeable(name, Message::Trusted, &mut names, &place)?;
            let spelled = |name: &HeaderName| name.as_str().replace('_', "-");
            let is_same =
                |other: &HeaderName| *other != header && spelled(other) == spelled(&header);
            if names.iter().any(is_same) {
                let allowed = "each header once: apps take _ and - for the same";
                self.report(place.problem_with("is there twice", quoted(name), allowed));
                return None;
            }
            Some(header)
        });
        all(checked.collect())
    }

    fn changes(
        &mut self,
        model: &model::HeaderChanges,
        message: Message,
        place: &Place<'_>,
    ) -> Option<HeaderChanges> {
        let set = self.values(&model.set, message, &place.key("set"));
        let add = self.values(&model.add, message, &place.key("add"));
        let place_of_remove = place.key("remove");
        let remove = self.removed(&model.remove, message, &place_of_remove);
        let changes = HeaderChanges { set: set?, add: add?, remove: remove? };
        self.no_contradiction(&changes, &place_of_remove)?;
        Some(changes)
    }

    /// Headers that get a value.
    fn values(
        &mut self,
        values: &BTreeMap<String, String>,
        message: Message,
        place: &Place<'_>,
    ) -> Option<Vec<(HeaderName, Template)>> {
        let mut names = Vec::with_capacity(values.len());
        let mut checked = Vec::with_capacity(values.len());
        for (written, value) in values {
            let name = self.changeable(written, message, &mut names, &place.name_of(written));
            let value = self.template(value, &place.key(written));
            checked.push(name.zip(value));
        }
        all(checked)
    }

    fn removed(
        &mut self,
        list: &[String],
        message: Message,
        place: &Place<'_>,
    ) -> Option<Vec<HeaderName>> {
        let mut names = Vec::with_capacity(list.len());
        let checked = list
            .iter()
            .enumerate()
            .map(|(index, name)| self.changeable(name, message, &mut names, &place.item(index)));
        all(checked.collect())
    }

    /// The name of a header that may be changed and is not among `earlier` ones, to which it is added.
    fn changeable(
        &mut self,
        name: &str,
        message: Message,
        earlier: &mut Vec<HeaderName>,
        place: &Place<'_>,
    ) -> Option<HeaderName> {
        let header = self.header_name(name, earlier, place)?;
        let Err((what, allowed)) = may_change(&header, message) else {
            return Some(header);
        };
        self.report(place.problem_with(what, quoted(name), allowed));
        None
    }

    /// The name of a header that is not among `earlier` ones, to which it is added.
    pub(super) fn header_name(
        &mut self,
        name: &str,
        earlier: &mut Vec<HeaderName>,
        place: &Place<'_>,
    ) -> Option<HeaderName> {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            let allowed = "letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.1)";
            self.report(place.problem_with("is not a header name", quoted(name), allowed));
            return None;
        };
        if earlier.contains(&header) {
            let allowed = "each header once: letter case does not matter";
            self.report(place.problem_with("is there twice", quoted(name), allowed));
            return None;
        }
        earlier.push(header.clone());
        Some(header)
    }

    fn template(&mut self, text: &str, place: &Place<'_>) -> Option<Template> {
        let error = match text.parse::<Template>() {
            Ok(template) => return Some(template),
            Err(error) => error,
        };
        let allowed = match &error {
            TemplateError::UnknownVariable(written) => {
                let known = Variable::ALL.map(Variable::written);
                with_hint(
                    format!("{}; {{{{ and }}}} for braces", one_of(known)),
                    nearest(written, known),
                )
            }
            TemplateError::LoneBrace => {
                "variables such as {client_ip}; {{ and }} for braces".to_owned()
            }
            TemplateError::ControlCharacter => "text without line breaks and the like".to_owned(),
            TemplateError::OuterSpace => "text without space around it".to_owned(),
        };
        self.report(place.problem(error.to_string(), allowed));
        None
    }

    /// A header that goes and gets a value as well: which of the two was meant?
    fn no_contradiction(&mut self, changes: &HeaderChanges, place: &Place<'_>) -> Option<()> {
        let HeaderChanges { set, add, remove } = changes;
        let mut is_fine = Some(());
        for (index, removed) in remove.iter().enumerate() {
            let is_in =
                |list: &[(HeaderName, Template)]| list.iter().any(|(name, _)| name == removed);
            let other = match (is_in(set), is_in(add)) {
                (true, _) => "set",
                (false, true) => "add",
                (false, false) => continue,
            };
            let allowed = "each header in remove or in set: what is set replaces what was there";
            self.report(place.item(index).problem(format!("is in {other} too"), allowed));
            is_fine = None;
        }
        is_fine
    }
}

/// Whether a route may change `header`; or what is wrong with that and what is allowed.
fn may_change(header: &HeaderName, message: Message) -> Result<(), (&'static str, String)> {
    // Many servers take the two for the same.
    let name = header.as_str().replace('_', "-");
    let name = name.as_str();
    let but = |list: &[&str]| format!("any header but {}", one_of(list.iter().copied()));
    if OF_THE_CONNECTION.contains(&name) || name.starts_with("proxy-") {
        return Err(("frames a message or is for one connection", but(&OF_THE_CONNECTION)));
    }
    let written: &[&str] = match message {
        Message::Request | Message::Trusted if name == "host" => {
            let allowed = "another header: preserve_host is for this one".to_owned();
            return Err(("says where the request is for", allowed));
        }
        Message::Request => &WRITTEN_IN_REQUESTS,
        Message::Response => &WRITTEN_IN_RESPONSES,
        Message::Trusted => &NOT_RESERVED,
    };
    if written.contains(&name) {
        let what = match message {
            Message::Request | Message::Response => "is written by asgate",
            Message::Trusted => "cannot be reserved",
        };
        return Err((what, but(written)));
    }
    Ok(())
}
