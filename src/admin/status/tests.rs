use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;

fn worker(name: &str, state: WorkerState) -> WorkerStatus {
    let in_rotation = state == WorkerState::Ready;
    WorkerStatus { state, in_rotation, ..WorkerStatus::absent(name, Kind::Fixed) }
}

fn upstream(workers: Vec<WorkerStatus>) -> UpstreamStatus {
    UpstreamStatus {
        name: "u".to_owned(),
        state: UpstreamState::of(&workers),
        reason: None,
        requests_in_flight: 3,
        queue: QueueStatus { length: 2, size: 1000 },
        retries: BTreeMap::from([("connect".to_owned(), 4)]),
        notes: vec!["app.internal does not resolve".to_owned()],
        workers,
    }
}

fn listener(address: &str, certificates: Vec<CertificateStatus>) -> ListenerStatus {
    let handshakes = BTreeMap::from([("full".to_owned(), 20), ("not_tls".to_owned(), 1)]);
    let tls = (!certificates.is_empty()).then(|| TlsStatus {
        min_version: "1.2".to_owned(),
        certificates,
        client_auth: Some(ClientAuthStatus {
            file: "clients.pem".to_owned(),
            problem: Some("revoked.crl: is empty".to_owned()),
        }),
        handshakes,
    });
    ListenerStatus {
        address: address.to_owned(),
        connections: 7,
        max_connections: 10_000,
        refused: BTreeMap::from([("max_connections".to_owned(), 3)]),
        tls,
    }
}

/// A point in time on which nothing happens but in these tests: 2026-02-03T04:05:06Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_770_091_506)
}

fn certificate(not_after: SystemTime) -> CertificateStatus {
    CertificateStatus::new(vec!["a.example".to_owned()], "a.pem".to_owned(), not_after, now())
}

fn status(upstreams: Vec<UpstreamStatus>) -> Status {
    let end = now() + Duration::from_secs(90 * 86_400);
    let listeners = vec![listener("[::]:80", Vec::new()), listener(":443", vec![certificate(end)])];
    Status {
        version: "1.2.3".to_owned(),
        pid: 99,
        uptime_seconds: 1.5,
        state: State::of(&listeners, &upstreams),
        listeners,
        upstreams,
    }
}

#[test]
fn a_worker_that_is_not_ready_makes_less_of_the_whole() {
    use WorkerState::{Ejected, Ready, Unready};
    let cases: &[(&[WorkerState], UpstreamState, State)] = &[
        (&[Ready, Ready], UpstreamState::Ready, State::Ready),
        (&[Ready, Ejected], UpstreamState::Degraded, State::Degraded),
        (&[Ready, Unready], UpstreamState::Degraded, State::Degraded),
        (&[Ejected, Ejected], UpstreamState::Down, State::Degraded),
        (&[Ejected, Unready], UpstreamState::Down, State::Degraded),
        (&[], UpstreamState::Down, State::Degraded),
    ];
    for (states, of_upstream, of_edge) in cases {
        let upstream = upstream(states.iter().map(|state| worker("w", *state)).collect());
        assert_eq!(upstream.state, *of_upstream, "the upstream of {states:?}");
        assert_eq!(State::of(&[], &[upstream]), *of_edge, "the edge of {states:?}");
    }
}

#[test]
fn what_is_written_is_read() {
    let failed = CheckStatus {
        passed: false,
        message: "status 500, allowed 200-399".to_owned(),
        seconds_ago: 1.25,
    };
    let worker = WorkerStatus {
        slots: 100,
        weight: 2,
        connects: 7,
        reused_ratio: reused_ratio(7, 993),
        ejections: 1,
        last_check: Some(failed),
        ..worker("127.0.0.1:8000", WorkerState::Ejected)
    };
    let status = status(vec![upstream(vec![worker])]);
    let json = serde_json::to_value(&status).expect("JSON");
    let tls = json!({
        "min_version": "1.2",
        "certificates": [{
            "names": ["a.example"],
            "file": "a.pem",
            "expires": "2026-05-04T04:05:06Z",
            "days_left": 90,
            "problem": null,
        }],
        "client_auth": { "file": "clients.pem", "problem": "revoked.crl: is empty" },
        "handshakes": { "full": 20, "not_tls": 1 },
    });
    let [plain, secured] = [&json["listeners"][0], &json["listeners"][1]];
    assert_eq!(plain["tls"], Value::Null, "{json:#}");
    assert_eq!(plain["refused"], json!({ "max_connections": 3 }), "{json:#}");
    assert_eq!(plain["max_connections"], 10_000, "{json:#}");
    assert_eq!(secured["tls"], tls, "{json:#}");
    let upstream = &json["upstreams"][0];
    assert_eq!(upstream["queue"], json!({ "length": 2, "size": 1000 }), "{json:#}");
    assert_eq!(upstream["retries"], json!({ "connect": 4 }), "{json:#}");
    assert_eq!(upstream["workers"][0]["state"], "ejected", "{json:#}");
    assert_eq!(upstream["workers"][0]["reused_ratio"], json!(0.993), "{json:#}");
    let read: Status = serde_json::from_value(json).expect("a status");
    assert_eq!(read, status, "nothing is lost on the way");
}

