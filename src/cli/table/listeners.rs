//! What a terminal is told of listeners: connections, certificates, handshakes. Pure.

use std::fmt::Write as _;

use crate::admin::{CertificateStatus, ListenerStatus};

use super::grid::NONE;
use super::{counts, shown};

/// The file comes last: it is the one that may be long.
pub const CERTIFICATES: [&str; 5] = ["LISTENER", "NAMES", "EXPIRES", "DAYS LEFT", "CERTIFICATE"];

/// A certificate that ends before so many days are over is told of.
const NOTICE_DAYS: i64 = 30;

/// `0.0.0.0:443: 7 of 10000 connections, TLS from 1.2`
pub fn push_summary(text: &mut String, listener: &ListenerStatus) {
    let ListenerStatus { address, connections, max_connections, tls, .. } = listener;
    // Writing to a string cannot fail, here and below.
    let _ = match max_connections {
        0 => write!(text, "{address}: {connections} connections"),
        most => write!(text, "{address}: {connections} of {most} connections"),
    };
    if let Some(tls) = tls {
        let _ = write!(text, ", TLS from {}", tls.min_version);
    }
    text.push('\n');
}

/// A row for each certificate.
pub fn rows_of(listener: &ListenerStatus) -> impl Iterator<Item = [String; CERTIFICATES.len()]> {
    certificates(listener).map(|certificate| {
        let day = certificate.expires.split('T').next().unwrap_or_default();
        [
            listener.address.clone(),
            names(certificate),
            shown(day),
            certificate.days_left.to_string(),
            shown(&certificate.file),
        ]
    })
}

/// What does not fit a table, each on a line.
pub fn remarks_on(listener: &ListenerStatus) -> Vec<String> {
    let address = &listener.address;
    let certificates = certificates(listener).filter_map(|certificate| {
        let file = shown(&certificate.file);
        Some(format!("{address}: certificate {file}: {}", remark_on(certificate)?))
    });
    let client_auth = listener.tls.iter().filter_map(|tls| tls.client_auth.as_ref());
    let client_auth = client_auth.filter_map(|auth| {
        let problem = shown(auth.problem.as_deref()?);
        Some(format!("{address}: client_auth {}: {problem}", shown(&auth.file)))
    });
    let refused = (!listener.refused.is_empty())
        .then(|| format!("connections refused by {address}: {}", counts(&listener.refused)));
    let handshakes = listener.tls.as_ref().map(|tls| &tls.handshakes);
    let handshakes = handshakes
        .filter(|handshakes| !handshakes.is_empty())
        .map(|handshakes| format!("TLS handshakes of {address}: {}", counts(handshakes)));
    certificates.chain(client_auth).chain(refused).chain(handshakes).collect()
}

/// What is wrong with it, or will be soon.
fn remark_on(certificate: &CertificateStatus) -> Option<String> {
    let soon = match certificate.days_left {
        0 => Some("expires in less than a day".to_owned()),
        1 => Some("expires in 1 day".to_owned()),
        days @ 2..NOTICE_DAYS => Some(format!("expires in {days} days")),
        _ => None,
    };
    let problem = certificate.problem.as_deref().map(shown);
    let all: Vec<_> = soon.into_iter().chain(problem).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn certificates(listener: &ListenerStatus) -> impl Iterator<Item = &CertificateStatus> {
    listener.tls.iter().flat_map(|tls| &tls.certificates)
}

/// All of few names; of many, which would be too wide, the first.
fn names(certificate: &CertificateStatus) -> String {
    match certificate.names.as_slice() {
        [] => NONE.to_owned(),
        [one] => shown(one),
        [first, others @ ..] => format!("{}, {} more", shown(first), others.len()),
    }
}
