//! `match`: host patterns, path patterns, methods, headers, query.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::Method;
use http::header::{HeaderName, HeaderValue};
use regex::Regex;

use super::super::checked::{HostPattern, Match, PathPattern};
use super::super::model::{self, OneOrMany};
use super::super::place::Place;
use super::text::{PATH, is_host_name, is_path};
use super::{Check, all};

impl Check<'_> {
    pub(super) fn matches(&mut self, model: &model::Match, place: &Place<'_>) -> Option<Match> {
        let hosts = self.each(model.host.as_ref(), &place.key("host"), host_pattern);
        let path = match &model.path {
            Some(path) => self.parsed(path_pattern(path), &place.key("path")),
            None => Some(PathPattern::Prefix("/".to_owned())),
        };
        let methods = self.each(model.method.as_ref(), &place.key("method"), method);
        let headers = self.headers(&model.header, &place.key("header"));
        let query = model.query.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(Match { hosts: hosts?, path: path?, methods: methods?, headers: headers?, query })
    }

    /// Parse one text or each of a list, which must not be empty: nothing would ever match it.
    fn each<T>(
        &mut self,
        texts: Option<&OneOrMany>,
        place: &Place<'_>,
        parse: fn(&str) -> Result<T, (String, String)>,
    ) -> Option<Vec<T>> {
        match texts {
            None => Some(Vec::new()),
            Some(OneOrMany::One(text)) => self.parsed(parse(text), place).map(|value| vec![value]),
            Some(OneOrMany::Many(texts)) => {
                self.not_empty(texts, place, "at least one, or no such key for all of them")?;
                let values = texts.iter().enumerate();
                all(values.map(|(i, text)| self.parsed(parse(text), &place.item(i))).collect())
            }
        }
    }

    fn headers(
        &mut self,
        headers: &BTreeMap<String, String>,
        place: &Place<'_>,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let mut names = Vec::with_capacity(headers.len());
        let mut checked = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let parsed_name = self.header_name(name, &mut names, &place.name_of(name));
            let parsed_value = HeaderValue::from_str(value).ok();
            if parsed_value.is_none() {
                let allowed = "printable ASCII";
                self.report(place.key(name).problem("is not a header value", allowed));
            }
            checked.push(parsed_name.zip(parsed_value));
        }
        all(checked)
    }
}

fn host_pattern(text: &str) -> Result<HostPattern, (String, String)> {
    const HOST: &str = "a host name such as api.example.com or *.example.com, without a port";
    let name = text.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    if let Some(address) = bracketed.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
        return Ok(HostPattern::Exact(format!("[{address}]")));
    }
    if let Some(rest) = name.strip_prefix("*.").filter(|rest| is_host_name(rest)) {
        return Ok(HostPattern::Wildcard(format!(".{rest}")));
    }
    let looks_like_ipv4 = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_fine = is_host_name(name) && (!looks_like_ipv4 || name.parse::<Ipv4Addr>().is_ok());
    match is_fine {
        true => Ok(HostPattern::Exact(name.to_owned())),
        false => Err(("is not a host pattern".to_owned(), HOST.to_owned())),
    }
}

fn path_pattern(text: &str) -> Result<PathPattern, (String, String)> {
    if let Some(pattern) = text.strip_prefix('~') {
        return regex(pattern).map(PathPattern::Regex);
    }
    let (pattern, path): (fn(String) -> PathPattern, &str) = match text.strip_prefix('=') {
        Some(path) => (PathPattern::Exact, path),
        None => (PathPattern::Prefix, text),
    };
    match is_path(path) {
        true => Ok(pattern(path.to_owned())),
        false => Err(("is not a path".to_owned(), format!("{PATH}, =path or ~regex"))),
    }
}

/// A regular expression; its error in one line.
pub fn regex(pattern: &str) -> Result<Regex, (String, String)> {
    const REGEX: &str = "a regular expression in the syntax of Rust's regex crate";
    Regex::new(pattern).map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        (format!("is not a regular expression: {reason}"), REGEX.to_owned())
    })
}

fn method(text: &str) -> Result<Method, (String, String)> {
    const METHODS: &str = "a method such as GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS";
    let is_lower = text.contains(|c: char| c.is_ascii_lowercase());
    match Method::from_bytes(text.as_bytes()) {
        Ok(_) if is_lower => {
            let allowed = format!("{} (methods are case-sensitive)", text.to_ascii_uppercase());
            Err(("is not in capitals".to_owned(), allowed))
        }
        Ok(method) => Ok(method),
        Err(_) => Err(("is not a method".to_owned(), METHODS.to_owned())),
    }
}
