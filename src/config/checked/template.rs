//! Values of headers with variables in them: `{client_ip}`.
//!
//! Parsed once, when the file is checked, and expanded for each request. Must not know where the values
//! of variables come from.

use std::str::FromStr;

use http::header::HeaderValue;

/// Room for the value of a variable: an address, a request id, a short path. More makes room for itself.
const USUAL_VALUE: usize = 40;

/// Something about a request that a header's value may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variable {
    ClientIp,
    ClientPort,
    RequestId,
    Host,
    Method,
    /// As it was matched, before any rewrite; without the query.
    Path,
    /// Without the `?`.
    Query,
    Scheme,
    /// The port that the client connected to.
    Port,
    /// The name of the route.
    Route,
    /// `1.2` or `1.3`.
    TlsVersion,
    /// The name that IANA gives it.
    TlsCipher,
    TlsServerName,
    ClientCertSubject,
    ClientCertFingerprint,
}

impl Variable {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ClientIp,
        Self::ClientPort,
        Self::RequestId,
        Self::Host,
        Self::Method,
        Self::Path,
        Self::Query,
        Self::Scheme,
        Self::Port,
        Self::Route,
        Self::TlsVersion,
        Self::TlsCipher,
        Self::TlsServerName,
        Self::ClientCertSubject,
        Self::ClientCertFingerprint,
    ];

    /// As it is written, braces included.
    pub const fn written(self) -> &'static str {
        match self {
            Self::ClientIp => "{client_ip}",
            Self::ClientPort => "{client_port}",
            Self::RequestId => "{request_id}",
            Self::Host => "{host}",
            Self::Method => "{method}",
            Self::Path => "{path}",
            Self::Query => "{query}",
            Self::Scheme => "{scheme}",
            Self::Port => "{port}",
            Self::Route => "{route}",
            Self::TlsVersion => "{tls_version}",
            Self::TlsCipher => "{tls_cipher}",
            Self::TlsServerName => "{tls_server_name}",
            Self::ClientCertSubject => "{client_cert_subject}",
            Self::ClientCertFingerprint => "{client_cert_fingerprint}",
        }
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// With braces.
    #[error("has an unknown variable")]
    UnknownVariable(String),
    #[error("has a brace without its pair")]
    LoneBrace,
    #[error("has a control character")]
    ControlCharacter,
    #[error("begins or ends with a space")]
    OuterSpace,
}

/// A header's value, parsed: literal text and [`Variable`]s. The text itself can be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// No variable: one value for all requests.
    Ready(HeaderValue),
    Parts {
        parts: Box<[Part]>,
        /// Bytes that a value usually takes.
        room: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
}

impl Template {
    /// The value for a request. `value` appends that of a variable, and nothing when it is not known.
    /// Space at the ends is left out: it is no part of a value (RFC 9110 §5.5).
    ///
    /// `None` when a control character came in with a variable. It must not be sent: with CR or LF a
    /// client would write headers of its own.
    pub fn expand(&self, value: impl Fn(Variable, &mut Vec<u8>)) -> Option<HeaderValue> {
        let (parts, room) = match &self.0 {
            Form::Ready(value) => return Some(value.clone()),
            Form::Parts { parts, room } => (parts, *room),
        };
        let mut expanded = Vec::with_capacity(room);
        for part in parts {
            match part {
                Part::Text(text) => expanded.extend_from_slice(text.as_bytes()),
                Part::Variable(variable) => value(*variable, &mut expanded),
            }
        }
        HeaderValue::from_bytes(trimmed(&expanded)).ok()
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        // Braces and names are of no concern to it: what is wrong in the whole is so in a part.
        value(text)?;
        if trimmed(text.as_bytes()).len() < text.len() {
            return Err(TemplateError::OuterSpace);
        }
        let parts = parts(text)?;
        match parts.as_slice() {
            [] => value("").map(|value| Self(Form::Ready(value))),
            [Part::Text(text)] => value(text).map(|value| Self(Form::Ready(value))),
            _ => {
                let room = parts.iter().map(Part::room).sum();
                Ok(Self(Form::Parts { parts: parts.into(), room }))
            }
        }
    }
}

impl Part {
    /// Bytes that it usually takes.
    fn room(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Variable(_) => USUAL_VALUE,
        }
    }
}

/// Letters beyond ASCII are sent as UTF-8.
fn value(text: &str) -> Result<HeaderValue, TemplateError> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| TemplateError::ControlCharacter)
}

/// Variables and the text between them, which is never empty.
fn parts(text: &str) -> Result<Vec<Part>, TemplateError> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, from_brace)) = rest.find(['{', '}']).map(|at| rest.split_at(at)) {
        literal.push_str(before);
        if let Some(after) = from_brace.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = from_brace.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else {
            let (variable, after) = variable(from_brace)?;
            parts.extend(text_part(std::mem::take(&mut literal)));
            parts.push(Part::Variable(variable));
            rest = after;
        }
    }
    literal.push_str(rest);
    parts.extend(text_part(literal));
    Ok(parts)
}

fn text_part(literal: String) -> Option<Part> {
    (!literal.is_empty()).then(|| Part::Text(literal.into()))
}

/// The variable that `text` begins with, and what comes after it.
fn variable(text: &str) -> Result<(Variable, &str), TemplateError> {
    let end = text.find('}').filter(|_| text.starts_with('{')).ok_or(TemplateError::LoneBrace)?;
    let (written, after) = text.split_at(end + '}'.len_utf8());
    let variable = Variable::ALL.into_iter().find(|variable| variable.written() == written);
    let unknown = || TemplateError::UnknownVariable(written.to_owned());
    Ok((variable.ok_or_else(unknown)?, after))
}

/// Without the spaces and tabs around it.
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests;
