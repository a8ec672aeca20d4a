use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::{BadRequest, Cause, Termination};

const GUIDE: &str = include_str!("../../docs/guides/operations.md");

#[test]
fn every_cause_has_the_outcome_of_the_contract() {
    const KEEP: bool = true;
    const CLOSE: bool = false;
    let table = [
        (Cause::NoRoute, 404, "no_route", KEEP),
        (Cause::Denied, 403, "denied", KEEP),
        (Cause::RateLimited, 429, "rate_limited", KEEP),
        (Cause::BadRequest(BadRequest::RequestLine), 400, "bad_request", CLOSE),
        (Cause::BadRequest(BadRequest::Version), 400, "bad_request", CLOSE),
        (Cause::BadRequest(BadRequest::Path), 400, "bad_request", CLOSE),
        (Cause::BadRequest(BadRequest::Host), 400, "bad_request", CLOSE),
        (Cause::BadRequest(BadRequest::Header), 400, "bad_request", CLOSE),
        (Cause::BadRequest(BadRequest::Framing), 400, "bad_request", CLOSE),
        (Cause::MethodRefused, 405, "bad_request", CLOSE),
        (Cause::HeaderTooLarge, 431, "limit", CLOSE),
        (Cause::TooManyHeaders, 431, "limit", CLOSE),
        (Cause::UriTooLong, 414, "limit", CLOSE),
        (Cause::BodyTooLarge, 413, "limit", CLOSE),
        (Cause::HeaderTimeout, 408, "client_timeout", CLOSE),
        (Cause::BodyTimeout, 408, "client_timeout", CLOSE),
        (Cause::ClientWriteTimeout, 408, "client_timeout", CLOSE),
        (Cause::ClientClosed, 499, "client_closed", CLOSE),
        (Cause::NoWorker, 503, "no_worker", KEEP),
        (Cause::QueueFull, 503, "queue_full", KEEP),
        (Cause::QueueTimeout, 503, "queue_timeout", KEEP),
        (Cause::Stopping, 503, "stopping", CLOSE),
        (Cause::UpstreamConnect, 502, "upstream_connect", KEEP),
        (Cause::UpstreamConnectTimeout, 504, "upstream_timeout", KEEP),
        (Cause::UpstreamClosed, 502, "upstream_closed", KEEP),
        (Cause::UpstreamInvalid, 502, "upstream_invalid", KEEP),
        (Cause::FirstByteTimeout, 504, "upstream_timeout", KEEP),
        (Cause::IdleTimeout, 504, "upstream_timeout", CLOSE),
        (Cause::TotalTimeout, 504, "upstream_timeout", CLOSE),
        (Cause::WebsocketIdle, 101, "websocket_idle", CLOSE),
        (Cause::Internal, 500, "internal", CLOSE),
    ];
    assert_eq!(table.map(|(cause, ..)| cause), Cause::ALL, "every cause is in the contract");
    for (cause, status, word, keep_client) in table {
        let outcome = cause.outcome();
        assert_eq!(outcome.status.as_u16(), status, "status of {cause:?}");
        assert_eq!(outcome.termination.as_str(), word, "termination of {cause:?}");
        assert_eq!(outcome.keep_client, keep_client, "connection after {cause:?}");
        let retry_after = (status == 503).then_some(Duration::from_secs(2));
        assert_eq!(outcome.retry_after, retry_after, "Retry-After of {cause:?}");
        assert!(outcome.detail.ends_with('.'), "{cause:?} has a sentence");
        assert!(!outcome.title.is_empty(), "{cause:?} has a title");
    }
}

#[test]
fn every_termination_has_its_own_word() {
    let words: HashSet<_> =
        Termination::ALL.iter().map(|termination| termination.as_str()).collect();
    assert_eq!(words.len(), Termination::ALL.len(), "no two alike");
}

/// Each word with all of its statuses, and nothing else.
#[test]
fn the_guide_has_every_termination() {
    let mut table: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for cause in Cause::ALL {
        let outcome = cause.outcome();
        let statuses = table.entry(outcome.termination.as_str()).or_default();
        statuses.insert(outcome.status.as_str().to_owned());
    }
    table.insert(Termination::Ok.as_str(), BTreeSet::from(["any".to_owned()]));
    assert_eq!(table.len(), Termination::ALL.len(), "each has a cause: {table:?}");
    let (_, rest) = GUIDE.split_once("\n| `edge.termination` | status |").expect("the table");
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let documented = rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, word, statuses, ..] = cells.as_slice() else { panic!("{row:?} has a status") };
        (word.trim_matches('`'), statuses.split(", ").map(str::to_owned).collect())
    });
    assert_eq!(documented.collect::<BTreeMap<_, _>>(), table, "the table in operations.md");
}