#[test]
fn an_edge_of_an_earlier_version_is_understood() {
    let mut json =
        serde_json::to_value(status(vec![upstream(vec![worker("1", WorkerState::Ready)])]))
            .expect("JSON");
    remove(&mut json["listeners"][1], &["max_connections", "refused", "tls"]);
    let of_upstream = &mut json["upstreams"][0];
    remove(of_upstream, &["queue", "retries", "notes"]);
    remove(
        &mut of_upstream["workers"][0],
        &["slots", "weight", "connects", "reused_ratio", "ejections", "last_check"],
    );
    let read: Status = serde_json::from_value(json).expect("a status");
    let listener = &read.listeners[1];
    assert_eq!((listener.max_connections, listener.refused.len()), (0, 0), "it had none");
    assert_eq!(listener.tls, None, "it had none");
    let upstream = &read.upstreams[0];
    assert_eq!(upstream.queue, QueueStatus::default(), "it had none");
    assert_eq!(upstream.workers[0], worker("1", WorkerState::Ready), "what it said is there");
}

fn remove(object: &mut Value, keys: &[&str]) {
    let object = object.as_object_mut().expect("an object");
    for key in keys {
        assert!(object.remove(*key).is_some(), "{key} was there");
    }
}

#[test]
fn the_share_of_reused_connections_has_three_digits() {
    for (new, reused, expected) in [
        (0, 0, None),
        (1, 0, Some(0.0)),
        (0, 5, Some(1.0)),
        (1, 2, Some(0.667)),
        (1, 999, Some(0.999)),
        (u64::MAX, u64::MAX, Some(0.5)),
    ] {
        assert_eq!(reused_ratio(new, reused), expected, "{new} new, {reused} reused");
    }
}

#[test]
fn days_are_counted_until_the_last_second_of_a_certificate() {
    const DAY: i64 = 86_400;
    for (seconds, days) in [
        (400 * DAY, 400),
        (30 * DAY, 30),
        (30 * DAY - 1, 29),
        (DAY, 1),
        (DAY - 1, 0),
        (0, 0),
        (-1, -1),
        (-DAY + 1, -1),
        (-DAY, -2),
        (-1_770_091_506, -20_488),
    ] {
        let span = Duration::from_secs(seconds.unsigned_abs());
        let end = if seconds < 0 { now() - span } else { now() + span };
        let certificate = certificate(end);
        assert_eq!(certificate.days_left, days, "{seconds} s left");
        assert_eq!(certificate.problem.is_some(), seconds < 0, "{seconds} s left");
    }
}

#[test]
fn an_expired_certificate_makes_less_of_the_whole() {
    let second = Duration::from_secs(1);
    let (valid, over) = (certificate(now()), certificate(now() - second));
    for (certificates, expected) in [
        (vec![], State::Ready),
        (vec![valid.clone()], State::Ready),
        (vec![valid.clone().with_trouble(Some("a.pem is empty".to_owned()))], State::Ready),
        (vec![over.clone()], State::Degraded),
        (vec![valid, over], State::Degraded),
    ] {
        let listeners = [listener("plain", Vec::new()), listener("secured", certificates)];
        let told = format!("{listeners:?}");
        assert_eq!(State::of(&listeners, &[]), expected, "{told}");
    }
}

#[test]
fn everything_that_is_wrong_with_a_certificate_is_told() {
    let trouble = || Some("a.pem: it is empty".to_owned());
    let (valid, over) = (certificate(now()), certificate(now() - Duration::from_secs(1)));
    let expired = "expired on 2026-02-03T04:05:05Z";
    for (certificate, expected) in [
        (valid.clone().with_trouble(None), None),
        (valid.with_trouble(trouble()), Some("a.pem: it is empty".to_owned())),
        (over.clone().with_trouble(None), Some(expired.to_owned())),
        (over.with_trouble(trouble()), Some(format!("{expired}; a.pem: it is empty"))),
    ] {
        assert_eq!(certificate.problem, expected, "{certificate:?}");
    }
}
