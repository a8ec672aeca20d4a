//! `servers` may be host names: each address of a name is a worker, they come and go as the name server says, and a name
//! that cannot be resolved any more keeps those it had.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::Value;

use crate::support::dns::{Answer, NameServer};
use crate::support::edge::Edge;
use crate::support::plain_worker::PlainWorker;
use crate::support::pool::{Pool, upstream};
use crate::support::{wait_for, wait_until};

/// As short as a name server can say.
const TTL: Duration = Duration::from_secs(1);

/// Workers at 127.0.0.1, 127.0.0.2, …, all on one port.
fn neighbours<const COUNT: usize>() -> [PlainWorker; COUNT] {
    let listeners = wait_for("a port that is free everywhere", || {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("its address").port();
        let others = (2..=COUNT).map(|number| TcpListener::bind((ip(number), port)));
        std::iter::once(Ok(first)).chain(others).collect::<Result<Vec<_>, _>>().ok()
    });
    let mut listeners = listeners.into_iter();
    std::array::from_fn(|_| PlainWorker::on(listeners.next().expect("one for each")))
}

/// The loopback address with this number.
fn ip(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(number).expect("a number"))
}

/// The name is these workers, by their numbers.
fn addresses(numbers: &[usize]) -> Answer {
    Answer::Addresses(numbers.iter().map(|number| ip(*number)).collect(), TTL)
}

fn edge(names: &NameServer, port: u16, keys: &str) -> Edge {
    let file = format!("resolver: {{ servers: [\"{}\"] }}", names.address());
    Pool { keys, file: &file, ..Pool::default() }
        .before_servers(&format!("{{ address: \"app.test:{port}\" }}"))
}

fn port(workers: &[PlainWorker]) -> u16 {
    workers[0].address().port()
}

/// The addresses that have workers now, sorted.
fn known(edge: &Edge) -> Vec<String> {
    let upstream = upstream(edge);
    let workers = upstream["workers"].as_array().expect("workers");
    let mut known: Vec<_> =
        workers.iter().filter_map(|worker| worker["address"].as_str()).collect();
    known.sort_unstable();
    known.into_iter().map(str::to_owned).collect()
}

/// Waits until the workers are those with these numbers.
fn wait_for_workers(edge: &Edge, port: u16, numbers: &[usize]) {
    let expected: Vec<_> =
        numbers.iter().map(|number| SocketAddr::from((ip(*number), port)).to_string()).collect();
    wait_until(&format!("workers {numbers:?}"), || known(edge), |known| *known == expected);
}

