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

fn status(upstreams: Vec<UpstreamStatus>) -> Status {
    Status {
        version: "1.2.3".to_owned(),
        pid: 99,
        uptime_seconds: 1.5,
        state: State::of(&upstreams),
        listeners: Vec::new(),
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
        assert_eq!(State::of(&[upstream]), *of_edge, "the edge of {states:?}");
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
    let of_upstream = &mut json["upstreams"][0];
    remove(of_upstream, &["queue", "retries", "notes"]);
    remove(
        &mut of_upstream["workers"][0],
        &["slots", "weight", "connects", "reused_ratio", "ejections", "last_check"],
    );
    let read: Status = serde_json::from_value(json).expect("a status");
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
