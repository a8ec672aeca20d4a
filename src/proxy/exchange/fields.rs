//! Headers that a route adds, replaces or takes away, and those that its listener and its rate limit add.

use std::io::Write as _;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER, STRICT_TRANSPORT_SECURITY};
use pingora::http::ResponseHeader;

use crate::access;
use crate::client::{Scheme, strip};
use crate::config::{HeaderChanges, Template, Variable};

use super::Exchange;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The changes of one request's headers on their way to the worker.
pub struct Changes<'a> {
    rules: &'a HeaderChanges,
    exchange: &'a Exchange,
}

impl<'a> Changes<'a> {
    /// `rules` for the request that `exchange` is of.
    pub fn new(rules: &'a HeaderChanges, exchange: &'a Exchange) -> Self {
        Self { rules, exchange }
    }

    /// Whether what the client sent under `name` is not passed on. What an app may take for the same name is the same
    /// here: a client must not get past a rule by writing `_` for `-`.
    pub fn drops(&self, name: &HeaderName) -> bool {
        let HeaderChanges { set, remove, .. } = self.rules;
        let mut names = remove.iter().chain(set.iter().map(|(name, _)| name));
        names.any(|ruled| strip::are_alike(ruled, name))
    }

    /// What is put there instead, and beside. A value that cannot be sent is left out.
    pub fn added(&self) -> impl Iterator<Item = (&'a HeaderName, HeaderValue)> {
        let (rules, exchange) = (self.rules, self.exchange);
        let all = rules.set.iter().chain(&rules.add);
        all.filter_map(|(name, template)| Some((name, exchange.expand(template)?)))
    }
}

impl Exchange {
    /// Makes the head of a response, the app's or asgate's own, into what its route and its listener say.
    pub fn dress(&self, head: &mut ResponseHeader) {
        if let Err(error) = self.try_dress(head) {
            // The names and values were checked when they were read.
            log::error!("Cannot set a response header: {error}");
        }
    }

    fn try_dress(&self, head: &mut ResponseHeader) -> pingora::Result<()> {
        let route = self.route.and_then(|route| self.snapshot.routes.get(route));
        if let Some(rules) = route.map(|route| &route.config.headers.response) {
            self.change(rules, head)?;
        }
        if let Some(hsts) =
            self.connection.listener.hsts.as_ref().filter(|_| self.scheme == Scheme::Https)
            && !head.headers.contains_key(STRICT_TRANSPORT_SECURITY)
        {
            head.insert_header(STRICT_TRANSPORT_SECURITY, hsts.clone())?;
        }
        let limit = route.and_then(|route| route.limit.as_ref());
        if let (Some(limit), Some(verdict)) = (limit, &self.rate) {
            head.insert_header(RATE_LIMIT_POLICY.clone(), limit.policy.clone())?;
            head.insert_header(RATE_LIMIT.clone(), access::state_value(verdict))?;
            if !verdict.admitted {
                let seconds = verdict.retry_after.as_secs_f64().ceil().max(1.0);
                head.insert_header(RETRY_AFTER, format!("{seconds:.0}"))?;
            }
        }
        Ok(())
    }

    fn change(&self, rules: &HeaderChanges, head: &mut ResponseHeader) -> pingora::Result<()> {
        for name in &rules.remove {
            head.remove_header(name);
        }
        for (name, template) in &rules.set {
            match self.expand(template) {
                Some(value) => head.insert_header(name.clone(), value)?,
                // A client has put a control character where a variable is: it would write headers of its own.
                None => {
                    head.remove_header(name);
                }
            }
        }
        for (name, template) in &rules.add {
            if let Some(value) = self.expand(template) {
                head.append_header(name.clone(), value)?;
            }
        }
        Ok(())
    }

    fn expand(&self, template: &Template) -> Option<HeaderValue> {
        template.expand(|variable, value| self.put(variable, value))
    }

    /// Appends what `variable` is for this request; nothing where it is not known.
    fn put(&self, variable: Variable, value: &mut Vec<u8>) {
        let tls = self.connection.tls.as_ref();
        let client = tls.and_then(|tls| tls.client.as_ref());
        let text = match variable {
            Variable::ClientIp => {
                // Writing to memory cannot fail.
                let _ = self.client_ip.map(|ip| write!(value, "{ip}"));
                return;
            }
            Variable::ClientPort => {
                let _ = self.client_port.map(|port| write!(value, "{port}"));
                return;
            }
            Variable::RequestId => return value.extend_from_slice(self.request_id.as_bytes()),
            Variable::Port => return value.extend_from_slice(self.port.as_bytes()),
            Variable::Host => &self.host,
            Variable::Method => &self.method,
            Variable::Path => &self.path,
            Variable::Query => self.query.as_deref().unwrap_or_default(),
            Variable::Scheme => self.scheme.as_str(),
            Variable::Route => {
                let route = self.route.and_then(|route| self.snapshot.routes.get(route));
                route.map(|route| route.config.name.as_str()).unwrap_or_default()
            }
            Variable::TlsVersion => {
                let proxied = || self.connection.proxied.as_ref()?.version.as_deref();
                tls.map(|tls| tls.version).or_else(proxied).unwrap_or_default()
            }
            Variable::TlsCipher => tls.map(|tls| tls.cipher).unwrap_or_default(),
            Variable::TlsServerName => {
                tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or_default()
            }
            Variable::ClientCertSubject => {
                client.map(|client| client.subject.as_str()).unwrap_or_default()
            }
            Variable::ClientCertFingerprint => {
                client.map(|client| client.fingerprint.as_str()).unwrap_or_default()
            }
        };
        value.extend_from_slice(text.as_bytes());
    }
}
