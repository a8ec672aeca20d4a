//! Passive checks: what goes wrong with requests puts a worker out for a while, but never too many of them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{expect_all_well, statuses};
use crate::support::closed_port::ClosedPort;
use crate::support::edge::Edge;
use crate::support::plain_worker::{PlainWorker, addresses};
use crate::support::pool::{Pool, upstream, wait_for_rotation, wait_for_worker, worker};
use crate::support::wait_for;

/// An upstream that ejects after three failures; `keys` are further ones of `passive`.
fn ejecting(keys: &str) -> String {
    format!("balance: round_robin, health: {{ passive: {{ failures: 3, {keys} }} }}")
}

fn wait_until_ejected(edge: &Edge, name: &str) {
    wait_for_worker(edge, name, "ejected", |worker| worker["state"] == "ejected");
}

/// How many workers are ejected now.
fn ejected(edge: &Edge) -> usize {
    let upstream = upstream(edge);
    let workers = upstream["workers"].as_array().expect("workers");
    workers.iter().filter(|worker| worker["state"] == "ejected").count()
}

#[test]
fn one_that_refuses_connections() {
    let (port, good) = (ClosedPort::reserve(), PlainWorker::start());
    let name = port.address().to_string();
    let edge = Pool::with(&ejecting("eject_for: 6s")).before(&[port.address(), good.address()]);
    expect_all_well(&edge, 10, "connects that fail are tried elsewhere");
    wait_until_ejected(&edge, &name);
    let said = worker(&edge, &name);
    assert_eq!(said["in_rotation"], false, "{said:#}");
    assert_eq!(said["ejections"], 1, "{said:#}");
    assert!(said["reason"].is_string(), "and why: {said:#}");
    edge.wait_for_metric(
        &format!("asgate_ejections_total{{upstream=\"u\",worker=\"{name}\"}}"),
        1.0,
    );
    edge.wait_for_metric(&format!("asgate_worker_up{{upstream=\"u\",worker=\"{name}\"}}"), 0.0);

    // It is not given up for ever.
    let back = PlainWorker::on(port.open());
    wait_for("it to be tried again", || {
        expect_all_well(&edge, 4, "while it comes back");
        (back.requests() > 0).then_some(())
    });
    wait_for_rotation(&edge, &name, true);
}

/// The first failures are the clients'; what comes later is not.
#[test]
fn one_that_does_not_answer_in_time() {
    let team: [_; 2] = PlainWorker::team();
    team[0].be_silent(true);
    let edge = Pool {
        keys: &ejecting("eject_for: 1m"),
        route: "timeouts: { first_byte: 2s }",
        ..Pool::default()
    }
    .before(&addresses(&team));
    let statuses = statuses(&edge, 20);
    let late = statuses.iter().filter(|status| **status == 504).count();
    assert_eq!(late, 3, "ejected after three: {statuses:?}");
    assert!(statuses[6..].iter().all(|status| *status == 200), "{statuses:?}");
    wait_until_ejected(&edge, &team[0].name());
    assert_eq!(team[0].requests(), 3, "it is left alone");
}

#[test]
fn one_that_answers_with_a_listed_status() {
    let team: [_; 2] = PlainWorker::team();
    team[0].answer_with(503);
    let edge = Pool::with(&ejecting("eject_for: 1m, status: [502-504]")).before(&addresses(&team));
    let statuses = statuses(&edge, 20);
    let failed = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(failed, 3, "its own answers, until it was ejected: {statuses:?}");
    wait_until_ejected(&edge, &team[0].name());
}

/// What a client can provoke must not put a worker out unless somebody said so.
#[test]
fn not_one_that_answers_with_any_other_status() {
    let team: [_; 2] = PlainWorker::team();
    team[0].answer_with(500);
    for status in ["", ", status: [502-504]"] {
        let edge =
            Pool::with(&ejecting(&format!("eject_for: 1m{status}"))).before(&addresses(&team));
        let statuses = statuses(&edge, 20);
        assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 10, "{statuses:?}");
        assert_eq!(ejected(&edge), 0, "{status:?}");
    }
}

#[test]
fn not_one_whose_failures_lie_far_apart() {
    let team: [_; 2] = PlainWorker::team();
    team[0].answer_with(503);
    let edge = Pool::with(&ejecting("window: 300ms, status: [503]")).before(&addresses(&team));
    for _ in 0..5 {
        let mut statuses = statuses(&edge, 2);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 503], "both have their turns");
        assert_eq!(ejected(&edge), 0, "never three within the window");
        // The next failure is to come when this one is old.
        sleep(Duration::from_millis(350));
    }
}