/// Who answers, over `requests`, sorted and each once.
fn answering(edge: &Edge, requests: usize) -> Vec<String> {
    let mut client = edge.connect();
    let mut names: Vec<_> = (0..requests)
        .map(|number| {
            let response = client.get("/");
            assert_eq!(response.status, 200, "request {number}: {response:?}");
            response.text()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn notes(edge: &Edge) -> Value {
    upstream(edge)["notes"].clone()
}

#[test]
fn each_address_of_a_name_is_a_worker() {
    let team: [_; 3] = neighbours();
    let names = NameServer::start(addresses(&[1, 2, 3]));
    let edge = edge(&names, port(&team), "balance: round_robin");
    wait_for_workers(&edge, port(&team), &[1, 2, 3]);
    answering(&edge, 30);
    let shares: Vec<_> = team.iter().map(PlainWorker::requests).collect();
    assert_eq!(shares, [10, 10, 10], "each has its share");
    for line in edge.wait_for_log(30) {
        let worker = line["edge.worker"].as_str().expect("a worker");
        assert!(worker.contains("app.test") && worker.contains("127.0.0."), "{line:#}");
    }
    let names: std::collections::BTreeSet<_> = upstream(&edge)["workers"]
        .as_array()
        .expect("workers")
        .iter()
        .map(|worker| worker["name"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(names.len(), 3, "each has a name of its own: {names:?}");
}

#[test]
fn they_come_and_go_as_the_name_server_says() {
    let team: [_; 3] = neighbours();
    let names = NameServer::start(addresses(&[1]));
    let edge = edge(&names, port(&team), "balance: round_robin, slow_start: off");
    wait_for_workers(&edge, port(&team), &[1]);
    assert_eq!(answering(&edge, 4), [team[0].name()]);

    names.say(addresses(&[1, 2]));
    wait_for_workers(&edge, port(&team), &[1, 2]);
    assert_eq!(answering(&edge, 8), [team[0].name(), team[1].name()]);

    // A request that is under way when its worker leaves is answered.
    team[0].take(Duration::from_secs(3));
    let late: Vec<_> = (0..2)
        .map(|_| {
            let mut client = edge.connect();
            std::thread::spawn(move || client.get("/").status)
        })
        .collect();
    wait_for("it to be under way", || (team[0].requests() > 8).then_some(()));
    names.say(addresses(&[2, 3]));
    wait_for_workers(&edge, port(&team), &[2, 3]);
    assert_eq!(answering(&edge, 8), [team[1].name(), team[2].name()]);
    let late: Vec<_> = late.into_iter().map(|client| client.join().expect("answered")).collect();
    assert_eq!(late, [200, 200], "those under way are finished");
    assert_eq!(notes(&edge).as_array().map_or(0, Vec::len), 0, "all is well: {}", notes(&edge));
    wait_for("the metrics of the one that left to be gone", || {
        let series = edge.metrics();
        let mut series = series.lines().filter(|line| !line.starts_with('#'));
        (!series.any(|line| line.contains("@127.0.0.1\""))).then_some(())
    });
}

#[test]
fn a_name_that_does_not_resolve_any_more_keeps_its_workers_and_says_so() {
    for failure in [Answer::NoSuchName, Answer::Nothing, Answer::Addresses(Vec::new(), TTL)] {
        let team: [_; 2] = neighbours();
        let names = NameServer::start(addresses(&[1, 2]));
        let edge = edge(&names, port(&team), "balance: round_robin");
        wait_for_workers(&edge, port(&team), &[1, 2]);

        names.say(failure.clone());
        let notes_now = wait_until(
            &format!("{failure:?} to be noticed"),
            || notes(&edge),
            |notes| notes.as_array().is_some_and(|notes| !notes.is_empty()),
        );
        assert!(notes_now.to_string().contains("app.test"), "{failure:?}: {notes_now}");
        wait_for_workers(&edge, port(&team), &[1, 2]);
        assert_eq!(answering(&edge, 8).len(), 2, "{failure:?}: both serve");
        let warnings = || {
            let log = edge.stderr_text();
            log.lines().filter(|line| line.contains("WARN") && line.contains("app.test")).count()
        };
        wait_until(&format!("{failure:?} to be said once"), warnings, |count| *count == 1);

        names.say(addresses(&[2]));
        wait_for_workers(&edge, port(&team), &[2]);
        wait_until("no note", || notes(&edge), |notes| notes.as_array().is_none_or(Vec::is_empty));
        assert_eq!(warnings(), 1, "{failure:?}: and not again: {}", edge.stderr_text());
    }
}

#[test]
fn a_name_that_does_not_resolve_at_first_is_waited_for_by_nobody() {
    let team: [_; 1] = neighbours();
    let names = NameServer::start(Answer::NoSuchName);
    let edge = edge(&names, port(&team), "");
    let response = edge.connect().get("/");
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(edge.only_log_line()["edge.termination"], "no_worker", "nobody is there");
    wait_until("a note", || notes(&edge).to_string(), |notes| notes.contains("app.test"));
    names.say(addresses(&[1]));
    wait_for_workers(&edge, port(&team), &[1]);
    assert_eq!(answering(&edge, 2), [team[0].name()]);
}

#[test]
fn a_name_is_not_asked_for_more_often_than_its_ttl() {
    let team: [_; 1] = neighbours();
    let names = NameServer::start(Answer::Addresses(vec![ip(1)], Duration::from_secs(60)));
    let edge = edge(&names, port(&team), "");
    wait_for_workers(&edge, port(&team), &[1]);
    let asked = names.asked();
    answering(&edge, 100);
    assert!(asked <= 4, "for IPv4 and IPv6, once or twice: {asked}");
    assert_eq!(names.asked(), asked, "not for each request");
}

#[test]
fn names_of_the_hosts_file_need_no_name_server() {
    let worker = PlainWorker::start();
    let server = format!("{{ address: \"localhost:{}\" }}", worker.address().port());
    let edge = Pool::default().before_servers(&server);
    wait_for("it to be resolved", || (!known(&edge).is_empty()).then_some(()));
    assert_eq!(answering(&edge, 3), [worker.name()]);
    let warned =
        edge.stderr_text().lines().any(|line| line.contains("WARN") && line.contains("localhost"));
    assert!(warned, "and a literal address is advised: {}", edge.stderr_text());
}