#[test]
fn nobody_when_it_is_off() {
    let team: [_; 2] = PlainWorker::team();
    team[0].be_silent(true);
    let edge = Pool {
        keys: "balance: round_robin, health: { passive: off }",
        route: "timeouts: { first_byte: 2s }",
        ..Pool::default()
    }
    .before(&addresses(&team));
    let failed = |statuses: &[u16]| statuses.iter().filter(|status| **status == 504).count();
    // At once, as each that it gets takes its time; five of them would be enough by the default policy.
    let mut clients: Vec<_> = (0..12).map(|_| edge.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: test.example\r\n\r\n");
    }
    let at_once: Vec<_> = clients.iter_mut().map(|client| client.response().status).collect();
    assert_eq!(failed(&at_once), 6, "each in its turn: {at_once:?}");
    let afterwards = statuses(&edge, 2);
    assert_eq!(failed(&afterwards), 1, "and so it goes on: {afterwards:?}");
}

/// The default policy: on without a word in the file.
#[test]
fn one_that_refuses_connections_by_the_default_policy() {
    let (port, good) = (ClosedPort::reserve(), PlainWorker::start());
    let edge = Pool::with("balance: round_robin").before(&[port.address(), good.address()]);
    expect_all_well(&edge, 20, "connects that fail are tried elsewhere");
    wait_until_ejected(&edge, &port.address().to_string());
    let lines = edge.wait_for_log(20);
    let tried = lines.iter().filter(|line| line["edge.attempts"] == 2).count();
    assert_eq!(tried, 5, "left alone after five");
}

#[test]
fn never_more_than_the_share_that_is_allowed() {
    let team: [_; 4] = PlainWorker::team();
    for worker in &team[..3] {
        worker.answer_with(503);
    }
    let keys = ejecting("eject_for: 1m, max_ejected: 50%, status: [503]");
    let edge = Pool::with(&keys).before(&addresses(&team));
    for _ in 0..10 {
        statuses(&edge, 8);
        assert!(ejected(&edge) <= 2, "half of four: {:#}", upstream(&edge));
    }
    assert_eq!(ejected(&edge), 2, "the control: as many as are allowed");
}

#[test]
fn never_the_last() {
    let team: [_; 3] = PlainWorker::team();
    for worker in &team {
        worker.answer_with(503);
    }
    let keys = ejecting("eject_for: 1m, max_ejected: 100%, status: [503]");
    for size in 1..=3 {
        let edge = Pool::with(&keys).before(&addresses(&team[..size]));
        for _ in 0..5 {
            statuses(&edge, 12);
            assert!(ejected(&edge) < size, "one of {size} stays: {:#}", upstream(&edge));
        }
        assert_eq!(ejected(&edge), size - 1, "the control: all others are ejected");
        let answered = statuses(&edge, 3);
        assert_eq!(answered, [503; 3], "the application's answers, not refusals");
        let lines = edge.access_log();
        assert!(lines.iter().all(|line| line["edge.termination"] == "ok"), "{lines:#?}");
    }
}

/// Its clients are not sent there for the sake of their cookies.
#[test]
fn one_that_has_sessions() {
    let team: [_; 2] = PlainWorker::team();
    let edge = Pool {
        keys: &format!("affinity: {{}}, {}", ejecting("eject_for: 1m")),
        route: "timeouts: { first_byte: 2s }",
        ..Pool::default()
    }
    .before(&addresses(&team));
    let visit = edge.connect().get("/");
    let cookie = visit.header("set-cookie").and_then(|line| line.split(';').next());
    let cookie = format!("Cookie: {}\r\n", cookie.expect("a cookie"));
    let (home, others): (Vec<_>, Vec<_>) =
        team.iter().partition(|worker| worker.name() == visit.text());
    home[0].be_silent(true);
    let statuses: Vec<_> = (0..3).map(|_| edge.connect().get_with("/", &cookie).status).collect();
    assert_eq!(statuses, [504; 3], "until it is ejected");
    for _ in 0..5 {
        let response = edge.connect().get_with("/", &cookie);
        assert_eq!((response.status, response.text()), (200, others[0].name()), "{response:?}");
        assert!(response.header("set-cookie").is_some(), "another home: {response:?}");
    }
}

/// Ejected for a while, and then on probation.
#[test]
fn for_as_long_as_configured() {
    let team: [_; 2] = PlainWorker::team();
    team[0].answer_with(503);
    let edge = Pool::with(&ejecting("eject_for: 3s, status: [503]")).before(&addresses(&team));
    let begun = Instant::now();
    statuses(&edge, 6);
    // Not the state: it may be over when it is asked for.
    let ejections =
        format!("asgate_ejections_total{{upstream=\"u\",worker=\"{}\"}}", team[0].name());
    edge.wait_for_metric(&ejections, 1.0);
    team[0].answer_with(200);
    let before = team[0].requests();
    wait_for("it to have requests again", || {
        expect_all_well(&edge, 2, "while it is out");
        (team[0].requests() > before).then_some(())
    });
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(3), "out for {took:?}");
    assert!(took < Duration::from_secs(15), "out for {took:?}");
    assert_eq!(worker(&edge, &team[0].name())["state"], "ready", "as if nothing had been");
}
